// What every store promises, proven for each of them by the same tests.

import KontorCore
import KontorService
import TestSupport
import Testing

@Suite("The store contract")
struct StoreContractTests {
    @Test("a group that was never written is absent", arguments: StoreKind.allCases)
    func absent(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let loaded = try under.load(item(1), .hold(saga(1)))
        #expect(loaded.version == .absent)
        #expect(loaded.head == nil)
        #expect(loaded.member == nil)
    }

    @Test("what was committed is loaded, at once and later", arguments: StoreKind.allCases)
    func committed(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        #expect(try under.write(item(1), [(.head, account(5)), (.hold(saga(1)), hold(2))]) == .committed)
        for _ in 0..<2 {
            let loaded = try under.load(item(1), .hold(saga(1)))
            #expect(loaded.head == account(5))
            #expect(loaded.member == hold(2))
            #expect(loaded.version != .absent)
            under.settle()
        }
    }

    @Test(
        "a commit on a version that is no longer the group's is a conflict and writes nothing",
        arguments: StoreKind.allCases)
    func conflict(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let old = try under.load(item(1)).version
        try under.write(item(1), [(.head, account(5))])
        under.settle()
        let stale = GroupChange(
            group: item(1), expected: old, writes: [(.head, account(9)), (.hold(saga(1)), hold(1))])
        #expect(try under.commit([stale]) == [.conflict])
        let loaded = try under.load(item(1), .hold(saga(1)))
        #expect(loaded.head == account(5))
        #expect(loaded.member == nil)
    }

    @Test("groups of one call are independent of each other", arguments: StoreKind.allCases)
    func independentGroups(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        try under.write(item(1), [(.head, account(1))])
        let fresh = try under.load([ReadSet(item(1)), ReadSet(item(2))]).map(\.version)
        let changes = [
            GroupChange(group: item(1), expected: .absent, writes: [(.head, account(10))]),
            GroupChange(group: item(2), expected: fresh[1], writes: [(.head, account(20))]),
            GroupChange(group: item(2), expected: fresh[1], writes: [(.head, account(21))]),
            GroupChange(group: item(1), expected: fresh[0], writes: [(.head, account(11))]),
        ]
        #expect(try under.commit(changes) == [.conflict, .committed, .conflict, .committed])
        #expect(try under.load([ReadSet(item(1)), ReadSet(item(2))]).map(\.head) == [account(11), account(20)])
    }

    @Test("one call takes thousands of groups, each with its members", arguments: StoreKind.allCases)
    func manyGroups(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let stale = 4_321
        try under.write(item(stale), [(.head, account(1))])
        let readSets = (0..<9_000).map { ReadSet(item($0), .hold(saga($0))) }
        let versions = try under.load(readSets).map(\.version)
        let changes = readSets.indices.map { number in
            GroupChange(
                group: item(number), expected: number == stale ? .absent : versions[number],
                writes: [(.head, account(Int64(number))), (.hold(saga(number)), hold(1))])
        }
        let outcomes = try under.commit(changes)
        #expect(outcomes.indices.allSatisfy { outcomes[$0] == ($0 == stale ? .conflict : .committed) })
        let loaded = try under.load(readSets)
        for number in readSets.indices where number != stale {
            #expect(loaded[number].head == account(Int64(number)) && loaded[number].member == hold(1))
        }
        #expect(loaded[stale].head == account(1) && loaded[stale].member == nil)
    }

