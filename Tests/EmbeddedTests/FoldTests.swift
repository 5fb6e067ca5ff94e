// Moving journal to the table: what stays readable, what may be deleted when, and what memory keeps.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

import struct GRDB.DatabaseError
import struct GRDB.ResultCode

@testable import KontorEmbedded

@Suite("Fold")
struct FoldTests {
    private func small(cacheRecords: Int = 1_000) throws -> World {
        try World { options, _ in
            options.segmentBytes = 400
            options.foldStartBytes = 200
            options.foldSliceBytes = 256
            options.checkpointBytes = 1_000
            options.cacheRecords = cacheRecords
        }
    }

    @Test("records that were folded and evicted are read back as they were")
    func coldReads() throws {
        let world = try small(cacheRecords: 3)
        for number in 1...40 { try world.batch(number) }
        for number in 1...40 where number % 2 == 0 { try world.write(item(number), [(.head, account(1_000))]) }
        world.sync()
        world.rest()
        #expect(world.store.residentRecords <= 3)
        for number in 1...40 {
            #expect(try world.load(item(number)).head == account(number % 2 == 0 ? 1_000 : Int64(number)))
        }
        #expect(try world.heads([41, 42]) == [nil, nil])
    }

    @Test("the cache keeps its bound, except for what is dirty or not folded")
    func cacheBound() throws {
        let world = try small(cacheRecords: 5)
        for number in 1...30 { try world.write(item(number), [(.head, account(1))]) }
        world.store.flush()
        #expect(world.store.residentRecords == 30, "nothing of it is in the table yet")
        world.lanes.stepAll(.journal)
        world.store.flush()
        #expect(world.store.residentRecords == 30)
        world.rest()
        #expect(world.store.residentRecords <= 5)
        for number in 1...30 { _ = try world.load(item(number)) }
        world.store.flush()
        #expect(world.store.residentRecords <= 5)
    }

    @Test("what is synced and not folded is never evicted, however many cold records come in")
    func unfoldedStays() throws {
        let world = try World { options, _ in options.cacheRecords = 5 }
        for number in 1...30 { try world.batch(number) }
        for number in 100...200 {
            #expect(try world.load(item(number)).head == nil)
            world.store.flush()
        }
        #expect(try world.heads(Array(1...30)) == (1...30).map { account(Int64($0)) })
        #expect(world.store.residentRecords < 40)
    }

    @Test("open work is never evicted and never read from the table")
    func openWorkStays() throws {
        let world = try small(cacheRecords: 0)
        for number in 1...10 { try world.write(item(1), [(.head, account(9)), (.hold(saga(number)), hold(1))]) }
        world.sync()
        world.rest()
        #expect(world.store.residentRecords == 0)
        #expect(world.store.cache.openWorkRecords == 10)
        try world.restart()
        #expect(world.store.startReport.openWorkRecords == 10)
        #expect(world.store.startReport.recordsReplayed == 0)
        #expect(try world.load(item(1), .hold(saga(3))).member == hold(1))
    }

    @Test("a version that was forgotten with its group is never taken for the group's")
    func forgottenVersion() throws {
        let world = try small(cacheRecords: 0)
        let absent = try world.load(item(1)).version
        try world.write(item(1), [(.hold(saga(1)), hold(1))])
        try world.write(item(1), [(.hold(saga(1)), nil)])
        world.sync()
        world.rest()
        _ = try world.load(item(1))
        let outcome = Box<[CommitOutcome]>()
        let change = GroupChange(group: item(1), expected: absent, writes: [(.head, account(1))])
        world.store.commit([change]) { outcome.value = $0 }
        #expect(outcome.value == [.conflict])
        #expect(try world.write(item(1), [(.head, account(1))]) == .committed)
    }

    @Test("what is written while a cold read is under way is not overwritten by it")
    func readRace() throws {
        let world = try small(cacheRecords: 0)
        try world.batch(1)
        world.rest()
        let answer = Box<[LoadedGroup]>()
        let order = Identifier(number: 7)
        _ = try world.load(item(1))
        let version = try world.load(item(1)).version
        world.store.load([ReadSet(item(1), .payment(order: order))]) { answer.value = $0.compactMap { try? $0.get() } }
        #expect(answer.value == nil)
        // A blind write of the member that is being read.
        world.store.commit([
            GroupChange(group: item(1), expected: version, writes: [(.payment(order: order), account(3))])
        ]) { _ in }
        world.lanes.stepAll(.read)
        #expect(answer.value?.first?.member == account(3))
        #expect(try world.load(item(1), .payment(order: order)).member == account(3))
    }

