// What barriers promise, and what the store does when the disk fails or is full.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Durability")
struct DurabilityTests {
    @Test("a barrier waits for the sync of everything committed before it, and one sync serves all that wait")
    func barriers() throws {
        let world = try World()
        let done = Box<[Int]>()
        done.value = []
        try world.write(item(1), [(.head, account(1))])
        world.store.barrier { _ in done.value?.append(1) }
        world.store.flush()
        try world.write(item(2), [(.head, account(2))])
        world.store.barrier { _ in done.value?.append(2) }
        world.store.flush()
        #expect(done.value == [])
        #expect(world.store.unsyncedRecords == 2)
        let syncs = world.disk.syncCalls
        world.lanes.step(.journal)
        #expect(done.value == [1])
        world.lanes.step(.journal)
        #expect(done.value == [1, 2])
        #expect(world.disk.syncCalls == syncs + 2)
        #expect(world.store.unsyncedRecords == 0)
        world.store.barrier { _ in done.value?.append(3) }
        #expect(done.value == [1, 2, 3])
    }

    @Test("a barrier behind a handed over batch waits for that batch")
    func barrierInFlight() throws {
        let world = try World()
        try world.write(item(1), [(.head, account(1))])
        world.store.flush()
        let done = Box<Bool>()
        world.store.barrier { _ in done.value = true }
        #expect(done.value == nil)
        world.lanes.step(.journal)
        #expect(done.value == true)
    }

    @Test("a record created and removed within one batch is never written, nor is its frame")
    func nothingToWrite() throws {
        let world = try World()
        try world.batch(1)
        let size = world.disk.content(world.segments[0])?.count
        try world.write(item(1), [(.hold(saga(1)), hold(1))])
        try world.write(item(1), [(.hold(saga(1)), nil)])
        #expect(try world.barrier()?.get() != nil)
        #expect(world.disk.content(world.segments[0])?.count == size)
        #expect(world.store.residentRecords == 1 && world.store.cache.openWorkRecords == 0)
    }

    @Test("a member that is known to be absent, or not known, is told apart from one that is there")
    func guesses() throws {
        let world = try World()
        let order = Member.payment(order: Identifier(number: 1))
        try world.write(item(1), [(.head, account(1))])
        func commit() throws -> CommitOutcome? {
            var outcome: CommitOutcome?
            let version = try world.load(item(1)).version
            let change = GroupChange(group: item(1), expected: version, writes: [(.head, account(2))], absent: [order])
            world.store.commit([change]) { outcome = $0.first }
            return outcome
        }
        #expect(try commit() == .conflict, "nobody has looked")
        #expect(try world.load(item(1), order).member == nil)
        #expect(try commit() == .committed, "it was looked for, and is not there")
    }

    @Test("a hold removed in a later batch is removed for good")
    func removedLater() throws {
        let world = try World()
        try world.write(item(1), [(.head, account(1)), (.hold(saga(1)), hold(1)), (.hold(saga(2)), hold(2))])
        world.sync()
        try world.write(item(1), [(.hold(saga(1)), nil)])
        world.sync()
        try world.restart()
        #expect(try world.load(item(1), .hold(saga(1))).member == nil)
        #expect(try world.load(item(1), .hold(saga(2))).member == hold(2))
        world.rest()
        try world.restart()
        #expect(world.store.startReport.openWorkRecords == 1)
        #expect(try world.load(item(1), .hold(saga(1))).member == nil)
    }

