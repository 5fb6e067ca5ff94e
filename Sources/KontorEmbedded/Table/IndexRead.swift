// One read of an index: of what the table has, and of what is not folded.

import KontorCore
import KontorService

/// The beginning of a range of an index, and what could not be read of it.
struct IndexRead: Sendable {
    let part: Result<IndexPart, StoreError>
    /// Why records are left out, of the first few.
    private(set) var unreadable: [String] = []
    /// Damaged records that are told to operators.
    private static let told = 10

    /// What has been found of a range in one place.
    private typealias Found = [(key: [UInt8], value: [UInt8]?)]

    /// Reads it. To be called on the read lane.
    ///
    /// - Parameter tail: what changed and may not be in the table, from before this read, the oldest first.
    init(_ table: any FoldedTable, _ tail: [IndexChunk], _ range: IndexRange, atMost bound: Int) {
        do throws(EmbeddedError) {
            // One more, to see whether it is the end.
            let rows = try table.scan(range, atMost: bound + 1).map { (key: $0.key, value: Optional($0.value)) }
            let found = [rows] + tail.map { $0.changes(of: range, atMost: bound + 1) }
            part = .success(try Self.merge(found, atMost: bound, &unreadable))
        } catch {
            part = .failure(.unreachable("\(error)"))
        }
    }

    /// Merges what was found: of what is found twice the latter counts. Nothing is known behind the last key of a place
    /// that has given as much as it was asked for, so the part ends there.
    private static func merge(
        _ found: [Found], atMost bound: Int, _ unreadable: inout [String]
    ) throws(EmbeddedError) -> IndexPart {
        let horizon = found.compactMap { $0.count > bound ? $0.last?.key : nil }
            .min { $0.lexicographicallyPrecedes($1) }
        var values: [[UInt8]: [UInt8]?] = [:]
        for place in found {
            for (key, value) in place where horizon.map({ !$0.lexicographicallyPrecedes(key) }) ?? true {
                values.updateValue(value, forKey: key)
            }
        }
        var entries: [IndexEntry] = []
        for (key, value) in values.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            guard let value else { continue }
            do throws(FormatError) {
                entries.append(IndexEntry(try RecordKey(decoding: key[...]), try Record(decoding: value[...])))
            } catch {
                if unreadable.count < told { unreadable.append("\(error)") }
            }
            if entries.count > bound { return IndexPart(of: entries, atMost: bound) }
        }
        guard let horizon else { return IndexPart(entries: entries, next: nil) }
        do throws(FormatError) {
            return IndexPart(entries: entries, next: try RecordKey(decoding: horizon[...]))
        } catch {
            throw .table("the key of an index does not decode: \(error)")
        }
    }
}
