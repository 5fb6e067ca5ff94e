// Writing and reading the bytes of records. Integers are LEB128 varints or fixed little-endian; there is no padding.

/// Appends values to a byte array.
public struct ByteWriter: Sendable {
    /// What has been written.
    public var bytes: [UInt8] = []

    public init() {}

    /// Appends one byte.
    @inlinable
    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// Appends an integer in 1 to 10 bytes, smaller ones in fewer (LEB128).
    @inlinable
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends an integer in its fixed width, little-endian.
    @inlinable
    public mutating func fixed<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A length (one varint) and the bytes.
    @inlinable
    public mutating func blob(_ value: [UInt8]) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Appends a length (one varint) and the UTF-8 bytes.
    @inlinable
    public mutating func text(_ value: String) {
        var copy = value
        copy.withUTF8 { utf8 in
            varint(UInt64(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }
}

/// Why bytes could not be read: they are damaged, or a newer Kontor wrote them.
public enum FormatError: Error, Hashable, Sendable {
    case truncated
    case invalid(String)
    case newerFormat(UInt8)
}

/// Reads what a ``ByteWriter`` wrote. Never reads past the end, whatever the bytes are.
public struct ByteReader {
    public let bytes: ArraySlice<UInt8>
    /// Where the next value begins, an index of `bytes`.
    public private(set) var position: Int

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    /// Whether all bytes have been read.
    public var isAtEnd: Bool { position == bytes.endIndex }

    /// Reads what ``ByteWriter/byte(_:)`` wrote.
    public mutating func byte() throws(FormatError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncated }
        defer { position += 1 }
        return bytes[position]
    }

    /// Reads what ``ByteWriter/varint(_:)`` wrote; throws if it does not fit 64 bits.
    public mutating func varint() throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            if shift == 63 && next > 1 { throw .invalid("a varint above 64 bits") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
            if shift > 63 { throw .invalid("a varint above 64 bits") }
        }
    }

    /// Reads what ``ByteWriter/fixed(_:)`` wrote, of at most 64 bits. Inlined, because other modules would go through
    /// witness tables for every byte otherwise.
    @inlinable
    public mutating func fixed<Value: FixedWidthInteger>(_ type: Value.Type) throws(FormatError) -> Value {
        Value(truncatingIfNeeded: try littleEndian(byteCount: MemoryLayout<Value>.size))
    }

    @usableFromInline
    mutating func littleEndian(byteCount: Int) throws(FormatError) -> UInt64 {
        let slice = try take(byteCount)
        var value: UInt64 = 0
        var shift: UInt64 = 0
        for byte in slice {
            value |= UInt64(byte) &<< shift
            shift += 8
        }
        return value
    }

    /// Reads what ``ByteWriter/blob(_:)`` wrote, without a copy.
    public mutating func blob() throws(FormatError) -> ArraySlice<UInt8> {
        let count = try varint()
        guard count <= UInt64(bytes.endIndex - position) else { throw .truncated }
        return try take(Int(count))
    }

    /// Reads what ``ByteWriter/text(_:)`` wrote. Bytes that are no UTF-8 are replaced.
    public mutating func text() throws(FormatError) -> String {
        String(decoding: try blob(), as: UTF8.self)
    }

    private mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
        guard bytes.endIndex - position >= count else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }
}