    @Test("after a failed sync every barrier fails, now and later, and nothing is written or synced again")
    func failedSync() throws {
        let world = try World()
        try world.batch(1)
        let failures = Box<Int>()
        failures.value = 0
        let count: (Result<Void, DurabilityError>) -> Void = { result in
            if case .failure = result { failures.value? += 1 }
        }
        try world.write(item(2), [(.head, account(2))])
        world.store.barrier(count)
        world.store.flush()
        try world.write(item(3), [(.head, account(3))])
        world.store.barrier(count)
        world.disk.failsSyncs = true
        let steps = world.disk.steps
        world.lanes.runAll()
        #expect(failures.value == 2)
        #expect(world.disk.steps == steps + 2, "one write and one sync")
        world.disk.failsSyncs = false
        world.store.barrier(count)
        world.sync()
        world.rest()
        #expect(failures.value == 3)
        #expect(world.disk.steps == steps + 2)
        #expect(world.store.admission != nil)
        guard case .refused = try world.write(item(1), [(.head, account(9))]) else {
            Issue.record("a commit was taken that can never be durable")
            return
        }
    }

    @Test("the journal itself writes nothing after its first failure")
    func writerStops() throws {
        let disk = SimulatedDisk()
        let paths = JournalPaths("/data")
        try disk.createDirectory("/data")
        try disk.createDirectory(paths.directory)
        try JournalWriter.create(files: disk, paths: paths, storeID: 1)
        let end = try #require(try JournalReader(files: disk, paths: paths).read(behind: 0, storeID: nil) { _, _, _ in })
        let writer = try JournalWriter(files: disk, paths: paths, end: end, segmentBytes: 1_000)
        try writer.begin()
        let change = JournalChange(key: RecordKey(item(1), .head), record: account(1))
        disk.failsSyncs = true
        guard case .failure = writer.append([change], sequence: 1) else {
            Issue.record("the sync did not fail")
            return
        }
        disk.failsSyncs = false
        let steps = disk.steps
        guard case .failure = writer.append([change], sequence: 1), writer.reserve() != nil else {
            Issue.record("it went on")
            return
        }
        #expect(disk.steps == steps)
    }

    @Test("a write that fails for lack of space fails its barriers, although room was reserved")
    func failedWrite() throws {
        let world = try World()
        try world.write(item(2), [(.head, account(2))])
        world.disk.failsAppends = true
        guard case .failure? = world.barrier() else {
            Issue.record("the barrier did not fail")
            return
        }
        world.disk.failsAppends = false
        try world.restart()
        #expect(try world.heads([2]) == [nil])
    }

    @Test("when no room can be reserved new work is refused, begun work goes on, and it ends when there is room again")
    func diskFull() throws {
        let world = try World { options, disk in
            options.segmentBytes = 300
            // Two segments fit, and nothing else.
            disk.capacityBytes = 2 * (300 + EmbeddedLimits.lastFrameBytes)
        }
        #expect(world.store.admission == nil)
        var number = 0
        while world.store.admission == nil && number < 50 {
            number += 1
            try world.batch(number)
        }
        #expect(world.store.admission == .diskFull)
        for more in 1...20 {
            try world.batch(number + more)
            #expect(try world.barrier()?.get() != nil)
        }
        #expect(world.store.admission == .diskFull)
        world.disk.capacityBytes = .max
        world.tick(2_000)
        world.lanes.stepAll(.journal)
        #expect(world.store.admission == nil)
        try world.restart()
        #expect(try world.heads([1, number + 20]) == [account(1), account(Int64(number + 20))])
    }

    @Test("a segment is followed by the next one, although the process can open no file")
    func rotationWithoutDescriptors() throws {
        let world = try World { options, _ in options.segmentBytes = 300 }
        world.disk.hasNoDescriptors = true
        var number = 0
        while world.segments.count == 1 && number < 20 {
            number += 1
            try world.write(item(number), [(.head, account(Int64(number)))])
            #expect(try world.barrier()?.get() != nil)
        }
        #expect(world.segments.count == 2)
        try world.batch(50)
        world.disk.hasNoDescriptors = false
        try world.restart()
        #expect(try world.heads([1, 50]) == [account(1), account(50)])
    }

