// What the store does on a disk that is full: it keeps no room that it cannot use, gives its own back first, and heals
// as soon as there is room.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Full disk")
struct FullDiskTests {
    private static let room = 300 + EmbeddedLimits.lastFrameBytes

    private func world() throws -> World {
        try World { options, _ in
            options.segmentBytes = 300
            options.foldStartBytes = 1
            options.checkpointBytes = 1_000
        }
    }

    /// Makes room for three segments, which is all that is needed, and lets two seconds pass.
    private func heal(_ world: World) {
        world.disk.capacityBytes = world.disk.usedBytes + 3 * Self.room
        world.disk.isQuota = false
        world.table.isFull = false
        for _ in 0..<20 {
            world.tick(100)
            world.lanes.runAll()
        }
    }

    @Test("a disk that is full at any of 30 moments heals by itself when there is room", arguments: 0..<30)
    func heals(moment: Int) throws {
        let world = try world()
        var acknowledged: [Int] = []
        for number in 0..<moment {
            try world.batch(number)
            acknowledged.append(number)
            if number % 4 == moment % 4 { world.tick(1_500) }
            world.lanes.runAll()
        }
        world.disk.capacityBytes = world.disk.usedBytes + moment % 5 * 50
        world.disk.isQuota = moment % 2 == 0
        world.table.isFull = moment % 3 != 0
        for number in 100..<112 where world.store.admission == nil {
            try world.batch(number)
            acknowledged.append(number)
            world.tick(1_500)
            world.lanes.runAll()
        }
        if moment % 4 == 1 { world.disk.capacityBytes = world.disk.usedBytes }
        if moment % 4 > 0 { try world.restart() }
        for _ in 0..<10 {
            world.tick(1_000)
            world.lanes.runAll()
        }
        #expect(try world.heads(acknowledged) == acknowledged.map { account(Int64($0)) }, "reads are served meanwhile")
        #expect(world.store.failure == nil)
        heal(world)
        #expect(world.store.admission == nil)
        for number in 200..<210 {
            try world.write(item(number), [(.head, account(Int64(number)))])
            #expect(try world.barrier()?.get() != nil)
            acknowledged.append(number)
            world.tick(1_500)
            world.lanes.runAll()
        }
        #expect(world.store.admission == nil)
        try world.restart()
        #expect(try world.heads(acknowledged) == acknowledged.map { account(Int64($0)) })
    }

    @Test("a reservation that fails keeps nothing, and is not tried if the file system says that there is no room")
    func keepsNothing() throws {
        let world = try World { options, disk in
            options.segmentBytes = 300
            disk.capacityBytes = Self.room + 1_000
            disk.isQuota = true
        }
        #expect(world.store.admission == .diskFull)
        #expect(world.disk.partialReservations == 1)
        #expect(world.disk.usedBytes == Self.room)
        for _ in 0..<3 {
            world.tick(1_000)
            world.lanes.runAll()
            #expect(world.disk.usedBytes == Self.room)
        }
        #expect(world.disk.partialReservations == 4)
        world.disk.isQuota = false
        world.tick(1_000)
        world.lanes.runAll()
        #expect(world.disk.partialReservations == 4)
        world.disk.capacityBytes = 2 * Self.room
        world.tick(1_000)
        world.lanes.runAll()
        #expect(world.store.admission == nil)
    }

    @Test("a fold that finds no room checkpoints first: the room of the table's log is Kontor's own")
    func checkpointsFirst() throws {
        let world = try World { options, _ in
            options.foldStartBytes = 1
            options.checkpointBytes = 1 << 30
        }
        world.table.logSlices = 1
        for number in 1...5 {
            try world.batch(number)
            world.tick(100)
            world.lanes.runAll()
        }
        world.tick(100)
        #expect(world.store.admission == nil)
        #expect(world.table.slicesApplied == 5)
    }

    @Test("another process that keeps the table locked holds up the fold, and nothing else")
    func lockedTable() throws {
        let world = try world()
        world.table.isLocked = true
        for number in 1...5 {
            try world.batch(number)
            world.tick(2_000)
            world.lanes.runAll()
            #expect(world.store.failure == nil && world.store.admission == nil)
        }
        #expect(world.table.slicesApplied == 0)
        world.table.isLocked = false
        world.rest()
        #expect(world.table.slicesApplied > 0)
        #expect(world.segments.count == 1)
    }

    @Test("a start that has no room for a segment reads and writes nothing, until there is room")
    func startWithoutRoom() throws {
        let world = try world()
        try world.batch(1)
        world.disk.kill()
        for path in world.disk.paths where path.hasSuffix("spare") { try world.disk.remove(path) }
        world.disk.capacityBytes = world.disk.usedBytes
        try world.open()
        #expect(world.store.startReport.isReadOnly && world.store.admission == .diskFull)
        #expect(try world.heads([1]) == [account(1)])
        #expect(try world.write(item(2), [(.head, account(2))]) == .refused(.diskFull))
        #expect(try world.barrier()?.get() != nil, "a read waits for nothing")
        world.rest()
        #expect(world.store.failure == nil)
        #expect(world.table.slicesApplied == 0, "the table must not have what the journal may lose")
        heal(world)
        #expect(world.store.admission == nil)
        #expect(try world.write(item(2), [(.head, account(2))]) == .committed)
        world.sync()
        world.rest()
        world.disk.crash(SeededRandom(seed: 1))
        try world.open()
        #expect(try world.heads([1, 2]) == [account(1), account(2)])
    }
}