    @Test("a change that takes a member for absent meets a conflict if it is there", arguments: StoreKind.allCases)
    func guesses(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        try under.write(item(1), [(.head, account(5)), (.hold(saga(1)), hold(2))])
        let version = try under.load(item(1)).version
        func change(_ number: Int) -> GroupChange {
            GroupChange(
                group: item(1), expected: version, writes: [(.head, account(9)), (.hold(saga(number)), hold(3))],
                absent: [.hold(saga(number))])
        }
        #expect(try under.commit([change(1)]) == [.conflict])
        #expect(try under.load(item(1), .hold(saga(1))).head == account(5))
        #expect(try under.load(item(1), .hold(saga(1))).member == hold(2))
        #expect(try under.commit([change(2)]) == [.committed])
        #expect(try under.load(item(1), .hold(saga(2))).member == hold(3))

        // Also a member that the change does not write.
        let next = try under.load(item(1)).version
        func unwritten(_ number: Int) -> GroupChange {
            GroupChange(group: item(1), expected: next, writes: [(.head, account(8))], absent: [.hold(saga(number))])
        }
        #expect(try under.commit([unwritten(1)]) == [.conflict])
        #expect(try under.load(item(1)).head == account(9))
        #expect(try under.commit([unwritten(3)]) == [.committed])
        #expect(try under.load(item(1), .hold(saga(3))).member == nil)
    }

    @Test("a version is never given out twice", arguments: StoreKind.allCases)
    func freshVersions(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        var seen: Set<Version> = []
        for round in 0..<5 {
            for number in 1...3 {
                try under.write(item(number), [(.head, account(Int64(round)))])
                #expect(seen.insert(try under.load(item(number)).version).inserted)
            }
        }
    }

    @Test("a removed record is gone, and the others of its group are there", arguments: StoreKind.allCases)
    func removal(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let order = Identifier(number: 3)
        try under.write(
            item(1), [(.head, account(5)), (.payment(order: order), payment(1)), (.hold(saga(1)), hold(2))])
        under.settle()
        try under.write(item(1), [(.payment(order: order), nil), (.hold(saga(1)), nil)])
        for _ in 0..<2 {
            let loaded = try under.load([
                ReadSet(item(1), .payment(order: order)), ReadSet(item(1), .hold(saga(1))),
            ])
            #expect(loaded.map(\.member) == [nil, nil])
            #expect(loaded.map(\.head) == [account(5), account(5)])
            under.settle()
        }
        #expect(try under.scan(.item, Partition.of(item(1).id)).isEmpty)
    }

    @Test("a new member can be written without having been loaded", arguments: StoreKind.allCases)
    func blindWrite(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        try under.write(item(1), [(.head, account(5))])
        under.settle()
        try under.write(item(1), [(.receipt(incarnation: 9), account(1))])
        under.settle()
        #expect(try under.load(item(1), .receipt(incarnation: 9)).member == account(1))
    }

    @Test("the audit trail is read page by page, the newest entries first", arguments: StoreKind.allCases)
    func trail(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        #expect(try under.trail() == TrailPart(entries: [], next: nil))
        var expected: [FoundTrailEntry] = []
        // Of some moments there are several entries, and not in the order in which they are written.
        for number in 0..<60 {
            let id = TrailID(time: 1_700_000_000_000 + Int64(number * 7 % 20), number: UInt64(number))
            let note = TrailNote(principal: "p\(number)", address: "", operation: "addStock", arguments: [])
            expected.append(FoundTrailEntry(item(number % 9), TrailEntry(id: id, note: note)))
            let outcome = try under.write(
                item(number % 9), [(.head, account(Int64(number))), (.trail(id), .trail(note))])
            #expect(outcome == .committed)
            // Some are in the table then, and others are not.
            if number % 25 == 24 { under.settle() }
            if number == 30 { try under.reopen() }
        }
        expected.sort { ($1.entry.id.time, $0.entry.id.number) < ($0.entry.id.time, $1.entry.id.number) }
        try under.barrier()
        for round in 0..<2 {
            for bound in [6, 7, 59, 60, 61] {
                var part = try under.trail(atMost: bound)
                var found = part.entries
                while let next = part.next {
                    #expect(part.entries.count == bound && next == found.last?.entry.id)
                    part = try under.trail(behind: next, atMost: bound)
                    #expect(!part.entries.isEmpty)
                    found += part.entries
                }
                #expect(found == expected, "round \(round)")
            }
            under.settle()
        }
        #expect(try under.load(item(3)).head == account(57))
        let id = TrailID(time: 1_700_000_000_500, number: 0)
        let note = TrailNote(principal: "late", address: "", operation: "addStock", arguments: [])
        let stale = GroupChange(group: item(1), expected: .absent, writes: [(.head, account(0)), (.trail(id), .trail(note))])
        #expect(try under.commit([stale]) == [.conflict])
        #expect(try under.trail().entries.count == 60, "what was not committed is not in the trail")
    }

