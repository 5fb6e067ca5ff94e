// The address of a service as an operator writes it: http://host:port, or https:// for TLS. Knows no Foundation.

/// Why a text is no ``LinkURL``, in words for operators.
public struct LinkURLError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Where a service's internal listener is. A name may stand for several replicas.
public struct LinkURL: Hashable, Sendable, CustomStringConvertible {
    /// A name or an IP address; IPv6 without brackets.
    public let host: String
    /// The TCP port.
    public let port: Int
    /// Whether links to it are encrypted.
    public let isTLS: Bool

    public init(host: String, port: Int, isTLS: Bool = false) {
        self.host = host
        self.port = port
        self.isTLS = isTLS
    }

    /// Parses `http://host:port` or `https://host:port`, with or without a slash behind it. IPv6 hosts stand in
    /// brackets.
    public init(_ text: String) throws(LinkURLError) {
        let isTLS = text.hasPrefix("https://")
        guard isTLS || text.hasPrefix("http://") else {
            throw LinkURLError("a service's URL begins with http:// or, for TLS, with https://")
        }
        var rest = text.dropFirst(isTLS ? 8 : 7)
        if rest.hasSuffix("/") { rest.removeLast() }
        guard let colon = rest.lastIndex(of: ":"), let port = LinkURL.port(rest[rest.index(after: colon)...]) else {
            throw LinkURLError("a service's URL ends with its internal port, from 1 to 65535: http://host:port")
        }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw LinkURLError("an IPv6 host in a service's URL stands in brackets: http://[::1]:8001")
        }
        guard !host.isEmpty, host.utf8.allSatisfy(LinkURL.isAllowed) else {
            throw LinkURLError("the host in a service's URL is empty, or has a character that no host name has")
        }
        self.init(host: String(host), port: port, isTLS: isTLS)
    }

    private static func port(_ text: Substring) -> Int? {
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else { return nil }
        return Int(port)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: ":"), UInt8(ascii: "%"):
            return true
        default:
            return false
        }
    }

    /// Host and port, as requests name them.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    public var description: String { "\(isTLS ? "https" : "http")://\(authority)" }
}
