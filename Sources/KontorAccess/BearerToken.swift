// Tokens of the token file: 256 random bits, of which the file has the hash alone. So who reads the file can use none
// of them, and a hash without salt or stretching is enough: there is nothing to guess.

import Crypto

/// A secret that a caller sends as `Authorization: Bearer TOKEN`.
public struct BearerToken: Sendable, CustomStringConvertible {
    /// The token itself, for the one who asked for it.
    public let text: String

    /// Begins each token, so that scanners for leaked secrets can find them.
    static let prefix = "kontor_"

    /// Draws a token.
    public init(random: inout some RandomNumberGenerator) {
        let bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: random.next() as UInt64, Array.init) }
        text = Self.prefix + Base64URL.encode(bytes)
    }

    /// What the file has instead of the token.
    public var digest: TokenDigest { TokenDigest(of: text) }

    public var description: String { "a token" }
}

/// The SHA-256 of a token. Looking one up takes no time that tells something of a token: nobody can choose hashes.
public struct TokenDigest: Hashable, Sendable, CustomStringConvertible {
    private let bytes: [UInt8]

    public init(of token: String) { bytes = Array(SHA256.hash(data: Array(token.utf8))) }

    /// - Returns: nil unless it is 64 hexadecimal digits.
    init?(hex: some StringProtocol) {
        let digits = hex.utf8.map { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        guard digits.count == 64, !digits.contains(nil) else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    /// In hexadecimal digits.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// The alphabet of RFC 4648, section 5, without padding.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << UInt32(16 - 8 * $1.offset) }
            for place in 0...group.count { text.append(alphabet[Int(bits >> UInt32(18 - 6 * place)) & 63]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil unless each character is of the alphabet, and no bit is left over.
    static func decode(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in text.utf8 {
            guard let value = value(of: byte) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
                bits &= (1 << count) - 1
            }
        }
        return count < 6 && bits == 0 ? bytes : nil
    }

    private static func value(of byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
