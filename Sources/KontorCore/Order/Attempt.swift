// The attempts to check an order out, as its history keeps them: they explain later, step by step, what happened.

/// One attempt to check an order out. Times are milliseconds by the wall clock, since 1970 or since the attempt began.
public struct Attempt: Hashable, Sendable {
    /// Its number among the attempts of this incarnation of the order, from 1.
    public let number: UInt32
    /// When the attempt began, milliseconds since 1970.
    public let begun: Int64
    /// The locks that it wanted, in lock order; nil: those of the order as it is now, since a paid order cannot change.
    public let legs: [Leg]?
    /// How each leg went, in the same order.
    public var traces: [LegTrace]
    /// The decision; nil: there is none yet.
    public let decision: Decision?
    /// When it was decided, milliseconds since the attempt began; 0 without a decision.
    public let decidedAfter: UInt32
    /// When all locks had ended, milliseconds since the attempt began; nil: the attempt still runs.
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

    /// Takes over when the locks ended. How they were taken is known since the decision; a process that went on after a
    /// crash does not know it, so that part stays.
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
        /// The lock was asked for, and no reply has come.
        case silent = 1
        case held = 2
        /// Undecided checkouts held part of the account.
        case contended = 3
        /// Refused for good: the decision has the reason.
        case refused = 4
    }

    public var hold = Hold.notAsked
    /// When `hold` changed last, milliseconds since the attempt began.
    public var holdAfter: UInt32 = 0
    /// When its capture or release was acknowledged, milliseconds since the attempt began; nil: not yet.
    public var settledAfter: UInt32?
    /// The grant of its lock, for the decision to commit. The history does not keep it.
    public var grant: UInt32 = 0

    public init() {}
}

/// How the legs of a saga went so far. The order gets it with the decision and with the end.
public struct SagaTrace: Hashable, Sendable {
    /// The time of this trace, milliseconds since the attempt began.
    public let after: UInt32
    public let legs: [LegTrace]

    public init(after: UInt32, legs: [LegTrace]) {
        self.after = after
        self.legs = legs
    }
}
