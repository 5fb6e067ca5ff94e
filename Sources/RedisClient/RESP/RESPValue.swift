// A value in a reply, in RESP2 or RESP3, and short ways to look into it. RESPDecoder makes them.

import NIOCore

/// One reply of a server, or an element of one.
///
/// Bulk strings are slices of what was read from the socket. Keeping one keeps the whole read in memory, so copy the
/// bytes of those that you keep for long.
public enum RESPValue: Hashable, Sendable {
    /// A short string in one line, such as `OK`.
    case simple(String)
    /// An error: its code, a space, and words.
    case error(String)
    /// A 64-bit integer.
    case integer(Int64)
    /// A floating-point number.
    case double(Double)
    /// A truth value.
    case boolean(Bool)
    /// A number of any length, in digits.
    case bigNumber(String)
    /// A string of any bytes.
    case bulk(ByteBuffer)
    /// Text with three letters for its format: `txt` or `mkd`.
    case verbatim(format: String, ByteBuffer)
    /// The absence of a value.
    case null
    /// An array, or a set in the order in which its elements came.
    case array([RESPValue])
    /// The entries of a map, in the order in which they came.
    case map([RESPPair])
    /// A message that is no reply: the server sends it unasked.
    case push([RESPValue])
}

/// One entry of a map.
public struct RESPPair: Hashable, Sendable {
    /// The entry's key.
    public let key: RESPValue
    /// The entry's value.
    public let value: RESPValue

    init(_ key: RESPValue, _ value: RESPValue) {
        self.key = key
        self.value = value
    }
}

extension RESPValue {
    /// The text of a string of any kind, malformed UTF-8 repaired; nil for other values.
    public var string: String? {
        switch self {
        case .simple(let text), .bigNumber(let text): text
        case .bulk(let bytes), .verbatim(_, let bytes): String(buffer: bytes)
        default: nil
        }
    }

    /// The bytes of a bulk or verbatim string, not copied; nil for other values.
    public var bytes: ByteBuffer? {
        switch self {
        case .bulk(let bytes), .verbatim(_, let bytes): bytes
        default: nil
        }
    }

    /// An integer, or the number in a string of digits; nil for other values.
    public var int: Int64? {
        if case .integer(let number) = self { return number }
        return string.flatMap { Int64($0) }
    }

    /// The elements of an array, set or push; nil for other values.
    public var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The entries of a map, or of an array of keys and values as RESP2 has it; nil for other values.
    public var pairs: [RESPPair]? {
        switch self {
        case .map(let pairs): pairs
        case .array(let flat) where flat.count.isMultiple(of: 2): RESPPair.pairs(of: flat)
        default: nil
        }
    }

    /// The text of an error: its code, a space, and words; nil for other values.
    public var errorText: String? {
        if case .error(let text) = self { return text }
        return nil
    }
}

extension RESPPair {
    /// Pairs of alternating keys and values. Their count is even.
    static func pairs(of flat: [RESPValue]) -> [RESPPair] {
        stride(from: 0, to: flat.count - 1, by: 2).map { RESPPair(flat[$0], flat[$0 + 1]) }
    }
}
