// One read of the audit trail: of what the table has, and of what is not folded.

import KontorCore
import KontorService

/// A part of the trail, and what could not be read of it.
struct TrailRead: Sendable {
    let part: Result<TrailPart, StoreError>
    /// Why entries are left out, of the first few.
    private(set) var unreadable: [String] = []
    /// Reads of the table that one part may need: more than that, and it is not a few entries that are damaged.
    private static let reads = 8
    /// Damaged entries that are told to operators.
    private static let told = 10

    /// Reads it. To be called on the read lane.
    ///
    /// - Parameter tail: the newest entries that may not be in the table: all, or more than `bound`.
    init(_ table: any FoldedTable, _ tail: [FoundTrailEntry], behind id: TrailID?, atMost bound: Int) {
        do throws(EmbeddedError) {
            var found = tail
            var start = RecordKey.trailStart(behind: id)
            let known = Set(tail.map(\.entry.id))
            // What cannot be read is left out, so there may be more to read.
            for read in 1... {
                guard read <= Self.reads else { throw .table("most entries of the audit trail cannot be read") }
                let rows = try table.trail(behind: start, atMost: bound + 1)
                for row in rows {
                    do throws(FormatError) {
                        let entry = try FoundTrailEntry(decoding: row.key + row.value)
                        // Its frame may have been folded since the tail was looked at.
                        if !known.contains(entry.entry.id) { found.append(entry) }
                    } catch {
                        if unreadable.count < Self.told { unreadable.append("\(error)") }
                    }
                }
                guard rows.count > bound, found.count <= bound, let last = rows.last else { break }
                start = last.key
            }
            part = .success(TrailPart(of: found, atMost: bound))
        } catch {
            part = .failure(.unreachable("\(error)"))
        }
    }
}
