// What the embedded store counts: the journal's syncs, the fold, the cache, and why work is refused. What the names
// mean to an operator is in docs/operating.md.

import CoreMetrics
import KontorCore
import KontorService

/// The instruments of one store. Without a factory they count nothing, as in tests and in the simulator.
public final class StoreMetrics: Sendable {
    let syncSeconds, foldSeconds, checkpointSeconds: CoreMetrics.Timer
    let journalRecords, journalBytes: Counter
    let foldedRecords, foldedBytes: Counter
    let cacheMisses: Counter
    private let unfoldedBytes, unsyncedRecords, residentRecords, keptKeys: Gauge
    private let openWork: [GroupKey.Kind: Gauge]
    private let closed: [ClosedBy: Gauge]

    /// Why new work is refused: the label of a gauge.
    enum ClosedBy: String, CaseIterable {
        case diskFull = "disk_full"
        case foldBehind = "fold_behind"
        /// The system has no descriptors or memory, or does not let the journal make its next file.
        case noResources = "no_resources"
        case failed, closing
    }

    /// - Parameter factory: makes the instruments.
    public init(factory: any MetricsFactory = NOOPMetricsHandler.instance) {
        func timer(_ name: String) -> CoreMetrics.Timer { CoreMetrics.Timer(label: name, factory: factory) }
        func counter(_ name: String) -> Counter { Counter(label: name, factory: factory) }
        func gauge(_ name: String, _ labels: (String, String)...) -> Gauge {
            Gauge(label: name, dimensions: labels, factory: factory)
        }
        syncSeconds = timer("kontor_journal_sync_seconds")
        foldSeconds = timer("kontor_fold_slice_seconds")
        checkpointSeconds = timer("kontor_checkpoint_seconds")
        journalRecords = counter("kontor_journal_records")
        journalBytes = counter("kontor_journal_bytes")
        foldedRecords = counter("kontor_fold_records")
        foldedBytes = counter("kontor_fold_bytes")
        cacheMisses = counter("kontor_cache_misses")
        unfoldedBytes = gauge("kontor_unfolded_bytes")
        unsyncedRecords = gauge("kontor_unsynced_records")
        residentRecords = gauge("kontor_resident_records")
        keptKeys = gauge("kontor_kept_keys")
        openWork = Dictionary(
            uniqueKeysWithValues: GroupKey.Kind.allCases.map { ($0, gauge("kontor_open_work_records", ("kind", "\($0)"))) })
        closed = Dictionary(
            uniqueKeysWithValues: ClosedBy.allCases.map { ($0, gauge("kontor_admission_closed", ("reason", $0.rawValue))) })
    }

    /// What the gauges show.
    struct Gauges {
        let unfoldedBytes: Int
        let unsyncedRecords: Int
        let residentRecords: Int
        let keptKeys: Int
        let openWork: (GroupKey.Kind) -> Int
        /// nil if new work is taken.
        let closedBy: ClosedBy?
    }

    /// Sets the gauges. To be called once a second.
    func publish(_ gauges: Gauges) {
        unfoldedBytes.record(gauges.unfoldedBytes)
        unsyncedRecords.record(gauges.unsyncedRecords)
        residentRecords.record(gauges.residentRecords)
        keptKeys.record(gauges.keptKeys)
        for (kind, gauge) in openWork { gauge.record(gauges.openWork(kind)) }
        for (reason, gauge) in closed { gauge.record(gauges.closedBy == reason ? 1 : 0) }
    }
}

extension CoreMetrics.Timer {
    /// Runs `work` and records how long it took.
    func time<Value>(_ work: () -> Value) -> Value {
        let start = ContinuousClock.now
        let value = work()
        recordNanoseconds(since: start)
        return value
    }

    /// Records the time since `start`.
    func recordNanoseconds(since start: ContinuousClock.Instant) {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
