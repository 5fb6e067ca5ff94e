// The store's numbers agree with what the disk and the table did, and a slow disk is told while it is slow.

import KontorCore
import KontorMetrics
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

extension World {
    /// A series as a scraper reads it after the next second.
    fileprivate func value(_ series: String) -> Double? {
        tick(Limits.gaugeMilliseconds)
        return registry.value(of: series)
    }
}

@Suite("The store's metrics")
struct StoreMetricsTests {
    @Test("frames, records and bytes of the journal are those that were written")
    func journal() throws {
        let world = try World()
        for number in 1...5 { try world.batch(number, records: 3) }
        #expect(world.value("kontor_journal_sync_seconds_count") == 5)
        #expect(world.value("kontor_journal_records_total") == 15)
        let written = world.disk.content(
            World.directory + "/journal/" + (world.segments.first?.split(separator: "/").last ?? ""))
        #expect(world.value("kontor_journal_bytes_total") == written.map { Double($0.count - SegmentHeader.bytes) })
        #expect(world.value("kontor_resident_records") == 15)
    }

    @Test("what is folded leaves what is unfolded, and a miss is counted when a cold record is read")
    func fold() throws {
        let world = try World { options, _ in options.cacheRecords = 10 }
        for number in 1...50 { try world.batch(number) }
        let unfolded = try #require(world.value("kontor_unfolded_bytes"))
        #expect(unfolded > 0)
        let missesBefore = try #require(world.value("kontor_cache_misses_total"))
        world.rest()
        world.rest()
        #expect(world.value("kontor_unfolded_bytes") == 0)
        #expect(world.value("kontor_fold_bytes_total") == unfolded)
        #expect(world.value("kontor_fold_records_total") == 50)
        #expect(world.value("kontor_checkpoint_seconds_count").map { $0 >= 1 } == true)
        _ = try world.heads(Array(1...50))
        let misses = try #require(world.value("kontor_cache_misses_total")) - missesBefore
        #expect(misses >= 40)
    }

    @Test("a disk without room closes admission under its reason, and opens it again")
    func admission() throws {
        let world = try World { options, disk in
            options.segmentBytes = 2_000
            disk.capacityBytes = 60 << 20
        }
        #expect(world.value(#"kontor_admission_closed{reason="disk_full"}"#) == 0)
        world.disk.capacityBytes = 0
        for number in 1...60 { try world.batch(number) }
        #expect(world.value(#"kontor_admission_closed{reason="disk_full"}"#) == 1)
        #expect(world.value(#"kontor_admission_closed{reason="failed"}"#) == 0)
        world.disk.capacityBytes = .max
        world.rest()
        #expect(world.value(#"kontor_admission_closed{reason="disk_full"}"#) == 0)
    }

    @Test("open work is counted by kind")
    func openWork() throws {
        let world = try World()
        for number in 1...4 { try world.write(item(1), [(.hold(saga(number)), hold(1))]) }
        world.sync()
        #expect(world.value(#"kontor_open_work_records{kind="item"}"#) == 4)
        #expect(world.value(#"kontor_open_work_records{kind="user"}"#) == 0)
        for number in 1...3 { try world.write(item(1), [(.hold(saga(number)), nil)]) }
        world.sync()
        #expect(world.value(#"kontor_open_work_records{kind="item"}"#) == 1)
    }

    @Test("a sync that takes long is told while it runs, once, and slow ones after it together")
    func slowSync() throws {
        let world = try World()
        world.tick()
        try world.write(item(1), [(.head, account(1))])
        world.store.flush()
        for _ in 0..<8 { world.tick() }
        #expect(world.events.lines == [], "not slow yet")
        for _ in 0..<40 { world.tick() }
        #expect(world.events.lines.count == 1)
        #expect(world.events.lines.first?.hasPrefix("warning: The disk is slow") == true)
        world.lanes.stepAll(.journal)
        for number in 2...4 {
            try world.write(item(number), [(.head, account(1))])
            world.store.flush()
            for _ in 0..<20 { world.tick() }
            world.lanes.stepAll(.journal)
            world.tick()
        }
        #expect(world.events.lines.count == 1)
        for _ in 0..<400 { world.tick() }
        #expect(world.events.lines.count == 2)
        #expect(world.events.lines.last?.contains(#""slowSyncs": "3""#) == true)
    }
}
