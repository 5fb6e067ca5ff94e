// The records in memory: a hash table with open addressing over slots that never move, so that growing copies eight
// bytes a record and no turn waits for it.

import KontorCore

/// One record in memory, or the knowledge that it does not exist.
struct Slot {
    let key: RecordKey
    /// nil if the record does not exist.
    private(set) var record: Record?
    /// The group's version, if this is its head; 0 for ``Version/absent``.
    var version: UInt64 = 0
    /// The last frame that contains the record; 0 if it is as the table has it.
    var sequence: UInt64 = 0
    /// The key's hash.
    let hash: UInt32
    /// What the record takes in a frame at most, bytes; 0 if it does not exist.
    private(set) var bytes: UInt32
    /// The record's bucket in the index of open work; -1 if it is in none.
    var openBucket: Int16 = -1
    /// The place in that bucket; -1 if it is in none.
    var openPosition: Int32 = -1
    /// Whether the record changed since the last frame was sealed.
    var isDirty = false
    /// Whether the journal or the table has the record, or may have it: then its removal must be written.
    var existsBelow: Bool
    /// Whether a read of the table is under way, and nothing is known of the record yet.
    var isLoading = false
    /// The number of loads that wait for other records and need this one together with them.
    var pins: UInt16 = 0
    /// Whether the record was used since eviction last looked.
    var isUsed = true
    /// Whether the slot has no record and waits for the next one.
    var isFree = false

    init(key: RecordKey, record: Record? = nil, hash: UInt32, existsBelow: Bool) {
        self.key = key
        self.record = record
        self.hash = hash
        self.existsBelow = existsBelow
        bytes = UInt32(clamping: record.encodedBytesAtMost)
    }

    /// Whether the record exists. To compare it with nil would copy it.
    var exists: Bool { bytes > 0 }

    /// Replaces the record; nil: it does not exist any more.
    mutating func put(_ record: Record?) {
        self.record = record
        bytes = UInt32(clamping: record.encodedBytesAtMost)
    }
}

/// A hash table of slots, found by group and member. An index stays valid until its slot is removed.
final class SlotTable {
    private struct Entry {
        var hash: UInt32
        /// The slot's index + 1; 0 if the entry is empty.
        var slot: UInt32
    }

    /// Slots of a chunk, which has some megabytes: whole huge pages.
    private static let chunkBits = 14
    private static let chunkSlots = 1 << chunkBits

    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private let hashing = KeyHash()
    private var chunks: [UnsafeMutablePointer<Slot>] = []
    private var free: [UInt32] = []
    /// All indices that were ever used are below this.
    private(set) var indexEnd = 0
    /// The number of slots that have a record, or the knowledge that there is none.
    private(set) var count = 0

    /// Makes a small table, which grows: a table that fits the processor's cache is twice as fast.
    init() {
        let capacity = 1 << 12
        entries = Self.makeEntries(capacity)
        mask = capacity - 1
    }

    deinit {
        for index in 0..<indexEnd { pointer(UInt32(index)).deinitialize(count: 1) }
        for chunk in chunks { chunk.deallocateTable() }
        entries.deallocateTable()
    }

    @inline(__always)
    func pointer(_ index: UInt32) -> UnsafeMutablePointer<Slot> {
        chunks[Int(index) >> Self.chunkBits] + (Int(index) & (Self.chunkSlots - 1))
    }

    /// The index of a record's slot; nil if there is none.
    func find(_ group: GroupKey, _ member: Member) -> UInt32? {
        let hash = hash(group, member)
        var position = Int(hash) & mask
        while true {
            let entry = entries[position]
            if entry.slot == 0 { return nil }
            if entry.hash == hash {
                let slot = pointer(entry.slot - 1)
                if slot.pointee.key.group == group && slot.pointee.key.member == member { return entry.slot - 1 }
            }
            position = (position + 1) & mask
        }
    }

    /// Adds a slot for a key that has none, and returns its index.
    func insert(_ key: RecordKey, _ record: Record?, existsBelow: Bool) -> UInt32 {
        let hash = hash(key.group, key.member)
        if count * 2 > mask { grow() }
        let index = takeIndex()
        pointer(index).initialize(to: Slot(key: key, record: record, hash: hash, existsBelow: existsBelow))
        link(Entry(hash: hash, slot: index + 1))
        count += 1
        return index
    }

    /// Removes a slot. Its index is used again.
    func remove(_ index: UInt32) {
        let slot = pointer(index)
        unlink(slot.pointee.hash, index)
        let hash = slot.pointee.hash
        slot.deinitialize(count: 1)
        slot.initialize(to: Self.freeSlot(hash))
        free.append(index)
        count -= 1
    }

