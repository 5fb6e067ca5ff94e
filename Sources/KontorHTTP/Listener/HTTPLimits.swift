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
    /// Longest body. Bodies are read and ignored, so this is room for clients that send one by habit. Past it: 413.
    public static let bodyBytes = 64 * 1024
    /// How much of a malformed value an answer repeats: enough to recognise it.
    public static let echoedCharacters = 80

    /// Requests held behind the one that is being answered, past which the connection is not read until some are
    /// answered.
    public static let pipelinedRequests = 16
    /// Requests held at the very most: four reads (one turn of the event loop) full of the shortest requests, of 18
    /// bytes. Only a client that sends thousands and hangs up gets past it, since the rest is read at once then: 429.
    public static let heldRequests = 1_024
    /// Most bytes of one read: many requests of usual size, and cheap to keep for each of thousands of connections.
    public static let receiveBytes = 4 * 1024
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
    /// How long input is thrown away after a refusal, so that the client can read it before its connection is reset.
    public static let lingerMilliseconds: Int64 = 1_000

    /// Connections waiting to be accepted: a whole load test that connects at once.
    public static let backlogConnections: Int32 = 4_096
    /// Open connections of one listener, unless configured: about 10 KiB each. The command takes fewer where the system
    /// grants fewer open files. Past it: 429.
    public static let connections = 10_000
    /// How often an event loop looks for deadlines and slow clients: often enough for a deadline, and of no cost.
    public static let sweepMilliseconds: Int64 = 50
}
