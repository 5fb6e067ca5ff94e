// What one of several processes does besides its own requests: it repeats lost questions, takes over sagas that others
// left, and settles locks whose sagas are over.

import KontorCore

/// The periodic work of one of several processes.
final class SharedDuties {
    private let reads: Reads
    private let takeover: Takeover?
    private let orphans: OrphanScan

    /// - Parameter serving: what this process serves; it looks after nothing else.
    init(_ parts: ShopParts, serving: Set<GroupKey.Kind>) {
        reads = parts.reads
        takeover = serving.contains(.order) ? Takeover(parts) : nil
        orphans = OrphanScan(parts, of: [.item, .user].filter(serving.contains))
    }

    func tick(now: Int64) {
        reads.tick(now: now)
        takeover?.tick(now: now)
        orphans.tick(now: now)
    }
}
