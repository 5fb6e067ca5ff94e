// The property behind all others: after a power cut at any step the store is a prefix of what was committed, and the
// prefix has everything whose barrier had completed.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Crashes")
struct CrashTests {
    /// Batch `n` writes the number n to two items of its own and to one that all share, and moves a hold from n - 1 to
    /// n.
    private func commit(_ number: Int, to world: World) throws {
        try world.write(item(number), [(.head, account(Int64(number)))])
        try world.write(item(1_000 + number), [(.head, account(Int64(number)))])
        try world.write(
            item(0),
            [(.head, account(Int64(number))), (.hold(saga(number)), hold(1)), (.hold(saga(number - 1)), nil)])
    }

    /// How many batches are there; nil if it is not a prefix.
    private func prefix(_ world: World, of count: Int) throws -> Int? {
        var last = 0
        if case .account(let account)? = try world.load(item(0)).head { last = Int(account.balance.raw) }
        for number in 1...count {
            let expected = number <= last ? account(Int64(number)) : nil
            guard try world.heads([number, 1_000 + number]) == [expected, expected],
                try world.load(item(0), .hold(saga(number))).member == (number == last ? hold(1) : nil)
            else { return nil }
        }
        return last
    }

    /// Runs batches with random steps of the lanes until the disk dies.
    /// - Returns: the batches whose barriers completed.
    private func run(_ world: World, _ random: SeededRandom, batches: ClosedRange<Int>) throws -> Int {
        let acknowledged = Box<Int>()
        acknowledged.value = batches.lowerBound - 1
        for number in batches {
            try commit(number, to: world)
            world.store.barrier { result in
                if case .success = result { acknowledged.value = number }
            }
            world.store.flush()
            if random.below(3) == 0 { world.tick(Int64(random.below(2_000))) }
            for _ in 0..<random.below(5) {
                if let lane = world.lanes.busy.randomElement(using: random) { world.lanes.step(lane) }
            }
        }
        return acknowledged.value ?? 0
    }

    private static let batches = 12

    private func world() throws -> World {
        try World { options, _ in
            options.segmentBytes = 500
            options.foldStartBytes = 300
            options.foldSliceBytes = 400
            options.checkpointBytes = 1_000
            options.cacheRecords = 8
        }
    }

    @Test("a power cut at every step loses nothing that a barrier promised", arguments: 0..<12)
    func everyStep(seed: Int) throws {
        let random = SeededRandom(seed: UInt64(seed))
        var death = 0
        while true {
            let world = try world()
            let started = world.disk.steps
            world.disk.deathStep = started + death
            let acknowledged = try run(world, random, batches: 1...Self.batches)
            let isDead = world.disk.steps > started + death
            world.disk.crash(random)
            if random.below(4) == 0 { world.table.loseLog() }
            try world.open()
            let found = try #require(try prefix(world, of: Self.batches), "not a prefix, seed \(seed), step \(death)")
            #expect(found >= acknowledged, "seed \(seed), step \(death): \(found) of \(acknowledged)")
            // It goes on, and a second crash does as little.
            let later = try run(world, random, batches: (found + 1)...(found + 4))
            world.disk.crash(random)
            try world.open()
            let foundLater = try #require(try prefix(world, of: found + 4), "seed \(seed), step \(death)")
            #expect(foundLater >= later, "seed \(seed), step \(death)")
            if !isDead { break }
            death += 1
        }
        #expect(death > 20, "the run is long enough to be cut in many places")
    }

    @Test("a power cut at every step of the very first start leaves a directory that starts", arguments: 0..<8)
    func firstStart(seed: Int) throws {
        let random = SeededRandom(seed: UInt64(seed))
        for death in 0..<20 {
            let disk = SimulatedDisk()
            let table = SimulatedTable()
            disk.deathStep = death
            for _ in 0..<2 {
                _ = try? EmbeddedStore.open(
                    "/data", lanes: ManualLanes(), random: random, files: disk, tables: table.opener)
                disk.crash(random)
            }
            let store = try EmbeddedStore.open(
                "/data", lanes: ManualLanes(), random: random, files: disk, tables: table.opener)
            #expect(store.startReport.recordsReplayed == 0)
        }
    }

    @Test("a killed process loses nothing that was written, synced or not, and its successor builds on it")
    func kill() throws {
        let world = try World()
        let random = SeededRandom(seed: 4)
        _ = try run(world, random, batches: 1...10)
        let written = world.store.groupCommit.syncedSequence
        try world.restart()
        #expect(try #require(try prefix(world, of: 10)) >= Int(written))
    }
}

extension Array {
    fileprivate func randomElement(using random: SeededRandom) -> Element? {
        isEmpty ? nil : self[random.below(count)]
    }
}
