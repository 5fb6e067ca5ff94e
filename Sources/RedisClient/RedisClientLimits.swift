// Every bound of the client, with its unit and its reason. Those that an operator may want to change are the defaults
// of RedisOptions.

/// The named bounds of a client and its connections. Durations are milliseconds and sizes bytes, unless the name says
/// otherwise.
enum RedisClientLimits {
    /// Until a connection is made, encrypted and logged in: a loaded machine in the same network needs a tenth of it.
    static let connectMilliseconds: Int64 = 1_000
    /// A node that answers nothing for so long counts as stopped. Longer than a slow `fsync` and than the timeout of a
    /// `WAIT`, shorter than the people behind a request wait.
    static let commandMilliseconds: Int64 = 2_000
    /// A command may wait so many times as long if those before it are being answered, for example by a queue of `WAIT`
    /// that all time out. After that nobody is interested in its reply any more.
    static let queueFactor = 4
    /// The first pause before a lost connection is made again, and before a refused request is sent again: about as
    /// long as the keys of a slot take to move.
    static let backoffBaseMilliseconds: Int64 = 10
    /// The longest such pause: a tenth of a failover, and no load on a node that is down.
    static let backoffCapMilliseconds: Int64 = 200
    /// The shortest pause between two questions for the slot map: a thousand requests that are redirected at once cause
    /// one.
    static let refreshMilliseconds: Int64 = 100
    /// The longest pause between two such questions while no node answers them.
    static let refreshCapMilliseconds: Int64 = 500
    /// The longest pause between two searches for the slot map that find nothing new: half of a failover.
    static let searchCapMilliseconds: Int64 = 1_000
    /// A pause after which a search begins anew with the shortest pauses: whatever went on before is over.
    static let calmMilliseconds: Int64 = 10_000
    /// How many nodes are asked for the slot map at a time: one that is stopped must not hold up the others.
    static let nodesAskedAtOnce = 3
    /// How many slot maps of an older cluster epoch are refused in a row. They come from nodes that were cut off. If
    /// one more says the same, then the cluster was made anew.
    static let olderMapsRefused = 2
    /// How many different errors of nodes one search logs: one or two for each node of a large cluster.
    static let loggedErrors = 64
    /// How often waiting requests are looked at: fine enough for a deadline, and no load on the processor.
    static let sweepMilliseconds: Int64 = 10

    /// How many requests each connection holds, sent or waiting for the connection; and how many wait for another
    /// attempt. More than a fast client sends in a second. What exceeds it is not sent.
    static let heldRequests = 65_536
    /// How many bytes their commands may have. What exceeds it is not sent.
    static let heldBytes = 64 * 1024 * 1024

    /// The size of one reply with all that is in it: more than a page of keys, or a large value.
    static let replyBytes = 16 * 1024 * 1024
    /// The number of elements of one reply, nested ones included: a page of `SCAN`, or the slot map of a thousand
    /// nodes.
    static let replyElements = 262_144
    /// How deep replies nest: `CLUSTER SLOTS` needs 4, `COMMAND DOCS` 8.
    static let replyDepth = 16
    /// The length of a line that ends in CR LF: a simple string, an error, or a number. Errors of scripts have a few
    /// hundred bytes.
    static let replyLineBytes = 64 * 1024
    /// For how many elements room is made when an aggregate's header announces more; beyond it the array grows as they
    /// come.
    static let reservedElements = 1_024
}
