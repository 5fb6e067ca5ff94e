// Every bound of the Redis client, with its unit and its reason. Those that an operator may want to change are defaults
// of RedisOptions. The bounds of the store (batch sizes, leases, scripts) are with the store.

/// The named bounds of a client and its connections. Durations are milliseconds and sizes bytes, unless the name says
/// otherwise.
public enum RedisLimits {

    /// Until a connection is made, encrypted and logged in: a loaded machine in the same network needs a tenth.
    public static let connectMilliseconds: Int64 = 1_000
    /// Without an answer for so long a node counts as stopped: longer than a `WAIT` of the store and a slow `fsync`,
    /// shorter than what a client waits.
    public static let commandMilliseconds: Int64 = 2_000
    /// And so many times as long if those before it are being answered: a queue of `WAIT` that all give up. More is worth
    /// nothing to anyone.
    public static let queueFactor = 4
    /// The first pause before a lost connection is made again, and before a refused unit is sent again: about the time
    /// in which a slot that is being moved comes to rest.
    public static let backoffBaseMilliseconds: Int64 = 10
    /// The longest such pause: a tenth of what a failover takes, and no load on a node that is down.
    public static let backoffCapMilliseconds: Int64 = 200
    /// The slot map is asked for at most so often: a thousand units that are redirected at once cost one question.
    public static let refreshMilliseconds: Int64 = 100
    /// The longest pause between two questions while no node answers them.
    public static let refreshCapMilliseconds: Int64 = 500
    /// Nodes asked for the slot map at a time: one that is stopped must not hold up the others.
    public static let probesAtOnce = 3
    /// Maps of an older cluster epoch that are refused in a row: they come from nodes that were away. If the third says
    /// the same, then the cluster was made anew.
    public static let olderMapsRefused = 2
    /// Different failures of nodes that one search logs: one or two of each node of a large cluster.
    public static let loggedFailures = 64
    /// How often the units that wait are looked at: fine enough for a deadline, and nothing to the processor.
    public static let sweepMilliseconds: Int64 = 10

    /// Units that one lane of a node holds, sent or waiting for a connection; and units that wait to be sent again. More
    /// than one second of the busiest shop. Past it: not sent.
    public static let heldUnits = 65_536
    /// What the commands of these units may take. Past it: not sent.
    public static let heldBytes = 64 * 1024 * 1024

    /// One reply with all that is in it: more than any page of keys or record that the store asks for.
    public static let replyBytes = 16 * 1024 * 1024
    /// Elements of one reply, nested ones included: a page of `SCAN`, or the slot map of a thousand nodes.
    public static let replyElements = 262_144
    /// How deep replies nest: `CLUSTER SLOTS` needs 4, `COMMAND DOCS` 8.
    public static let replyDepth = 16
    /// A line that ends in CR LF: a simple string, an error, or a number. Errors of scripts are a few hundred bytes.
    public static let replyLineBytes = 64 * 1024
    /// Room for elements made at once on the word of a header; past it an array grows as they come.
    public static let reservedElements = 1_024
}
