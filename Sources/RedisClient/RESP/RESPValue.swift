// A value as Redis answers it, in RESP2 or RESP3, and short ways to look into it. Decoding is RESPDecoder's.

import NIOCore

/// One reply of Redis, or an element of one.
///
/// Bulk strings are slices of what was read from the socket: who keeps one for long copies its bytes, or it holds the
/// whole read in memory.
public enum RESPValue: Hashable, Sendable {
    case simple(String)
    /// An error that Redis answered: its code, a space, and words.
    case error(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    /// A number of any length, in digits.
    case bigNumber(String)
    case bulk(ByteBuffer)
    /// Text with its format of three letters: `txt` or `mkd`.
    case verbatim(format: String, ByteBuffer)
    case null
    /// Arrays, and sets in the order in which they came.
    case array([RESPValue])
    case map([RESPPair])
    /// What the server sends unasked.
    case push([RESPValue])
}

/// One entry of a map.
public struct RESPPair: Hashable, Sendable {
    public let key: RESPValue
    public let value: RESPValue

    public init(_ key: RESPValue, _ value: RESPValue) {
        self.key = key
        self.value = value
    }
}

extension RESPValue {
    /// The text of a string of any kind, malformed UTF-8 repaired; nil for all else.
    public var string: String? {
        switch self {
        case .simple(let text), .bigNumber(let text): text
        case .bulk(let bytes), .verbatim(_, let bytes): String(buffer: bytes)
        default: nil
        }
    }

    /// The bytes of a bulk or verbatim string, without a copy; nil for all else.
    public var bytes: ByteBuffer? {
        switch self {
        case .bulk(let bytes), .verbatim(_, let bytes): bytes
        default: nil
        }
    }

    /// An integer, also one in digits of a string; nil for all else.
    public var int: Int64? {
        if case .integer(let number) = self { return number }
        return string.flatMap { Int64($0) }
    }

    /// The elements of an array, set or push; nil for all else.
    public var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The entries of a map, which RESP2 answers as an array of keys and values; nil for all else.
    public var pairs: [RESPPair]? {
        switch self {
        case .map(let pairs): pairs
        case .array(let flat) where flat.count.isMultiple(of: 2): RESPPair.pairs(of: flat)
        default: nil
        }
    }

    /// The text of an error: its code, a space, and words; nil if it is none.
    public var errorText: String? {
        if case .error(let text) = self { return text }
        return nil
    }

    /// The first word of an error: `MOVED`, `NOSCRIPT`; nil if it is none.
    public var errorCode: Substring? { errorText.map { $0.prefix { $0 != " " } } }

    public var isNull: Bool { self == .null }
}

extension RESPPair {
    /// Keys and values as they alternate. The count is even.
    static func pairs(of flat: [RESPValue]) -> [RESPPair] {
        stride(from: 0, to: flat.count - 1, by: 2).map { RESPPair(flat[$0], flat[$0 + 1]) }
    }
}
