// The ports of a shop in the test's hands: time that stands still, a log that can be read, and callers who keep their
// answers.

import KontorService

/// A clock that stands still until the test moves it.
public final class ManualClock: ShopClock {
    public var monotonicMilliseconds: Int64 = 1_000
    /// Goes along with the monotonic clock. May be set: a wall clock jumps.
    public var wallMilliseconds: Int64 {
        get { monotonicMilliseconds + wallOffset }
        set { wallOffset = newValue - monotonicMilliseconds }
    }
    private var wallOffset: Int64 = 1_700_000_000_000

    public init() {}
}

/// What an operator would read: each event with its details, in the order in which they came.
public final class RecordedEvents: EventLog {
    public private(set) var alarms: [String] = []
    public private(set) var warnings: [String] = []
    public private(set) var notices: [String] = []
    /// All of them, each behind its kind.
    public private(set) var lines: [String] = []

    public init() {}

    public func alarm(_ event: StaticString, _ details: [String: String]) {
        alarms.append("\(event) \(details)")
        lines.append("alarm: \(event) \(details)")
    }

    public func warning(_ event: StaticString, _ details: [String: String]) {
        warnings.append("\(event) \(details)")
        lines.append("warning: \(event) \(details)")
    }

    public func notice(_ event: StaticString, _ details: [String: String]) {
        notices.append("\(event) \(details)")
        lines.append("notice: \(event) \(details)")
    }
}

/// A request and its answers; more than one is a bug. `@unchecked Sendable`: tests have one thread.
public final class Request: Caller, @unchecked Sendable {
    public private(set) var answers: [ShopAnswer] = []

    public init() {}

    /// The one answer; nil if there is none, or more than one.
    public var answer: ShopAnswer? { answers.count == 1 ? answers[0] : nil }
    public var isPaid: Bool { answer == .checkout(.paid) }

    public func take(_ answer: ShopAnswer) { answers.append(answer) }
}

/// Gives each answer to its ``Request``.
public final class RecordingSink: AnswerSink {
    public init() {}

    public func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        for (caller, answer) in answers { (caller as? Request)?.take(answer) }
    }
}
