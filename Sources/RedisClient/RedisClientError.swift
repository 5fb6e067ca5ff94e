// How sending a unit can fail. The difference that matters: whether it may have had an effect.

/// Why a unit has no replies. An error that Redis answered is not among these: it is a reply.
public enum RedisFailure: Error, Hashable, Sendable {
    /// Nothing of the unit had an effect, and nothing will.
    case notSent(String)
    /// The unit may have had its effect, may yet have it, or may have it in part.
    case unknown(String)

    /// What happened, for people.
    public var reason: String {
        switch self {
        case .notSent(let reason), .unknown(let reason): reason
        }
    }
}

/// Which of a node's connections a unit takes, so that reads do not queue behind `WAIT`.
public enum RedisLane: Hashable, Sendable, CaseIterable {
    /// Units without effects: they may be sent any number of times.
    case reads
    /// Units that are never sent again once they may have been executed.
    case writes
}
