// A refund as a value: (state, event) -> (state, actions). It only goes forward: nothing that it does can be refused
// for good, so it has no decision and no compensation.
//
//     begin -> credit all -> finish -> answer, forget

/// One open refund, from its durable begin to its end.
///
/// It waits for events only, repeats what is not answered, never gives up, and tolerates every event twice, late or
/// never.
///
/// Each copy of a credit has an expiry that follows from a moment at which the order said that the refund is open. So
/// it asks the order before it sends anything again: this process may have been paused, and another one may have ended
/// the refund meanwhile, so that the markers go which keep a copy from crediting again.
public struct RefundSaga: Sendable {
    /// What the order is asked.
    public enum Step: Hashable, Sendable {
        /// Whether the refund is open. The number tells the answer from that to an earlier question.
        case confirm(Int)
        /// To end the refund.
        case finish
        /// For the refund that another process has ended.
        case read
    }

    /// What can happen to a refund.
    public enum Event: Sendable {
        /// A ledger's reply to a leg's credit.
        case replied(leg: Int, Reply<LedgerOutcome>)
        case orderReplied(to: Step, Reply<OrderOutcome>)
        /// Time has passed. Nothing is sent to accounts of the kinds that cannot be reached now.
        case tick(unreachable: Set<GroupKey.Kind> = [])
    }

    /// What the coordinator must do for the refund. Times are monotonic milliseconds.
    public enum Action: Hashable, Sendable {
        /// Sends a leg's credit. `confirmed`: when the refund was open for sure, from which its expiry follows.
        case credit(leg: Int, confirmed: Int64)
        case askOrder(Step)
        /// Tells the finished refund to all callers; nil: it is not there, because the store has lost it.
        case end(Refund?)
        /// Alarms the operators: a ledger has refused a credit for what must not be.
        case alarm(leg: Int, LedgerOutcome)
    }

    private enum Stage: Hashable, Sendable {
        case crediting
        /// Waiting for the order's reply. It always comes, so the order is asked again only behind a reply that decided
        /// nothing: `failed` is when that came; nil: the reply is on its way.
        case asking(Step, failed: Int64?)
        case ended
    }

    private enum LegState: Hashable, Sendable {
        case idle
        /// `tries`: how often its credit was sent.
        case asked(since: Int64, tries: Int)
        case credited
    }

    public let refund: Refund
    public let legs: [Leg]
    private var stage = Stage.crediting
    private var states: [LegState]
    /// The question whether the refund is open: when it was asked, and when a reply came that did not answer it; nil:
    /// none is asked.
    private var question: (number: Int, asked: Int64, failed: Int64?)?
    private var questions = 0
    private var alarmed: Set<Int> = []
    /// The kinds of accounts that could not be reached at the last tick.
    private var unreachable: Set<GroupKey.Kind> = []

    /// - Parameter refund: the stored record, new or found in the store.
    public init(_ refund: Refund) {
        self.refund = refund
        legs = refund.legs
        states = Array(repeating: .idle, count: legs.count)
    }

    /// Begins or resumes the refund.
    ///
    /// - Parameters:
    ///   - confirmed: when it was open for sure: for a new one, when it was begun; nil: the order must be asked first.
    ///   - now: monotonic milliseconds, as everywhere.
    public mutating func start(confirmed: Int64?, now: Int64) -> [Action] {
        if legs.isEmpty { return ask(.finish) }
        guard let confirmed else { return confirm(now: now) }
        return legs.indices.map { credit($0, confirmed: confirmed, now: now) }
    }

    /// Takes an event, and gives the actions that follow from it, in order.
    public mutating func handle(_ event: Event, now: Int64) -> [Action] {
        switch event {
        case .replied(let leg, let reply): return replied(leg, reply)
        case .orderReplied(.confirm(let number), let reply): return confirmed(number, reply, now: now)
        case .orderReplied(let step, let reply): return replied(to: step, reply, now: now)
        case .tick(let unreachable):
            self.unreachable = unreachable
            return tick(now: now)
        }
    }
}

// MARK: Credits

extension RefundSaga {
    private mutating func credit(_ leg: Int, confirmed: Int64, now: Int64) -> Action {
        states[leg] = .asked(since: now, tries: tries(ofLeg: leg) + 1)
        return .credit(leg: leg, confirmed: confirmed)
    }

    private mutating func replied(_ leg: Int, _ reply: Reply<LedgerOutcome>) -> [Action] {
        // A reply that is unknown, or refused by a store, is ignored: the credit is sent again.
        guard stage == .crediting, legs.indices.contains(leg), states[leg] != .credited, case .decided(let outcome) = reply
        else { return [] }
        switch outcome {
        case .done:
            states[leg] = .credited
            return states.allSatisfy { $0 == .credited } ? ask(.finish) : []
        case .anomaly(let anomaly) where !anomaly.isAlarming: return []
        default: return alarmed.insert(leg).inserted ? [.alarm(leg: leg, outcome)] : []
        }
    }

    /// Asks whether the refund is open, before credits are sent again.
    private mutating func confirm(now: Int64) -> [Action] {
        questions += 1
        question = (questions, now, nil)
        return [.askOrder(.confirm(questions))]
    }

    private mutating func confirmed(_ number: Int, _ reply: Reply<OrderOutcome>, now: Int64) -> [Action] {
        guard stage == .crediting, let asked = question?.asked, question?.number == number else { return [] }
        guard case .decided(let outcome) = reply else {
            question?.failed = now
            return []
        }
        question = nil
        guard outcome == .refundOpen else { return ask(.read) }
        var actions: [Action] = []
        for leg in legs.indices where isDue(leg, now: now) { actions.append(credit(leg, confirmed: asked, now: now)) }
        return actions
    }
}

// MARK: The end

extension RefundSaga {
    private mutating func ask(_ step: Step) -> [Action] {
        stage = .asking(step, failed: nil)
        return [.askOrder(step)]
    }

    private mutating func replied(to step: Step, _ reply: Reply<OrderOutcome>, now: Int64) -> [Action] {
        guard case .asking(step, _) = stage else { return [] }
        guard case .decided(let outcome) = reply else {
            stage = .asking(step, failed: now)
            return []
        }
        switch (step, outcome) {
        case (_, .refund(let refund)) where refund.finished != nil: return end(refund)
        case (.finish, _): return ask(.read)
        default: return end(nil)
        }
    }

    private mutating func end(_ refund: Refund?) -> [Action] {
        stage = .ended
        return [.end(refund)]
    }
}

// MARK: Time

extension RefundSaga {
    private mutating func tick(now: Int64) -> [Action] {
        switch stage {
        case .asking(let step, let failed?) where now - failed >= Limits.resendMilliseconds: return ask(step)
        case .crediting:
            let isDue =
                question.map { $0.failed.map { now - $0 >= Limits.resendMilliseconds } ?? false }
                ?? legs.indices.contains { self.isDue($0, now: now) }
            return isDue ? confirm(now: now) : []
        default: return []
        }
    }

    /// Whether a leg's credit is to be sent, or sent again.
    private func isDue(_ leg: Int, now: Int64) -> Bool {
        switch states[leg] {
        case .credited: return false
        case .idle: return true
        case .asked(let since, let tries):
            return now - since >= Limits.resendPause(after: tries, incarnation: refund.id.incarnation)
                && !unreachable.contains(legs[leg].account.kind)
        }
    }

    private func tries(ofLeg leg: Int) -> Int {
        if case .asked(_, let tries) = states[leg] { tries } else { 0 }
    }
}
