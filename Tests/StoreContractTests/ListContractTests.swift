// The lists of every store: pages of an index give each entry exactly once, whatever is folded, closed or replaced.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@Suite("The store contract: lists")
struct ListContractTests {
    private func order(_ number: Int) -> GroupKey { GroupKey(.order, Identifier(number: number)) }

    /// Three of each millisecond.
    private func entry(_ number: Int, user: Int) -> ListEntry {
        ListEntry(created: 1_700_000_000_000 + Int64(number / 3), user: Identifier(number: user))
    }

    private func head(_ entry: ListEntry) -> Record {
        .order(Order(user: entry.user ?? id("u"), incarnation: 1, created: entry.created))
    }

    private func pages(_ under: StoreUnderTest, _ bound: Int, _ range: (ListCursor?) -> IndexRange) throws -> [RecordKey] {
        var found: [RecordKey] = []
        var next: ListCursor?
        for _ in 0..<1_000 {
            let range = range(next)
            let part = try under.call { store, done in store.scan(range, atMost: bound, completion: done) }.get()
            #expect(part.entries.count <= bound)
            #expect(part.entries.allSatisfy { $0.record == .listed })
            found += part.entries.map(\.key)
            guard let last = part.next, case .listed(let entry) = last.member else { return found }
            next = ListCursor(last.group, entry)
        }
        throw TestFailure("the pages have no end")
    }

    private func sorted(_ expected: [GroupKey: ListEntry]) -> [RecordKey] {
        expected.sorted { ListCursor($0.key, $0.value).isListedBefore(ListCursor($1.key, $1.value)) }
            .map { RecordKey($0.key, .listed($0.value)) }
    }

    @Test(
        "orders are listed newest first, all or those of a user; those that were replaced are listed anew",
        arguments: StoreKind.allCases)
    func orders(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        var expected: [GroupKey: ListEntry] = [:]
        var random = SeededRandom(seed: 11)
        for step in 0..<150 {
            let group = order(Int.random(in: 0..<90, using: &random))
            let new = entry(step, user: Int.random(in: 0..<4, using: &random))
            var writes: [(member: Member, record: Record?)] = [(.head, head(new))]
            if let old = expected[group], old != new { writes.append((.listed(old), nil)) }
            writes.append((.listed(new), .listed))
            #expect(try under.write(group, writes) == .committed)
            expected[group] = new
            if step % 40 == 39 { under.settle() }
            if step == 70 { try under.reopen() }
        }
        try under.barrier()
        for round in 0..<2 {
            for bound in [1, 7, 200] {
                #expect(try pages(under, bound) { .list(of: .order, behind: $0) } == sorted(expected), "round \(round)")
                for user in 0..<5 {
                    let name = Identifier(number: user)
                    let own = sorted(expected.filter { $0.value.user == name })
                    #expect(try pages(under, bound) { .orders(of: name, behind: $0) } == own, "round \(round)")
                }
            }
            under.settle()
        }
    }

    @Test("items and users are listed by their ids, apart from each other", arguments: StoreKind.allCases)
    func accounts(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        for number in [5, 10, 3, 21, 1] {
            for kind in [GroupKey.Kind.item, .user] {
                let group = GroupKey(kind, Identifier(number: kind == .item ? number : number + 100))
                try under.write(group, [(.head, account(1)), (.listed(.account), .listed)])
            }
            if number == 3 { under.settle() }
        }
        try under.barrier()
        let items = try pages(under, 2) { .list(of: .item, behind: $0) }
        #expect(items.map(\.group) == [1, 3, 5, 10, 21].map(item))
        #expect(
            try pages(under, 2) { .list(of: .user, behind: $0) }.map(\.group.id.text) == ["101", "103", "105", "110", "121"])
        #expect(try pages(under, 2) { .list(of: .order, behind: $0) }.isEmpty)
    }

    @Test("what meets another version is not listed", arguments: StoreKind.allCases)
    func conflict(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        try under.write(order(1), [(.head, head(entry(1, user: 1))), (.listed(entry(1, user: 1)), .listed)])
        let stale = GroupChange(
            group: order(1), expected: .absent,
            writes: [
                (.head, head(entry(9, user: 1))), (.listed(entry(1, user: 1)), nil), (.listed(entry(9, user: 1)), .listed),
            ])
        #expect(try under.commit([stale]) == [.conflict])
        try under.barrier()
        #expect(try pages(under, 9) { .list(of: .order, behind: $0) } == [RecordKey(order(1), .listed(entry(1, user: 1)))])
    }

    @Test("an order that is there all the time is listed exactly once, while others come and go", arguments: StoreKind.allCases)
    func changing(_ kind: StoreKind) throws {
        let under = try StoreUnderTest(kind)
        func put(_ number: Int, _ new: ListEntry, insteadOf old: ListEntry?) throws {
            var writes: [(member: Member, record: Record?)] = [(.head, head(new))]
            if let old { writes.append((.listed(old), nil)) }
            writes.append((.listed(new), .listed))
            #expect(try under.write(order(number), writes) == .committed)
        }
        for number in 0..<60 { try put(number, entry(number, user: 1), insteadOf: nil) }
        try under.barrier()
        var seen: [GroupKey] = []
        var next: ListCursor?
        var step = 0
        repeat {
            let range = IndexRange.list(of: .order, behind: next)
            let part = try under.call { store, done in store.scan(range, atMost: 4, completion: done) }.get()
            seen += part.entries.map(\.key.group)
            next = part.next.flatMap { key in
                if case .listed(let entry) = key.member { ListCursor(key.group, entry) } else { nil }
            }
            // Odd ones are replaced, and others are made.
            try put(2 * step + 1, entry(100 + step, user: 1), insteadOf: entry(2 * step + 1, user: 1))
            try put(1_000 + step, entry(200 + step, user: 1), insteadOf: nil)
            if step % 5 == 4 { under.settle() } else { try under.barrier() }
            step += 1
        } while next != nil && step < 30
        for number in stride(from: 0, to: 60, by: 2) {
            #expect(seen.filter { $0 == order(number) }.count == 1, "order \(number)")
        }
    }
}
