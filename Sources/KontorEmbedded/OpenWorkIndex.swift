// Finds the records of open work by kind and partition, without a look at any other record.

import KontorCore
import KontorService

/// Slots of open work, in one bucket per kind and partition.
struct OpenWorkIndex {
    private var buckets = [[UInt32]](repeating: [], count: GroupKey.Kind.allCases.count * Partition.count)
    private(set) var count = 0

    /// Adds a slot that is not in it.
    mutating func add(_ index: UInt32, in slots: SlotTable) {
        let slot = slots.pointer(index)
        let group = slot.pointee.key.group
        let bucket = Self.bucket(group.kind, Partition.of(group.id))
        slot.pointee.openBucket = Int16(bucket)
        slot.pointee.openPosition = Int32(buckets[bucket].count)
        buckets[bucket].append(index)
        count += 1
    }

    /// Takes a slot out, if it is in.
    mutating func remove(_ index: UInt32, in slots: SlotTable) {
        let slot = slots.pointer(index)
        let bucket = Int(slot.pointee.openBucket)
        guard bucket >= 0 else { return }
        let position = Int(slot.pointee.openPosition)
        let last = buckets[bucket].removeLast()
        if last != index {
            buckets[bucket][position] = last
            slots.pointer(last).pointee.openPosition = Int32(position)
        }
        slot.pointee.openBucket = -1
        slot.pointee.openPosition = -1
        count -= 1
    }

    /// How many of one kind there are.
    func count(of kind: GroupKey.Kind) -> Int {
        let first = Self.bucket(kind, 0)
        return buckets[first..<first + Partition.count].reduce(0) { $0 + $1.count }
    }

    /// The records of a bucket behind `cursor`, sorted by their keys' bytes, at most a page.
    func page(
        _ kind: GroupKey.Kind, _ partition: Int, after cursor: RecordKey?, in slots: SlotTable
    ) -> [(key: RecordKey, record: Record)] {
        let start = cursor.map { $0.encoded }
        var found: [(bytes: [UInt8], index: UInt32)] = []
        for index in buckets[Self.bucket(kind, partition)] {
            let bytes = slots.pointer(index).pointee.key.encoded
            if let start, !start.lexicographicallyPrecedes(bytes) { continue }
            found.append((bytes, index))
        }
        found.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        return found.prefix(EmbeddedLimits.scanPage).compactMap { entry in
            let slot = slots.pointer(entry.index)
            return slot.pointee.record.map { (slot.pointee.key, $0) }
        }
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
