// The bytes of the journal: a header per segment, then frames. One frame is everything of one sync, so that at most one
// frame of a journal was ever written and not synced.

import KontorCore

/// One change of a record.
struct JournalChange: Sendable {
    let key: RecordKey
    /// The record's new state; nil if it was removed.
    let record: Record?
}

/// The first bytes of a segment: magic, format version, store, first sequence, checksum of these.
struct SegmentHeader: Equatable {
    static let bytes = 32
    static let formatVersion: UInt32 = 1
    /// The bytes of "KontorJL", as a little-endian number.
    private static let magic: UInt64 = 0x4C4A_726F_746E_6F4B

    /// The store that the segment belongs to.
    let storeID: UInt64
    /// The sequence of the segment's first frame.
    let firstSequence: UInt64

    /// Why bytes are no header.
    enum Failure: Error {
        /// They are too few, or not what was written.
        case torn
        /// A later release wrote them.
        case newerFormat(UInt32)
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed(Self.magic)
        writer.fixed(Self.formatVersion)
        writer.fixed(storeID)
        writer.fixed(firstSequence)
        let checksum = writer.bytes.withUnsafeBytes { CRC32C.checksum($0) }
        writer.fixed(checksum)
        return writer.bytes
    }

    init(storeID: UInt64, firstSequence: UInt64) {
        self.storeID = storeID
        self.firstSequence = firstSequence
    }

    /// The format that a header claims to have, unchecked; nil if there are too few bytes.
    static func format(in bytes: UnsafeRawBufferPointer) -> UInt32? {
        bytes.count >= Self.bytes ? bytes.little(UInt32.self, at: 8) : nil
    }

    /// Decodes a header. The checksum's place is the same in every format, so that a newer format is told apart from
    /// damage.
    init(decoding bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard bytes.count >= Self.bytes, bytes.little(UInt64.self, at: 0) == Self.magic,
            CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<28])) == bytes.little(UInt32.self, at: 28)
        else { throw .torn }
        let version = Self.format(in: bytes) ?? 0
        if version > Self.formatVersion { throw .newerFormat(version) }
        storeID = bytes.little(UInt64.self, at: 12)
        firstSequence = bytes.little(UInt64.self, at: 20)
    }
}

/// A frame: magic (4 bytes), payload length (4), sequence (8), checksum of sequence and payload (4), payload.
///
/// The payload is the number of changes (4 bytes) and, for each change: flags (1: whether the record is present, and
/// its area of the table), key length (2), value length (4), key, value. All numbers are little-endian.
enum JournalFrame {
    static let headerBytes = 20
    /// Bytes that no id contains, because ids are printable.
    private static let magic: UInt32 = 0xF5A1_4B01
    /// The size of a change's flags and lengths.
    static let changeHeaderBytes = 7
    /// The flag of a record that is present.
    private static let isPresent: UInt8 = 1
    /// The bits of the flags that are the area of the table.
    private static let area: UInt8 = 14

    /// The bytes of a frame.
    static func encoded(_ changes: [JournalChange], sequence: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.bytes.reserveCapacity(headerBytes + changes.count * 128)
        writer.fixed(magic)
        writer.fixed(UInt32(0))
        writer.fixed(sequence)
        writer.fixed(UInt32(0))
        writer.fixed(UInt32(changes.count))
        for change in changes {
            let flags = writer.bytes.count
            writer.byte(TableArea(change.key.member).rawValue)
            let lengths = writer.bytes.count
            writer.fixed(UInt16(0))
            writer.fixed(UInt32(0))
            let keyStart = writer.bytes.count
            change.key.encode(into: &writer)
            let valueStart = writer.bytes.count
            // Looked at once: each look at an optional record copies it.
            if let record = change.record {
                writer.bytes[flags] |= isPresent
                record.encode(into: &writer)
            }
            writer.overwrite(UInt16(valueStart - keyStart), at: lengths)
            writer.overwrite(UInt32(writer.bytes.count - valueStart), at: lengths + 2)
        }
        writer.overwrite(UInt32(writer.bytes.count - headerBytes), at: 4)
        let checksum = writer.bytes.withUnsafeBytes { Self.checksum($0, at: 0, payloadBytes: $0.count - headerBytes) }
        writer.overwrite(checksum, at: 16)
        return writer.bytes
    }

