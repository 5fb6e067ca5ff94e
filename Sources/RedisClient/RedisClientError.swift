// How a request can fail. The difference that matters to whoever sent it: whether it may have had an effect.

/// The reason why a request has no replies. An error reply of the server is not among these: it is a reply.
public enum RedisClientError: Error, Hashable, Sendable {
    /// No command of the request had an effect, and none will.
    case notSent(String)
    /// The request may have had its effect, may have it later, or may have had a part of it.
    case unknown(String)

    /// What happened, in words for people.
    public var reason: String {
        switch self {
        case .notSent(let reason), .unknown(let reason): reason
        }
    }
}
