// The newest entries of the audit trail: those that the table does not have yet. A page of the trail is made of these
// and of what the table has.

import DequeModule
import KontorCore

/// The entries of the frames that are not folded: as many as the journal's bound allows.
struct TrailTail {
    /// The newest is the last one, as they come; what comes out of order is put where it belongs.
    private var entries = Deque<(sequence: UInt64, entry: FoundTrailEntry)>()

    /// Adds what a frame has of the trail; nothing for a record of another kind.
    mutating func add(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
        guard case .trail(let id) = key.member, case .trail(let note) = record else { return }
        var place = entries.count
        while place > 0, entries[place - 1].entry.entry.id.isShownBefore(id) { place -= 1 }
        // A command that was decided again has the same entry.
        if place > 0, entries[place - 1].entry.entry.id == id { return entries[place - 1].sequence = sequence }
        entries.insert((sequence, FoundTrailEntry(key.group, TrailEntry(id: id, note: note))), at: place)
    }

    /// Drops what the table has.
    mutating func folded(through sequence: UInt64) {
        if entries.contains(where: { $0.sequence <= sequence }) { entries.removeAll { $0.sequence <= sequence } }
    }

    /// The newest entries that are older than `id` (nil: of all), the newest first: at most `bound`.
    func entries(behind id: TrailID?, atMost bound: Int) -> [FoundTrailEntry] {
        var found: [FoundTrailEntry] = []
        for (_, entry) in entries.reversed() where id?.isShownBefore(entry.entry.id) != false {
            found.append(entry)
            if found.count == bound { break }
        }
        return found
    }
}