    @Test("two loads that miss the same record both get it")
    func sharedMiss() throws {
        let world = try small(cacheRecords: 0)
        try world.batch(1)
        world.rest()
        let answers = Box<[Record?]>()
        answers.value = []
        for _ in 0..<2 {
            world.store.load([ReadSet(item(1)), ReadSet(item(2)), ReadSet(item(1))]) { result in
                answers.value? += result.map { try? $0.get().head }
            }
        }
        world.lanes.stepAll(.read)
        #expect(answers.value == [account(1), nil, account(1), account(1), nil, account(1)])
    }

    @Test("a read of the table that fails is said so, and can be repeated")
    func failedRead() throws {
        let world = try small(cacheRecords: 0)
        try world.batch(1)
        world.rest()
        world.table.failsReads = true
        #expect(throws: StoreError.self) { try world.load(item(1)) }
        world.table.failsReads = false
        #expect(try world.load(item(1)).head == account(1))
    }

    @Test("a page that cannot be read fails those alone who need it, and nobody waits for ever")
    func badPage() throws {
        let world = try small(cacheRecords: 0)
        for number in 1...3 { try world.batch(number) }
        world.rest()
        world.table.badPage = [RecordKey(item(2), .head)]
        var answers: [String] = []
        func load(_ numbers: Int...) {
            world.store.load(numbers.map { ReadSet(item($0)) }) { outcomes in
                let isRead = outcomes.map { if case .success = $0 { true } else { false } }
                answers.append(zip(numbers, isRead).map { "\($0) \($1)" }.joined(separator: ", "))
            }
        }
        load(1)
        // They come while the lane is busy, and are read together.
        load(2)
        load(3)
        load(1, 2)
        for _ in 0..<4 {
            load(2)
            _ = world.lanes.step(.read)
        }
        world.lanes.stepAll(.read)
        let failed = Array(repeating: "2 false", count: 5)
        #expect(answers.sorted() == ["1 true", "1 true, 2 false"] + failed + ["3 true"])
    }

    @Test("the fold never moves what is not synced")
    func onlySynced() throws {
        let world = try small()
        for number in 1...5 { try world.batch(number) }
        try world.write(item(6), [(.head, account(6))])
        world.store.flush()
        for _ in 0..<4 {
            world.tick(2_000)
            world.lanes.stepAll(.fold)
            world.lanes.stepAll(.urgentFold)
        }
        #expect(try world.table.position() == 5)
    }

    @Test("segments go only after a checkpoint, and a reader in its way keeps them")
    func segmentsGo() throws {
        let world = try small()
        world.table.isBusy = true
        for number in 1...30 { try world.batch(number) }
        let before = world.segments
        #expect(before.count >= 4)
        world.rest()
        #expect(try world.table.position() == 30)
        #expect(world.segments == before)
        world.table.isBusy = false
        world.rest()
        #expect(world.segments.count == 1)
        try world.restart()
        #expect(try world.heads([1, 30]) == [account(1), account(30)])
    }

    @Test("a write-ahead log that is lost between two checkpoints is replayed from the journal")
    func lostLog() throws {
        let world = try small()
        for number in 1...10 { try world.batch(number) }
        world.rest()
        world.table.isBusy = true
        for number in 11...30 { try world.batch(number) }
        world.rest()
        #expect(try world.table.position() == 30)
        world.table.loseLog()
        try world.restart()
        #expect(world.store.startReport.recordsReplayed == 20)
        #expect(try world.heads([1, 10, 11, 30]) == [account(1), account(10), account(11), account(30)])
    }

    @Test("a table without room stops new work, loses nothing, and is tried again")
    func tableFull() throws {
        let world = try small()
        world.table.isFull = true
        for number in 1...10 { try world.batch(number) }
        world.rest()
        #expect(world.store.admission == .diskFull)
        #expect(try world.barrier()?.get() != nil)
        world.table.isFull = false
        world.rest()
        #expect(world.store.admission == nil)
        #expect(try world.table.position() == 10)
    }

    @Test("a checkpoint that found no room is tried again, and new work is taken again after it")
    func checkpointFull() throws {
        let world = try small()
        for number in 1...3 { try world.batch(number) }
        // Everything is folded, and only the checkpoint is left.
        world.table.isBusy = true
        world.rest()
        #expect(try world.table.position() == 3)
        world.table.isBusy = false
        world.table.isFull = true
        world.rest()
        #expect(world.store.admission == .diskFull)
        world.table.isFull = false
        world.rest()
        #expect(world.store.admission == nil)
    }

