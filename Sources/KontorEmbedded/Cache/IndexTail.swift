// What changed of the indexes in the frames that are not folded. A page of an index is made of this and of what the
// table has.

import DequeModule
import KontorCore

/// The changes of the indexes in the frames that are not folded: as many as the journal's bound allows. Kept as bytes,
/// in chunks, so that they cost little where nobody reads them.
struct IndexTail {
    /// The oldest first.
    private var closed = Deque<IndexChunk>()
    private var open = IndexChunk.Content()

    /// Adds what a frame has of an index. A later change of the same key counts instead of an earlier one.
    ///
    /// - Parameter record: nil: it was removed.
    mutating func add(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
        open.add(key, record, sequence: sequence)
        guard open.records >= EmbeddedLimits.indexChunk else { return }
        closed.append(IndexChunk(open))
        open = IndexChunk.Content()
    }

    /// Drops chunks of which the table has all. What it has of the others does no harm.
    mutating func folded(through sequence: UInt64) {
        while let first = closed.first, first.lastSequence <= sequence { closed.removeFirst() }
        if closed.isEmpty, open.lastSequence <= sequence { open = IndexChunk.Content() }
    }

    /// All that there is, the oldest first.
    var chunks: [IndexChunk] { Array(closed) + (open.records == 0 ? [] : [IndexChunk(open)]) }
}

/// Some changes of indexes, which are sorted when they are read for the first time.
///
/// `@unchecked Sendable`: its order is used on the read lane alone, and all else of it never changes.
final class IndexChunk: @unchecked Sendable {
    /// A key of an index in the bytes of the chunk, and behind it the value of its record.
    fileprivate struct Place {
        let key: Range<Int>
        /// nil: the record was removed.
        let value: Range<Int>?
    }

    /// What a chunk is made of.
    struct Content {
        private var writer = ByteWriter()
        fileprivate private(set) var places: [Place] = []
        fileprivate private(set) var records = 0
        fileprivate private(set) var lastSequence: UInt64 = 0
        fileprivate var bytes: [UInt8] { writer.bytes }

        mutating func add(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
            let start = writer.bytes.count
            key.encode(into: &writer)
            let end = writer.bytes.count
            record?.encode(into: &writer)
            let value = record.map { _ in end..<writer.bytes.count }
            places.append(Place(key: start..<end, value: value))
            if let second = RecordKey.secondIndexKey(ofEncoded: writer.bytes[start..<end]) {
                let start = writer.bytes.count
                writer.bytes += second
                places.append(Place(key: start..<writer.bytes.count, value: value))
            }
            records += 1
            lastSequence = sequence
        }
    }

    fileprivate let lastSequence: UInt64
    private let bytes: [UInt8]
    private let unsorted: [Place]
    /// The places in the order of their keys, each key once, as it was changed last.
    private lazy var places: [Place] = sorted()

    fileprivate init(_ content: Content) {
        lastSequence = content.lastSequence
        bytes = content.bytes
        unsorted = content.places
    }

    /// The first changes of a range, at most `bound`. To be called on the read lane.
    ///
    /// - Returns: keys with their values; nil: the record was removed.
    func changes(of range: IndexRange, atMost bound: Int) -> [(key: [UInt8], value: [UInt8]?)] {
        var found: [(key: [UInt8], value: [UInt8]?)] = []
        var next = firstPlace(behind: range.start)
        while next < places.count, found.count < bound, bytes[places[next].key].lexicographicallyPrecedes(range.end) {
            found.append((Array(bytes[places[next].key]), places[next].value.map { Array(bytes[$0]) }))
            next += 1
        }
        return found
    }

    private func firstPlace(behind start: [UInt8]) -> Int {
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if start.lexicographicallyPrecedes(bytes[places[middle].key]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private func sorted() -> [Place] {
        let order = bytes.withUnsafeBytes { buffer in
            unsorted.indices.sorted { left, right in
                let order = buffer.compare(unsorted[left].key, unsorted[right].key)
                return order == 0 ? left < right : order < 0
            }
        }
        var places: [Place] = []
        places.reserveCapacity(order.count)
        for index in order {
            if let last = places.last, bytes[last.key] == bytes[unsorted[index].key] { places.removeLast() }
            places.append(unsorted[index])
        }
        return places
    }
}
