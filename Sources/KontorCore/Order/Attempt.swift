// What an order remembers of its checkouts, so that one can ask later what happened, step by step (P8).

/// One attempt to check an order out. Times are wall clock: milliseconds since 1970, or since the attempt began.
public struct Attempt: Hashable, Sendable {
    /// Its number among the attempts of this life of the order, from 1.
    public let number: UInt32
    /// When it began: milliseconds since 1970.
    public let begun: Int64
    /// The locks that it wanted, in lock order; nil: those of the order as it is now. It is paid, and cannot change.
    public let legs: [Leg]?
    /// One entry a leg, in the same order.
    public var traces: [LegTrace]
    /// nil: it is not decided.
    public let decision: Decision?
    /// When it was decided, milliseconds since it began; 0 without a decision.
    public let decidedAfter: UInt32
    /// When all locks were given back; nil: it still runs.
    public var finishedAfter: UInt32?

    public init(
        number: UInt32, begun: Int64, legs: [Leg]?, traces: [LegTrace], decision: Decision?, decidedAfter: UInt32 = 0,
        finishedAfter: UInt32? = nil
    ) {
        self.number = number
        self.begun = begun
        self.legs = legs
        self.traces = traces
        self.decision = decision
        self.decidedAfter = decidedAfter
        self.finishedAfter = finishedAfter
    }

    /// Takes over what is known of the locks being given back. How they were taken stands since the decision: whoever
    /// went on with the attempt after a crash does not know it.
    public mutating func settle(_ trace: SagaTrace) {
        for (leg, settled) in trace.legs.enumerated() where leg < traces.count {
            if let after = settled.settledAfter { traces[leg].settledAfter = after }
        }
    }
}

/// How one leg of an attempt went.
public struct LegTrace: Hashable, Sendable {
    /// How the request for its lock went.
    public enum Hold: UInt8, Sendable {
        case notAsked = 0
        /// Asked, and not answered.
        case silent = 1
        case held = 2
        /// Undecided checkouts held part of the account.
        case contended = 3
        /// Refused for good: the decision has the reason.
        case refused = 4
    }

    public var hold = Hold.notAsked
    /// Of the last change of `hold`, milliseconds since the attempt began.
    public var holdAfter: UInt32 = 0
    /// When its capture or release was acknowledged, milliseconds since the attempt began.
    public var settledAfter: UInt32?
    /// The grant of its lock, for the decision: the history does not keep it.
    public var grant: UInt32 = 0

    public init() {}
}

/// What a saga tells its order with its decision and its end: how its legs went so far.
public struct SagaTrace: Hashable, Sendable {
    /// Milliseconds since the attempt began.
    public let after: UInt32
    public let legs: [LegTrace]

    public init(after: UInt32, legs: [LegTrace]) {
        self.after = after
        self.legs = legs
    }
}