    @Test("new work that is refused for another reason than a full disk is told that reason")
    func otherReasonThanRoom() throws {
        let world = try World { options, _ in options.segmentBytes = 300 }
        world.disk.hasNoDescriptors = true
        for number in 1...20 { try world.batch(number) }
        guard case .unreachable(let reason)? = world.store.admission else {
            Issue.record("\(String(describing: world.store.admission))")
            return
        }
        #expect(reason.contains("open") && reason.contains("errno 24") && reason.contains("spare"), "\(reason)")
        world.disk.hasNoDescriptors = false
        world.tick(2_000)
        world.lanes.stepAll(.journal)
        #expect(world.store.admission == nil)
    }

    @Test("a batch of very large orders finds the room that is reserved for it, on a disk that has no other")
    func largeOrders() throws {
        let world = try World { options, disk in
            options.segmentBytes = 1 << 20
            disk.capacityBytes = 2 * (options.segmentBytes + EmbeddedLimits.lastFrameBytes)
        }
        let line = OrderLine(
            item: Identifier(String(repeating: "i", count: 64)) ?? Identifier(number: 0), units: Amount(1), price: Amount(1))
        var order = Order(user: Identifier(number: 1), incarnation: 1)
        order.lines = Array(repeating: line, count: Limits.orderLines)
        let groups = (0..<600).map { GroupKey(.order, Identifier(number: $0)) }
        let acknowledged = Box<Int>()
        acknowledged.value = 0
        for group in groups {
            try world.write(group, [(.head, .order(order))])
            world.store.barrier { result in
                if case .success = result { acknowledged.value? += 1 }
            }
        }
        #expect(world.store.unsyncedRecords == 600)
        world.sync()
        #expect(acknowledged.value == 600)
        #expect(world.store.failure == nil)
        #expect(world.store.unsyncedRecords == 0)
        try world.restart()
        #expect(try world.load(groups[599]).head == .order(order))
        let sizes = world.segments.map { world.disk.content($0)?.count ?? 0 }
        #expect(sizes.reduce(0, +) > EmbeddedLimits.lastFrameBytes + (1 << 20), "more than one frame may have")
        #expect(sizes.allSatisfy { $0 <= EmbeddedLimits.lastFrameBytes + (1 << 20) }, "\(sizes)")
    }

    @Test("a barrier behind a batch that was sealed and vanished waits for those before it")
    func barrierBehindSealed() throws {
        let world = try World()
        var order = Order(user: Identifier(number: 1), incarnation: 1)
        order.lines = Array(
            repeating: OrderLine(item: Identifier(number: 1), units: Amount(1), price: Amount(1)), count: Limits.orderLines)
        var number = 0
        repeat {
            number += 1
            try world.write(GroupKey(.order, Identifier(number: number)), [(.head, .order(order))])
        } while world.store.cache.dirtyRecords > 0 && number < 2_000
        try #require(world.store.cache.dirtyRecords == 0 && world.store.unsyncedRecords == number)
        let done = Box<Bool>()
        world.store.barrier { _ in done.value = true }
        #expect(done.value == nil)
        world.store.flush()
        #expect(done.value == nil)
        world.lanes.step(.journal)
        #expect(done.value == true)
    }

    @Test("a disk that is full at the start refuses new work, and serves")
    func diskFullAtStart() throws {
        let world = try World()
        try world.batch(1)
        world.disk.capacityBytes = world.disk.paths.reduce(0) { $0 + (world.disk.content($1)?.count ?? 0) } + 1
        try world.restart()
        #expect(world.store.admission == .diskFull)
        #expect(try world.heads([1]) == [account(1)])
    }

    @Test("too much journal that is not folded refuses new work until the fold has caught up")
    func foldBehind() throws {
        let world = try World { options, _ in options.unfoldedBytes = 300 }
        for number in 1...10 { try world.batch(number) }
        #expect(world.store.admission != nil)
        world.rest()
        #expect(world.store.admission == nil)
    }
}
