// The address of a server or cluster as operators write it: redis://user:password@host:port,host:port/ or rediss:// for
// TLS. Parsed without Foundation. The password is never shown.

/// The reason why a text is no ``RedisURL``, in words for operators. It does not repeat the text, which may have a
/// password.
public struct RedisURLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The reason, in words for operators.
    public let description: String
    init(_ description: String) { self.description = description }
}

/// A parsed address of a server or cluster.
public struct RedisURL: Hashable, Sendable {
    /// The nodes to ask first, in order; at least one. A standalone server is one node; of a cluster any nodes will do.
    public let seeds: [RedisAddress]
    /// The user who logs in; nil is the server's default user.
    public let user: String?
    /// The user's password; nil means that nobody logs in.
    public let password: String?
    /// Whether connections are encrypted.
    public let isTLS: Bool

    /// Parses `redis://[user:password@]host[:port][,host[:port]...][/]`, or `rediss://` for TLS.
    ///
    /// User and password may be percent-encoded, the user may be empty, IPv6 hosts stand in brackets. The only database
    /// is 0: a cluster has no other.
    ///
    /// - Parameter password: A password that is kept elsewhere; nil if the URL has it. With one, the URL must have
    ///   none: `redis://user@host`, or no user either.
    public init(_ text: String, password kept: String? = nil) throws(RedisURLError) {
        var rest = Substring(text)
        if rest.removePrefix("redis://") {
            isTLS = false
        } else if rest.removePrefix("rediss://") {
            isTLS = true
        } else {
            throw RedisURLError("a Redis URL begins with redis:// or rediss://")
        }
        if kept?.isEmpty == true { throw RedisURLError("the password that is kept beside the Redis URL is empty") }
        (user, password) = try RedisURL.takeCredentials(from: &rest, kept)
        if let slash = rest.firstIndex(of: "/") {
            guard ["/", "/0"].contains(rest[slash...]) else {
                throw RedisURLError("behind the hosts of a Redis URL only / or /0 may follow: the store needs database 0")
            }
            rest = rest[..<slash]
        }
        var seeds: [RedisAddress] = []
        for part in rest.split(separator: ",", omittingEmptySubsequences: false) { seeds.append(try RedisURL.seed(part)) }
        self.seeds = seeds
    }

    /// Takes what stands before the `@` off the text: user and password.
    private static func takeCredentials(
        from rest: inout Substring, _ kept: String?
    ) throws(RedisURLError) -> (String?, String?) {
        guard let at = rest.lastIndex(of: "@") else { return (nil, kept) }
        let part = rest[..<at]
        rest = rest[rest.index(after: at)...]
        if let kept {
            if part.contains(":") { throw RedisURLError("the Redis URL has a password, and another one is kept beside it") }
            let user = try decoded(part)
            return (user.isEmpty ? nil : user, kept)
        }
        guard let colon = part.firstIndex(of: ":") else {
            throw RedisURLError("what stands before the @ of a Redis URL is user:password, or :password for the default user")
        }
        let user = try decoded(part[..<colon])
        let password = try decoded(part[part.index(after: colon)...])
        guard !password.isEmpty else { throw RedisURLError("the password in the Redis URL is empty") }
        return (user.isEmpty ? nil : user, password)
    }

    /// Undoes percent-encoding.
    private static func decoded(_ text: Substring) throws(RedisURLError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let high = Character(UnicodeScalar(high)).hexDigitValue, let low = Character(UnicodeScalar(low)).hexDigitValue
            else { throw RedisURLError("a % in user or password of a Redis URL is not followed by two hexadecimal digits") }
            bytes.append(UInt8(high << 4 | low))
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw RedisURLError("user or password in the Redis URL is not UTF-8")
        }
        return decoded
    }

    /// Reads `host`, `host:port` or `[v6]:port`.
    private static func seed(_ text: Substring) throws(RedisURLError) -> RedisAddress {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else {
                throw RedisURLError("an IPv6 host in the Redis URL lacks its closing bracket")
            }
            host = text[text.index(after: text.startIndex)..<bracket]
            let behind = text[text.index(after: bracket)...]
            guard behind.isEmpty || behind.hasPrefix(":") else {
                throw RedisURLError("behind the bracket of an IPv6 host in the Redis URL only :port may follow")
            }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard port?.contains(":") == false else {
                throw RedisURLError("an IPv6 host in the Redis URL must stand in brackets: [::1]:6379")
            }
        }
        guard !host.isEmpty else { throw RedisURLError("a host in the Redis URL is empty") }
        guard host.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }) else {
            throw RedisURLError("a host in the Redis URL has a character that no host name has")
        }
        guard let port else { return RedisAddress(host: String(host), port: RedisAddress.defaultPort) }
        guard let number = RedisAddress.port(port) else {
            throw RedisURLError("a port in the Redis URL is not a number from 1 to 65535")
        }
        return RedisAddress(host: String(host), port: number)
    }
}

extension RedisURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL with `***` for the password.
    public var description: String {
        let credentials = password == nil ? "" : "\(user ?? ""):***@"
        return "\(isTLS ? "rediss" : "redis")://\(credentials)\(seeds.map(\.description).joined(separator: ","))/"
    }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows `dump` no more than ``description``.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}

extension Substring {
    fileprivate mutating func removePrefix(_ prefix: String) -> Bool {
        guard hasPrefix(prefix) else { return false }
        removeFirst(prefix.count)
        return true
    }
}
