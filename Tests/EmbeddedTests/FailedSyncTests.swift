// What a store does after a sync has failed: the page cache shows what the disk does not have, and no later sync writes
// it.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("After a failed sync")
struct FailedSyncTests {
    private func world(_ random: SeededRandom) throws -> World {
        try World { options, _ in
            options.segmentBytes = [300, 1_000, 100_000][random.below(3)]
            options.foldStartBytes = [1, 1_000_000][random.below(2)]
            options.checkpointBytes = [1, 1_000_000][random.below(2)]
        }
    }

    /// Writes until the disk fails a sync.
    private func fail(_ world: World, _ number: Int) throws {
        try world.write(item(number), [(.head, account(Int64(number)))])
        world.disk.failsSyncs = true
        guard case .failure? = world.barrier() else { throw World.NoAnswer() }
        world.disk.failsSyncs = false
    }

    @Test("200 disks that fail a sync, are restarted, written to and lose power lose nothing that was acknowledged")
    func powerCutAfterRestart() throws {
        var lost: [String] = []
        for seed in 0..<200 {
            let random = SeededRandom(seed: UInt64(seed))
            let world = try world(random)
            var acknowledged: [Int] = []
            for round in 0..<2 {
                for number in 0..<random.below(6) { acknowledged.append(try write(world, round * 100 + number, random)) }
                try fail(world, round * 100 + 50)
                do throws(EmbeddedError) { try world.restart() } catch {
                    lost.append("seed \(seed): no start after a failed sync: \(error)")
                    break
                }
                for number in 60..<61 + random.below(6) {
                    acknowledged.append(try write(world, round * 100 + number, random))
                }
                world.disk.crash(random)
                do throws(EmbeddedError) { try world.open() } catch {
                    lost.append("seed \(seed): no start after a power cut: \(error)")
                    break
                }
                let heads = try world.heads(acknowledged)
                let missing = zip(acknowledged, heads).filter { $1 != account(Int64($0)) }.map(\.0)
                if !missing.isEmpty { lost.append("seed \(seed): acknowledged and lost: \(missing)") }
            }
        }
        #expect(lost == [], "\(lost.count) of 200 disks")
    }

    @Test("what is read after a failed sync and a restart on a full disk survives a power cut")
    func readOnFullDisk() throws {
        var lost: [String] = []
        for seed in 0..<50 {
            let random = SeededRandom(seed: UInt64(seed))
            let world = try world(random)
            for number in 0..<random.below(4) { _ = try write(world, number, random) }
            try fail(world, 50)
            world.disk.capacityBytes = 0
            try world.restart()
            let told = try world.heads([50])
            #expect(told == [account(50)], "the sync failed, and the page cache has it")
            world.disk.crash(random)
            world.disk.capacityBytes = .max
            try world.open()
            if try world.heads([50]) != told { lost.append("seed \(seed)") }
        }
        #expect(lost == [], "\(lost.count) of 50 disks took back what was read")
    }

    private func write(_ world: World, _ number: Int, _ random: SeededRandom) throws -> Int {
        try world.write(item(number), [(.head, account(Int64(number)))])
        guard case .success? = world.barrier() else { throw World.NoAnswer() }
        if random.below(3) == 0 { world.rest() }
        return number
    }
}