    @Test(
        "entries of the audit trail go when their time is over",
        arguments: [StoreKind.embeddedSQLite, .embeddedSimulated, .redis])
    func oldTrail(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let now = under.wall
        let note = TrailNote(principal: "p", address: "", operation: "addStock", arguments: [])
        let ages = [Limits.trailMilliseconds + 60_000, Limits.trailMilliseconds - 60_000, 0]
        for age in ages {
            let id = TrailID(time: now - age, number: 1)
            #expect(try under.write(item(1), [(.head, account(1)), (.trail(id), .trail(note))]) == .committed)
        }
        under.settle()
        under.passHour()
        #expect(try under.write(item(1), [(.trail(TrailID(time: now, number: 2)), .trail(note))]) == .committed)
        under.settle()
        #expect(try under.trail().entries.map { now - $0.entry.id.time } == [0, 0, Limits.trailMilliseconds - 60_000])
    }

    @Test("members of a group without a head are kept", arguments: StoreKind.allCases)
    func headlessGroup(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        #expect(try under.write(item(1), [(.hold(saga(1)), hold(2))]) == .committed)
        under.settle()
        let loaded = try under.load(item(1), .hold(saga(1)))
        #expect(loaded.head == nil)
        #expect(loaded.member == hold(2))
    }

    @Test("one load of many readSets answers each in its place, duplicates too", arguments: StoreKind.allCases)
    func manyTouches(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        for number in 0..<300 where number % 3 != 0 {
            try under.write(item(number), [(.head, account(Int64(number))), (.hold(saga(1)), hold(1))])
        }
        under.settle()
        let numbers = (0..<900).map { ($0 * 7) % 300 }
        let loaded = try under.load(numbers.map { ReadSet(item($0), .hold(saga(1))) })
        #expect(loaded.count == numbers.count)
        for (number, group) in zip(numbers, loaded) {
            #expect(group.head == (number % 3 == 0 ? nil : account(Int64(number))))
            #expect((group.member == nil) == (number % 3 == 0))
        }
    }

    @Test("a scan finds all open work of its kind and partition once, in pages", arguments: StoreKind.allCases)
    func scan(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        let target = item(1)
        try under.write(target, [(.head, account(5))] + (0..<2_300).map { (.hold(saga($0)), hold(Int64($0) + 1)) })
        try under.write(GroupKey(.user, target.id), [(.hold(saga(1)), hold(1))])
        try under.write(item(2), [(.hold(saga(1)), hold(1))])
        under.settle()
        var found: [RecordKey] = []
        while true {
            let page = try under.scan(.item, Partition.of(target.id), after: found.last)
            if page.isEmpty { break }
            #expect(page.count <= 1_000)
            found += page.map(\.key)
        }
        #expect(found.count == 2_300)
        #expect(Set(found).count == 2_300)
        #expect(found.allSatisfy { $0.group == target })
    }

    @Test("a barrier completes, with and without something to wait for", arguments: StoreKind.allCases)
    func barrier(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        try under.barrier()
        try under.write(item(1), [(.head, account(5))])
        try under.barrier()
        try under.barrier()
        #expect(try under.admission == nil)
    }

    @Test(
        "everything is there after the store was closed and opened", arguments: StoreKind.allCases.filter(\.isEmbedded))
    func reopen(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        for number in 0..<50 {
            try under.write(item(number), [(.head, account(Int64(number))), (.hold(saga(number)), hold(1))])
            if number % 7 == 0 { under.settle() }
        }
        try under.write(item(3), [(.hold(saga(3)), nil)])
        try under.reopen()
        for number in 0..<50 {
            let loaded = try under.load(item(number), .hold(saga(number)))
            #expect(loaded.head == account(Int64(number)))
            #expect(loaded.member == (number == 3 ? nil : hold(1)))
        }
        #expect(try under.load(item(4)).version != .absent)
    }
}
