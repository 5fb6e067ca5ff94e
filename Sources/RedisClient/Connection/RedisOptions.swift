// What a client is told when it is made: where to connect, as whom, how long to wait. The reasons for the defaults are
// in RedisClientLimits.

/// The certificates that the client trusts, and its own.
public struct RedisTLS: Hashable, Sendable {
    /// A PEM file with the certificate authorities to trust; nil trusts those of the system.
    public var authorityFile: String?
    /// A PEM file with the client's own certificate chain; nil for none. Redis asks for one unless `tls-auth-clients
    /// no`.
    public var certificateFile: String?
    /// A PEM file with the key of the client's certificate; nil for none.
    public var keyFile: String?

    /// Trusts the authorities of the system and has no certificate, unless told otherwise.
    public init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// The configuration of a ``RedisClient``. Durations are milliseconds, sizes are bytes.
public struct RedisOptions: Sendable {
    /// The nodes to ask first, in order; at least one.
    public var seeds: [RedisAddress]
    /// The user who logs in; nil is the server's default user.
    public var user: String?
    /// The user's password; nil means that nobody logs in.
    public var password: String?
    /// How connections are encrypted; nil for plain text.
    public var tls: RedisTLS?
    /// The name of the connections in `CLIENT LIST`. No spaces.
    public var name: String
    /// How long a connection may take to be made, encrypted and logged in.
    public var connectMilliseconds = RedisClientLimits.connectMilliseconds
    /// How long a connection may go without any reply while a command waits for one. Then it is closed, and what was
    /// sent on it is unknown. While other replies come, a command may wait four times as long. The timeout of a `WAIT`
    /// must be shorter, since it holds up all commands behind it.
    public var commandMilliseconds = RedisClientLimits.commandMilliseconds
    /// The longest pause before the second attempt, doubled with each further one. Each pause is drawn from 0 up to
    /// that.
    public var backoffBaseMilliseconds = RedisClientLimits.backoffBaseMilliseconds
    /// The longest pause between any two attempts.
    public var backoffCapMilliseconds = RedisClientLimits.backoffCapMilliseconds
    /// How many requests each connection holds, sent or waiting.
    public var maximumHeldRequests = RedisClientLimits.heldRequests
    /// How many bytes their commands may have.
    public var maximumHeldBytes = RedisClientLimits.heldBytes
    /// The size of the longest reply. A longer one closes its connection.
    public var maximumReplyBytes = RedisClientLimits.replyBytes

    /// Plain text, and nobody logs in, unless set otherwise.
    ///
    /// - Parameters:
    ///   - seeds: See ``seeds``.
    ///   - name: See ``name``.
    public init(seeds: [RedisAddress], name: String) {
        self.seeds = seeds
        self.name = name
    }

    /// The options in a URL.
    ///
    /// - Parameters:
    ///   - name: See ``name``.
    ///   - tls: How connections are encrypted if the URL begins with `rediss://`.
    public init(_ url: RedisURL, name: String, tls: RedisTLS = RedisTLS()) {
        self.init(seeds: url.seeds, name: name)
        user = url.user
        password = url.password
        self.tls = url.isTLS ? tls : nil
    }
}

extension RedisOptions: CustomStringConvertible, CustomReflectable {
    /// Where the client connects to, and as whom; never the password.
    public var description: String {
        let credentials = password == nil ? "" : "\(user ?? ""):***@"
        return "\(tls == nil ? "redis" : "rediss")://\(credentials)\(seeds.map(\.description).joined(separator: ","))/"
    }

    /// Shows `dump` no more than ``description``.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}
