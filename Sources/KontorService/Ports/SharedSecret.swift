// The secret of one shop's processes: whoever presents it may use the internal listeners.

/// A secret of at least ``minimumBytes``. It is compared in constant time and never printed.
public struct SharedSecret: Sendable, CustomStringConvertible {
    /// 128 bits, if the bytes are random.
    public static let minimumBytes = 16

    /// The secret itself.
    public let bytes: [UInt8]

    /// Makes a secret from a text without the white space around it, which editors leave in files; nil: it is too
    /// short.
    public init?(_ text: String) {
        let trimmed = text.drop(while: \.isWhitespace)
        let end = trimmed.lastIndex { !$0.isWhitespace }
        bytes = end.map { Array(trimmed[...$0].utf8) } ?? []
        if bytes.count < Self.minimumBytes { return nil }
    }

    /// Whether the value of an `Authorization` header has this secret.
    public func isBorne(by authorization: String?) -> Bool {
        authorization.map { Self.isBorne(bytes, by: $0.utf8) } ?? false
    }

    /// Whether the value of an `Authorization` header has a secret. It takes equally long for each wrong value of one
    /// length. The scheme's name may have capitals anywhere, and spaces behind it (RFC 9110, 11.1 and 11.4).
    public static func isBorne(_ secret: [UInt8], by authorization: some Collection<UInt8>) -> Bool {
        let space = UInt8(ascii: " ")
        guard authorization.prefix(6).map({ $0 | 0x20 }).elementsEqual("bearer".utf8) else { return false }
        let rest = authorization.dropFirst(6)
        guard rest.first == space else { return false }
        let offered = Array(rest.drop { $0 == space })
        var difference = offered.count ^ secret.count
        for (index, byte) in secret.enumerated() {
            difference |= Int(byte ^ (index < offered.count ? offered[index] : ~byte))
        }
        return difference == 0
    }

    public var description: String { "a secret" }
}
