// What an order remembers of its checkouts, so that one can ask later what happened, step by step (P8).

/// One attempt to check an order out. Times are wall clock: milliseconds since 1970, or since the attempt began.
public struct Attempt: Hashable, Sendable {
    public let number: UInt32
    public let begun: Int64
    /// The locks that it wanted, in lock order; nil: those of the order as it is now, which cannot change while it is checked
    /// out, and never once it is paid.
    public var legs: [Leg]?
    /// One entry a leg, in the same order.
    public var traces: [LegTrace] = []
    public var decision: Decision?
    public var decidedAfter: UInt32 = 0
    /// nil: it still runs.
    public var finishedAfter: UInt32?

    public init(number: UInt32, begun: Int64) {
        self.number = number
        self.begun = begun
    }
}

/// How one leg of an attempt went.
public struct LegTrace: Hashable, Sendable {
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

    public init() {}
}

/// What a saga tells its order with each step: how its legs went so far.
public struct SagaTrace: Hashable, Sendable {
    /// Milliseconds since the attempt began.
    public let after: UInt32
    public let legs: [LegTrace]

    public init(after: UInt32, legs: [LegTrace]) {
        self.after = after
        self.legs = legs
    }
}

extension Order {
    /// Remembers a new attempt, and forgets the oldest of too many.
    mutating func remember(_ attempt: Attempt) {
        if history.count >= Limits.rememberedAttempts { history.removeFirst() }
        history.append(attempt)
    }

    /// Changes what is remembered of an attempt, if it is remembered.
    mutating func note(_ number: UInt32, _ change: (inout Attempt) -> Void) {
        guard let last = history.indices.last, history[last].number == number else { return }
        change(&history[last])
    }
}