    /// A whole and valid frame within a segment's bytes.
    struct Found: Equatable {
        let sequence: UInt64
        let start: Int
        let end: Int
        var payload: Range<Int> { start + headerBytes..<end }
    }

    /// The frame that begins at `offset`; nil if no valid one does.
    static func find(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Found? {
        guard bytes.count - offset >= headerBytes, bytes.little(UInt32.self, at: offset) == magic else { return nil }
        let length = Int(bytes.little(UInt32.self, at: offset + 4))
        guard length <= bytes.count - offset - headerBytes,
            checksum(bytes, at: offset, payloadBytes: length) == bytes.little(UInt32.self, at: offset + 16)
        else { return nil }
        let sequence = bytes.little(UInt64.self, at: offset + 8)
        return Found(sequence: sequence, start: offset, end: offset + headerBytes + length)
    }

    /// The size that the frame at `offset` claims to have, in bytes, unchecked; nil if there is no frame's header.
    static func claimedBytes(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Int? {
        guard bytes.count - offset >= headerBytes, bytes.little(UInt32.self, at: offset) == magic else { return nil }
        return headerBytes + Int(bytes.little(UInt32.self, at: offset + 4))
    }

    /// The first valid frame that begins anywhere behind `offset` and whose sequence is at least `sequence`; nil if
    /// there is none.
    static func findLater(in bytes: UnsafeRawBufferPointer, behind offset: Int, from sequence: UInt64) -> Found? {
        var position = offset + 1
        while position + headerBytes <= bytes.count {
            if bytes.little(UInt32.self, at: position) == magic, let found = find(in: bytes, at: position),
                found.sequence >= sequence
            {
                return found
            }
            position += 1
        }
        return nil
    }

    /// One change as it lies in the journal: ranges of the frame's bytes.
    struct RawChange {
        let key: Range<Int>
        /// nil if the record was removed.
        let value: Range<Int>?
        let area: TableArea
    }

    /// Calls `body` for each change of a payload, with ranges of `bytes`.
    /// - Returns: false if the payload is not well-formed. As the checksum is valid, only a bug can have written it.
    static func forEachChange(
        in bytes: UnsafeRawBufferPointer, payload: Range<Int>, _ body: (RawChange) throws -> Void
    ) rethrows -> Bool {
        guard payload.count >= 4 else { return false }
        var rest = bytes.little(UInt32.self, at: payload.lowerBound)
        var position = payload.lowerBound + 4
        while rest > 0 {
            guard payload.upperBound - position >= changeHeaderBytes else { return false }
            let flags = bytes[position]
            guard let area = TableArea(rawValue: flags & area) else { return false }
            let keyStart = position + changeHeaderBytes
            let valueStart = keyStart + Int(bytes.little(UInt16.self, at: position + 1))
            position = valueStart + Int(bytes.little(UInt32.self, at: position + 3))
            guard position <= payload.upperBound else { return false }
            let value = flags & isPresent == 0 ? nil : valueStart..<position
            try body(RawChange(key: keyStart..<valueStart, value: value, area: area))
            rest -= 1
        }
        return position == payload.upperBound
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer, at offset: Int, payloadBytes: Int) -> UInt32 {
        let sequence = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[offset + 8..<offset + 16]))
        let payload = offset + headerBytes
        return CRC32C.checksum(
            UnsafeRawBufferPointer(rebasing: bytes[payload..<payload + payloadBytes]), seed: sequence)
    }
}

extension UnsafeRawBufferPointer {
    /// The little-endian integer at `offset`. Traps if there are too few bytes: the caller has checked the bounds.
    @inline(__always)
    func little<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type, at offset: Int) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension ByteWriter {
    /// Overwrites bytes that were left for an integer.
    fileprivate mutating func overwrite<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self) }
    }
}
