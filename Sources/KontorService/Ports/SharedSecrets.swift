// The secrets of one purpose: whoever presents one of them may open links, use the internal listener, or read /metrics.

import Synchronization

/// One secret, or two while the older one is replaced. The first is the one that this process presents, all are
/// accepted. They may be replaced while they are used, are compared in constant time, and are never printed.
public final class SharedSecrets: Sendable, CustomStringConvertible {
    /// 128 bits, if the bytes are random.
    public static let minimumBytes = 16
    /// Most secrets that are valid at once: the one that comes and the one that goes.
    public static let most = 2

    /// Why a text has no secrets, in words that have nothing of the text.
    public struct Mistake: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    private let secrets: Mutex<[[UInt8]]>

    /// Reads secrets, one a line, without the white space around them, which editors leave in files. Empty lines mean
    /// nothing.
    ///
    /// - Throws: a mistake if there is none, if one is too short, or if there are more than `most`.
    public init(_ text: String, most: Int = SharedSecrets.most) throws(Mistake) {
        secrets = Mutex(try Self.read(text, most))
    }

    /// Takes the secrets of another text for those that were there.
    ///
    /// - Throws: a mistake, as the initializer does; then those that were there stay.
    public func replace(by text: String) throws(Mistake) {
        let others = try Self.read(text, Self.most)
        secrets.withLock { $0 = others }
    }

    private static func read(_ text: String, _ most: Int) throws(Mistake) -> [[UInt8]] {
        let lines = text.split(whereSeparator: \.isNewline).map(trimmed).filter { !$0.isEmpty }
        if lines.isEmpty { throw Mistake(description: "there is no secret") }
        if lines.count > most {
            throw Mistake(description: "there are \(lines.count) lines, and at most \(most) may have a secret")
        }
        if let short = lines.firstIndex(where: { $0.count < minimumBytes }) {
            throw Mistake(description: "secret \(short + 1) has fewer than \(minimumBytes) characters")
        }
        return lines
    }

    private static func trimmed(_ line: Substring) -> [UInt8] {
        let rest = line.drop(while: \.isWhitespace)
        return rest.lastIndex { !$0.isWhitespace }.map { Array(rest[...$0].utf8) } ?? []
    }

    /// How many are valid.
    public var count: Int { secrets.withLock { $0.count } }

    /// The secret that this process presents.
    public var presented: [UInt8] { secrets.withLock { $0[0] } }

    /// Whether the value of an `Authorization` header has one of the secrets. It takes equally long for each wrong
    /// value of one length. The scheme's name may have capitals anywhere, and spaces behind it (RFC 9110, 11.1 and
    /// 11.4).
    public func isBorne(by authorization: some Collection<UInt8>) -> Bool {
        let space = UInt8(ascii: " ")
        guard authorization.prefix(6).map({ $0 | 0x20 }).elementsEqual("bearer".utf8) else { return false }
        let rest = authorization.dropFirst(6)
        guard rest.first == space else { return false }
        let offered = Array(rest.drop { $0 == space })
        // All are compared, also behind the one that fits.
        return secrets.withLock { $0 }.count { Self.isEqual($0, offered) } > 0
    }

    private static func isEqual(_ secret: [UInt8], _ offered: [UInt8]) -> Bool {
        var difference = offered.count ^ secret.count
        for (index, byte) in secret.enumerated() {
            difference |= Int(byte ^ (index < offered.count ? offered[index] : ~byte))
        }
        return difference == 0
    }

    public var description: String { "secrets" }
}
