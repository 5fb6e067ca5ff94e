// Finds the records of open work by kind and partition, without a look at any other record.

import KontorCore
import KontorService

/// The slots of open work, in one bucket for each kind and partition. A bucket is sorted when it is scanned, and not
/// when it changes.
struct OpenWorkIndex {
    private struct Bucket {
        var slots: [UInt32] = []
        var isSorted = true
    }

    private var buckets = [Bucket](repeating: Bucket(), count: GroupKey.Kind.allCases.count * Partition.count)
    /// The number of slots in all buckets.
    private(set) var count = 0

    /// Adds a slot that is in no bucket.
    mutating func add(_ index: UInt32, in slots: SlotTable) {
        let slot = slots.pointer(index)
        let group = slot.pointee.key.group
        let bucket = Self.bucket(group.kind, Partition.of(group.id))
        slot.pointee.openBucket = Int16(bucket)
        slot.pointee.openPosition = Int32(buckets[bucket].slots.count)
        buckets[bucket].slots.append(index)
        buckets[bucket].isSorted = false
        count += 1
    }

    /// Takes a slot out of its bucket, if it is in one.
    mutating func remove(_ index: UInt32, in slots: SlotTable) {
        let slot = slots.pointer(index)
        let bucket = Int(slot.pointee.openBucket)
        guard bucket >= 0 else { return }
        let position = Int(slot.pointee.openPosition)
        let last = buckets[bucket].slots.removeLast()
        if last != index {
            buckets[bucket].slots[position] = last
            buckets[bucket].isSorted = false
            slots.pointer(last).pointee.openPosition = Int32(position)
        }
        slot.pointee.openBucket = -1
        slot.pointee.openPosition = -1
        count -= 1
    }

    /// The number of slots that belong to groups of one kind.
    func count(of kind: GroupKey.Kind) -> Int {
        let first = Self.bucket(kind, 0)
        return buckets[first..<first + Partition.count].reduce(0) { $0 + $1.slots.count }
    }

    /// The records of a bucket behind `cursor`, sorted by their keys' bytes: at most `EmbeddedLimits.scanPage`.
    mutating func page(
        _ kind: GroupKey.Kind, _ partition: Int, after cursor: RecordKey?, in slots: SlotTable
    ) -> [(key: RecordKey, record: Record)] {
        let bucket = Self.bucket(kind, partition)
        if !buckets[bucket].isSorted { sort(bucket, in: slots) }
        let sorted = buckets[bucket].slots
        var page: [(key: RecordKey, record: Record)] = []
        var position = cursor.map { firstPosition(behind: $0.encoded, sorted, in: slots) } ?? 0
        while position < sorted.count && page.count < EmbeddedLimits.scanPage {
            let slot = slots.pointer(sorted[position])
            if let record = slot.pointee.record { page.append((slot.pointee.key, record)) }
            position += 1
        }
        return page
    }

    private mutating func sort(_ bucket: Int, in slots: SlotTable) {
        var entries = buckets[bucket].slots.map { (bytes: slots.pointer($0).pointee.key.encoded, index: $0) }
        entries.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        for (position, entry) in entries.enumerated() { slots.pointer(entry.index).pointee.openPosition = Int32(position) }
        buckets[bucket] = Bucket(slots: entries.map(\.index), isSorted: true)
    }

    private func firstPosition(behind start: [UInt8], _ sorted: [UInt32], in slots: SlotTable) -> Int {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            let isBehind = start.lexicographicallyPrecedes(slots.pointer(sorted[middle]).pointee.key.encoded)
            if isBehind { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private static func bucket(_ kind: GroupKey.Kind, _ partition: Int) -> Int {
        (Int(kind.rawValue) - 1) * Partition.count + partition
    }
}

extension RecordKey {
    /// The key's bytes, by which records are sorted and stored.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.bytes.reserveCapacity(96)
        encode(into: &writer)
        return writer.bytes
    }
}
