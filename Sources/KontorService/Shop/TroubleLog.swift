// What is wrong with parts of the store: told to operators when it begins and when it ends, and shown as a metric while
// it lasts.

import CoreMetrics

/// Compares the store's troubles with those of a second ago. Confined to the shop's serial domain.
final class TroubleLog {
    private let log: any EventLog
    private let factory: any MetricsFactory
    private let unreadableRecords: Gauge
    private var known: [StoreTrouble] = []
    /// A gauge for each shard that was ever in trouble; there are as many shards as operators set up.
    private var shards: [String: Gauge] = [:]

    init(log: any EventLog, factory: any MetricsFactory) {
        self.log = log
        self.factory = factory
        unreadableRecords = Gauge(label: "kontor_unreadable_records", factory: factory)
    }

    /// - Parameter troubles: those of now.
    func update(_ troubles: [StoreTrouble]) {
        unreadableRecords.record(troubles.count { $0.kind == .record })
        if troubles.isEmpty && known.isEmpty { return }
        for trouble in troubles where !known.contains(where: { $0.isSame(as: trouble) }) {
            log.alarm(trouble.kind == .shard ? "A part of the store is not used" : "A record cannot be read", trouble.details)
            if trouble.kind == .shard { gauge(trouble.part).record(1) }
        }
        for trouble in known where trouble.kind == .shard && !troubles.contains(where: { $0.isSame(as: trouble) }) {
            log.notice("A part of the store is used again", trouble.details)
            gauge(trouble.part).record(0)
        }
        known = troubles
    }

    private func gauge(_ shard: String) -> Gauge {
        if let gauge = shards[shard] { return gauge }
        let gauge = Gauge(label: "kontor_store_shard_unused", dimensions: [("shard", shard)], factory: factory)
        shards[shard] = gauge
        return gauge
    }
}

extension StoreTrouble {
    /// Whether both are the same trouble; its reason may have other numbers.
    fileprivate func isSame(as other: StoreTrouble) -> Bool { kind == other.kind && part == other.part }

    fileprivate var details: [String: String] { [kind == .shard ? "shard" : "record": part, "reason": reason] }
}
