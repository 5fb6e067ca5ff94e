// Every bound of the HTTP layer, with its unit and its reason. Past a bound a client gets a clear answer, or its
// connection is closed. The bounds of ids, amounts and deadlines are in KontorCore's Limits.

/// The named bounds of a listener and its connections. Durations are milliseconds, sizes are bytes, unless the name
/// says otherwise.
public enum HTTPLimits {

    /// Longest request target. Three identifiers of 64 characters, percent-encoded, need less than a third of it. Past
    /// it: 414.
    public static let pathBytes = 2 * 1024
    /// Names and values of all headers together, and of the largest single field: what nginx and browsers send at most.
    /// Past it: 431.
    public static let headerBytes = 16 * 1024
    /// Header fields of one request: far more than a proxy chain adds. Past it: 431.
    public static let headerFields = 100
    /// Longest body: an order of 256 lines with the longest ids needs half of it. Those of the course's API are read
    /// and ignored. Past it: 413.
    public static let bodyBytes = 64 * 1024
    /// Tags of one `If-Match`: a client has one.
    public static let entityTags = 8
    /// Fields of a query: more than any path knows.
    public static let queryFields = 8
    /// Entries of a page unless a client asks for another number.
    public static let usualPage = 50
    /// How much of a malformed value an answer repeats: enough to recognise it.
    public static let echoedCharacters = 80

    /// Requests held behind the one that is being answered, past which the connection is not read until some are
    /// answered.
    public static let pipelinedRequests = 16
    /// Requests held at the very most: more than one read, or one record of TLS (16 KiB), full of the shortest
    /// requests, of 18 bytes. Only a client that sends thousands and hangs up gets past it, since the rest is read at
    /// once then: 429.
    public static let heldRequests = 1_024
    /// Most bytes of one read: many requests of usual size, and cheap to keep for each of thousands of connections.
    public static let receiveBytes = 4 * 1024
    /// Reads of one connection in one turn of the event loop: so that what it says in one turn is held.
    public static let readsPerTurn: UInt = 1
    /// Most bytes that the decoder may hold: one header field of the largest size, and the reads of one turn behind it.
    public static let undecodedBytes = 2 * headerBytes
    /// How long a request's head may take from its first byte. A slow network needs one second; a slowloris attack
    /// never ends.
    public static let headMilliseconds: Int64 = 10_000
    /// How long a request's body may take: enough for 64 KiB over a modem.
    public static let bodyMilliseconds: Int64 = 20_000
    /// How long an idle connection is kept: longer than the 60 s of nginx, so that the proxy closes first and loses no
    /// request.
    public static let idleMilliseconds: Int64 = 75_000
    /// How long a client may refuse to read its answers.
    public static let unreadAnswerMilliseconds: Int64 = 30_000
    /// Unsent bytes at which a connection counts as one whose client does not read; no further request of it is begun.
    /// The largest answer may come on top.
    public static let unsentHighBytes = 16 * 1024
    /// Unsent bytes at which it counts as reading again.
    public static let unsentLowBytes = 4 * 1024
    /// Bytes that the system takes of a connection before it can send them, and one write more. Without this bound it
    /// takes 2.5 MiB of a client that reads nothing before the client is noticed, and tens of milliseconds.
    public static let unsentSystemBytes = 16 * 1024
    /// Connections of one event loop whose clients do not read, about 100 KiB each at worst. Past it the one that has
    /// not read for the longest is closed.
    public static let unreadConnections = 512
    /// Requests of one event loop that have arrived in part, up to 100 KiB each. Past it the one that has been arriving
    /// for the longest is refused: 408.
    public static let halfSentRequests = 1_000
    /// How long a shutdown waits for a client that has sent half of a request, or does not read its answers. A network
    /// needs a tenth of it, and nothing else may hold up a shutdown for longer than requests take.
    public static let shutdownPatienceMilliseconds: Int64 = 1_000
    /// How long input is thrown away after a refusal, so that the client can read it before its connection is reset.
    public static let lingerMilliseconds: Int64 = 1_000

    /// Connections waiting to be accepted: a whole load test that connects at once.
    public static let backlogConnections: Int32 = 4_096
    /// Open connections of one listener, unless configured: about 10 KiB each. The command takes fewer where the system
    /// grants fewer open files. Past it a new one takes the place of one that is idle; if there is none: 429.
    public static let connections = 10_000
    /// Bytes that an idle connection takes, as measured with 10,000 of them.
    public static let connectionBytes = 5 * 1024
    /// Bytes that the connections take besides which are half sent or unread, at worst.
    public static var busyConnectionsBytes: Int {
        halfSentRequests * (undecodedBytes + receiveBytes + bodyBytes) + unreadConnections * (unsentHighBytes + 80 * 1024)
    }
    /// How long a connection has been idle at least when it is closed for a new one: who has just connected, or been
    /// answered, is about to ask.
    public static let evictableMilliseconds: Int64 = 1_000
    /// Connections that are looked at for one that is idle: a look costs as much as refusing.
    public static let evictionVisits = 64
    /// Connections of one event loop beyond its bound, which are there for health checks alone: what a flood of 10,000
    /// connections a second brings while a health check sends its request. Past it the oldest is turned away.
    public static let reservedConnections = 128
    /// How long such a connection may take to ask: a health check asks at once.
    public static let reservedMilliseconds: Int64 = 2_000
    /// How much longer the answer to a request is waited for that creates an order and checks it out: the shop's own
    /// answer at the deadline names the order.
    public static let placementGraceMilliseconds: Int64 = 500
    /// How long a browser remembers that a page may use /v1, seconds.
    public static let preflightSeconds = 600
    /// How often an event loop looks for deadlines and slow clients: often enough for a deadline, and of no cost.
    public static let sweepMilliseconds: Int64 = 50
}