    @Test("a table that has no memory is tried again", arguments: [ResultCode.SQLITE_NOMEM, .SQLITE_IOERR_NOMEM])
    func noMemory(code: ResultCode) throws {
        let world = try small()
        do throws(EmbeddedError) {
            try TableConnection.translatingErrors("table") { throw DatabaseError(resultCode: code) }
        } catch {
            world.table.failure = error
        }
        for number in 1...10 { try world.batch(number) }
        world.rest()
        #expect(world.store.failure == nil)
        #expect(world.store.admission != nil && world.store.admission != .diskFull)
        world.table.failure = nil
        world.rest()
        #expect(world.store.admission == nil)
        #expect(try world.table.position() == 10)
    }

    @Test("a slice keeps the last value of each key")
    func lastWins() throws {
        let world = try World()
        for round in 1...20 {
            try world.write(item(1), [(.head, account(Int64(round)))])
            world.sync()
        }
        world.rest()
        #expect(world.table.slicesApplied == 1)
        try world.restart()
        #expect(try world.heads([1]) == [account(20)])
    }

    @Test("closing folds everything, gives the directory back and refuses what comes later")
    func close() throws {
        let world = try small()
        for number in 1...10 { try world.batch(number) }
        try world.write(item(11), [(.head, account(11))])
        let closed = Box<Result<Void, DurabilityError>>()
        world.store.close { closed.value = $0 }
        guard case .refused = try world.write(item(1), [(.head, account(0))]) else {
            Issue.record("a commit was taken after close")
            return
        }
        let closing = world.lanes
        #expect(throws: EmbeddedError.inUse(directory: World.directory, pid: "1")) { try world.open() }
        closing.runAll()
        #expect(try closed.value?.get() != nil)
        #expect(world.segments.count == 1)
        try world.open()
        #expect(world.store.startReport.recordsReplayed == 0)
        #expect(try world.heads([1, 10, 11]) == [account(1), account(10), account(11)])
        world.rest()
        #expect(world.segments.count == 1, "the segment before the start's is not needed any more")
    }

    @Test("a reader in the way of the checkpoint does not hold up the end", arguments: [true, false])
    func closeWithReader(isFull: Bool) throws {
        let world = try small()
        for number in 1...10 { try world.batch(number) }
        world.table.isBusy = true
        world.table.isFull = isFull
        let closed = Box<Result<Void, DurabilityError>>()
        world.store.close { closed.value = $0 }
        world.lanes.runAll()
        #expect(try closed.value?.get() != nil)
        world.table.loseLog()
        world.table.isFull = false
        try world.open()
        #expect(try world.heads([1, 10]) == [account(1), account(10)])
    }

    /// Found by the simulator: it waited for the time of the next try, which never came.
    @Test("a store that closes soon after a fold failed tries it once more")
    func closeAfterFailedFold() throws {
        let world = try small()
        world.table.isFull = true
        for number in 1...10 { try world.batch(number) }
        world.rest()
        #expect(try world.table.position() == 0)
        world.table.isFull = false
        let closed = Box<Result<Void, DurabilityError>>()
        world.store.close { closed.value = $0 }
        world.lanes.runAll()
        #expect(try closed.value?.get() != nil)
        #expect(try world.table.position() == 10)
    }

    /// Found by the simulator: the head was evicted while the member was read, then the member while the head was, and
    /// so on.
    @Test("loads end, however small the cache is", arguments: [0, 1, 2, 10])
    func loadsWithoutRoom(cacheRecords: Int) throws {
        let world = try small(cacheRecords: cacheRecords)
        let order = try #require(Identifier("order"))
        let payment = Record.payment(DirectPayment(amount: Amount(1), isCancelled: false, generation: 0, earlier: .zero))
        for number in 1...20 {
            try world.write(item(number), [(.head, account(Int64(number))), (.payment(order: order), payment)])
            world.sync()
        }
        world.rest()
        var loaded = 0
        for number in 1...20 {
            world.store.load([ReadSet(item(number), .payment(order: order))]) { result in
                if let group = try? result.first?.get(), group.head != nil, group.member != nil { loaded += 1 }
            }
        }
        for _ in 0..<1_000 where loaded < 20 { world.lanes.stepAll(.read) }
        #expect(loaded == 20)
    }
}
