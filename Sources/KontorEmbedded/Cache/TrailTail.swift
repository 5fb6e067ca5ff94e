// The newest entries of the audit trail: those that the table does not have yet. A page of the trail is made of these
// and of what the table has.

import DequeModule
import KontorCore

/// The entries of the frames that are not folded: as many as the journal's bound allows.
struct TrailTail {
    private var entries = Deque<(sequence: UInt64, entry: FoundTrailEntry)>()

    /// Adds what a frame has of the trail; nothing for a record of another kind.
    mutating func add(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
        guard case .trail(let id) = key.member, case .trail(let note) = record else { return }
        entries.append((sequence, FoundTrailEntry(key.group, TrailEntry(id: id, note: note))))
    }

    /// Drops what the table has.
    mutating func folded(through sequence: UInt64) {
        while let first = entries.first, first.sequence <= sequence { entries.removeFirst() }
    }

    /// The entries that are older than `id` (nil: all), in no order.
    func entries(behind id: TrailID?) -> [FoundTrailEntry] {
        let start = RecordKey.trailStart(behind: id)
        return entries.map(\.entry).filter {
            start.lexicographicallyPrecedes(RecordKey($0.group, .trail($0.entry.id)).encoded)
        }
    }

    /// The first of two lists together; an entry that is in both is there once.
    static func page(_ tail: [FoundTrailEntry], _ table: [FoundTrailEntry], atMost bound: Int) -> [FoundTrailEntry] {
        let known = Set(table.map(\.entry.id))
        let all = table + tail.filter { !known.contains($0.entry.id) }
        return Array(all.sorted(by: FoundTrailEntry.isShownBefore).prefix(bound))
    }
}