    // MARK: Inside

    private func takeIndex() -> UInt32 {
        if let index = free.popLast() {
            pointer(index).deinitialize(count: 1)
            return index
        }
        if indexEnd == chunks.count << Self.chunkBits { chunks.append(.allocateTable(capacity: Self.chunkSlots)) }
        indexEnd += 1
        return UInt32(indexEnd - 1)
    }

    private static func freeSlot(_ hash: UInt32) -> Slot {
        var slot = Slot(key: RecordKey(GroupKey(.item, Identifier(number: 0)), .head), hash: hash, existsBelow: false)
        slot.isFree = true
        return slot
    }

    private static func makeEntries(_ capacity: Int) -> UnsafeMutablePointer<Entry> {
        let entries = UnsafeMutablePointer<Entry>.allocateTable(capacity: capacity)
        entries.initialize(repeating: Entry(hash: 0, slot: 0), count: capacity)
        return entries
    }

    private func link(_ entry: Entry) {
        var position = Int(entry.hash) & mask
        while entries[position].slot != 0 { position = (position + 1) & mask }
        entries[position] = entry
    }

    /// Takes an entry out and moves those behind it forward, so that no search ends too early (Knuth, The Art of
    /// Computer Programming, vol. 3, 6.4, algorithm R).
    private func unlink(_ hash: UInt32, _ index: UInt32) {
        var hole = Int(hash) & mask
        while entries[hole].slot != index + 1 { hole = (hole + 1) & mask }
        var position = hole
        while true {
            position = (position + 1) & mask
            let entry = entries[position]
            if entry.slot == 0 { break }
            let home = Int(entry.hash) & mask
            if (position - home) & mask >= (position - hole) & mask {
                entries[hole] = entry
                hole = position
            }
        }
        entries[hole] = Entry(hash: 0, slot: 0)
    }

    private func grow() {
        let old = entries
        let oldCapacity = mask + 1
        entries = Self.makeEntries(oldCapacity * 2)
        mask = oldCapacity * 2 - 1
        for position in 0..<oldCapacity where old[position].slot != 0 { link(old[position]) }
        old.deallocateTable()
    }

    private func hash(_ group: GroupKey, _ member: Member) -> UInt32 {
        var hash = hashing
        hash.mix(group.id)
        hash.mix(UInt64(group.kind.rawValue))
        switch member {
        case .head: break
        case .saga: hash.mix(1)
        case .hold(let saga):
            hash.mix(saga.order)
            hash.mix(saga.incarnation &+ UInt64(saga.attempt))
        case .payment(let order): hash.mix(order)
        case .receipt(let incarnation): hash.mix(incarnation)
        case .key(let key): hash.mix(key.text)
        case .trail(let id): hash.mix(id.number)
        case .refund(let refund), .refunded(let refund):
            hash.mix(refund.order)
            hash.mix(refund.incarnation &+ UInt64(refund.number))
        case .listed(let entry): hash.mix(UInt64(bitPattern: entry.created))
        case .due(let time): hash.mix(UInt64(bitPattern: time))
        }
        return hash.value
    }
}

/// A hash of eight bytes at a time: folded 64-bit products, after Wang Yi, "wyhash" (2019). A look-up spends most of
/// its time here, and `Hasher` takes four times as long. Keyed with random numbers, so that nobody can choose ids that
/// collide.
private struct KeyHash {
    private let factor = UInt64.random(in: .min ... .max) | 1
    private var state = UInt64.random(in: .min ... .max)

    var value: UInt32 { UInt32(truncatingIfNeeded: state ^ (state >> 32)) }

    @inline(__always)
    mutating func mix(_ word: UInt64) {
        let product = (state ^ word).multipliedFullWidth(by: factor)
        state = product.high ^ product.low ^ word
    }

    @inline(__always)
    mutating func mix(_ id: Identifier) { mix(id.text) }

    @inline(__always)
    mutating func mix(_ text: String) {
        var hash = self
        let isDone: Void? = text.utf8.withContiguousStorageIfAvailable { hash.mix(UnsafeRawBufferPointer($0)) }
        if isDone == nil { Array(text.utf8).withUnsafeBytes { hash.mix($0) } }
        self = hash
    }

    @inline(__always)
    private mutating func mix(_ bytes: UnsafeRawBufferPointer) {
        var position = 0
        while position + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            position += 8
        }
        // The length tells ids apart whose last bytes are alike.
        var rest = UInt64(bytes.count)
        while position < bytes.count {
            rest = rest << 8 | UInt64(bytes[position])
            position += 1
        }
        mix(rest)
    }
}
