// What a client is told at its start: where to connect, as whom, how long to wait. The defaults, with their reasons, are
// in RedisLimits.

/// How servers are trusted, and who the client is to them.
public struct RedisTLS: Hashable, Sendable {
    /// A PEM file with the authorities to trust; nil trusts those of the system.
    public var authorityFile: String?
    /// PEM files with the client's own certificate chain and its key, where the server asks for one (as Redis does
    /// unless `tls-auth-clients no`).
    public var certificateFile: String?
    public var keyFile: String?

    public init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// The configuration of a ``RedisClient``. Durations are milliseconds, sizes are bytes.
public struct RedisOptions: Sendable {
    /// Nodes to ask first, in order; at least one.
    public var seeds: [RedisAddress]
    /// nil is Redis' default user.
    public var user: String?
    /// nil means that no one logs in.
    public var password: String?
    /// nil speaks plain text.
    public var tls: RedisTLS?
    /// How the connections are named in `CLIENT LIST`. No spaces.
    public var name = "kontor"
    public var connectMilliseconds = RedisLimits.connectMilliseconds
    /// A connection whose oldest command got no answer for so long, neither to itself nor to one before it, is closed;
    /// all commands on it are unknown. So it is after ``RedisLimits/queueFactor`` times as long if those before it are
    /// being answered. `WAIT` must give up earlier, and holds up all commands behind it.
    public var commandMilliseconds = RedisLimits.commandMilliseconds
    /// Bounds of the pauses between attempts: full jitter, from 0 to the base doubled with each attempt, up to the cap.
    public var backoffBaseMilliseconds = RedisLimits.backoffBaseMilliseconds
    public var backoffCapMilliseconds = RedisLimits.backoffCapMilliseconds
    /// Units held by each lane of a node, sent or waiting.
    public var maximumHeldUnits = RedisLimits.heldUnits
    public var maximumHeldBytes = RedisLimits.heldBytes
    public var maximumReplyBytes = RedisLimits.replyBytes

    public init(seeds: [RedisAddress]) { self.seeds = seeds }

    /// The options that a URL says. `rediss://` trusts the authorities of the system unless told otherwise.
    public init(_ url: RedisURL, tls: RedisTLS = RedisTLS()) {
        self.init(seeds: url.seeds)
        user = url.user
        password = url.password
        self.tls = url.isTLS ? tls : nil
    }
}

extension RedisOptions: CustomStringConvertible, CustomReflectable {
    /// Where it connects to, and as whom; never the password.
    public var description: String {
        let credentials = password == nil ? "" : "\(user ?? ""):***@"
        return "\(tls == nil ? "redis" : "rediss")://\(credentials)\(seeds.map(\.description).joined(separator: ","))/"
    }

    /// Shows nothing more than ``description``, also to `dump`.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}
