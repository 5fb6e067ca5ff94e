// Where a node listens. Written host:port, an IPv6 host in brackets.

/// A node's address. Names are resolved anew for each connection.
public struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
    /// The port of Redis where none is given.
    public static let defaultPort = 6_379

    /// A name or an IP address; IPv6 without brackets.
    public let host: String
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[v6]:port`, or what Redis writes in redirections: `v6:port` without brackets.
    ///
    /// - Returns: nil if there is no port from 1 to 65535. The host may be empty.
    public init?(_ text: Substring) {
        guard let colon = text.lastIndex(of: ":"), let port = RedisAddress.port(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(host: String(host), port: port)
    }

    /// The number of a port; nil unless it is digits that make one from 1 to 65535.
    static func port(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else { return nil }
        return Int(port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
