// The address at which a node listens.

/// A node's address. Names are resolved anew for each connection. Written `host:port`, an IPv6 host in brackets.
public struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
    /// The port of a server where a URL gives none.
    static let defaultPort = 6_379

    /// A name or an IP address; IPv6 without brackets.
    public let host: String
    /// From 1 to 65535.
    public let port: Int

    /// - Parameter host: A name or an IP address; IPv6 without brackets.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[v6]:port`, or `v6:port` without brackets as redirections have it. The host may be empty.
    ///
    /// - Returns: nil if the port is not a number from 1 to 65535.
    init?(_ text: Substring) {
        guard let colon = text.lastIndex(of: ":"), let port = RedisAddress.port(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(host: String(host), port: port)
    }

    /// Reads a port; nil unless it is digits that make a number from 1 to 65535.
    static func port(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else { return nil }
        return Int(port)
    }

    /// `host:port`, an IPv6 host in brackets.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
