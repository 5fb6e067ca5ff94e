// The checkout saga as a value: (state, event) -> (state, actions). It runs in production and in the simulator alike, and
// leaves all sending, storing and timing to the coordinator.
//
//     begin -> hold all -> decide -> capture all -> answer, finish -> forget
//                            |-----> release all -> finish, answer -> forget
//                            '-----> release all -> begin again, in lock order

/// One running attempt of a checkout, from its durable begin to its end.
///
/// It never waits for anything but an event, repeats what is not answered, and tolerates every event twice, late or never.
/// After a commit decision it can only capture; after an abort it can only release; it never gives up on either.
public struct CheckoutSaga: Sendable {
    /// What a participant is asked to do for one leg.
    public enum Step: Hashable, Sendable {
        case hold(mayWait: Bool)
        case capture
        case release
    }

    public enum Event: Sendable {
        /// A participant's reply for a leg. Replies to another attempt or step are ignored.
        case replied(leg: Int, Step, of: SagaID, Reply<LedgerOutcome>)
        /// The order's reply to `decide`, `beginAgain` or `finish`.
        case orderReplied(to: OrderStep, of: SagaID, Reply<OrderOutcome>)
        /// Time went on.
        case tick
    }

    public enum OrderStep: Hashable, Sendable {
        case decide(Decision)
        /// The decision once more, to learn whether the saga is still open. Numbered, so that no answer is taken for that to a later one.
        case confirm(Int, Decision)
        case beginAgain
        case finish
    }

    public enum Action: Hashable, Sendable {
        /// Sends a step of one leg to the leg's ledger.
        case send(Message)
        /// Has the order decide a command; the step names it in ``Event/orderReplied(to:of:_:)``.
        case askOrder(OrderStep, OrderCommand)
        /// Tells all callers; nil: somebody else ended the saga, and how is not known here.
        case answer(CheckoutResult?)
        /// No message of this attempt is repeated any more: its holds and markers may go.
        case forget(SagaID)
        /// A message that the protocol has no place for.
        case alarm(leg: Int, Anomaly)
        /// Tells whoever still waits; nil: somebody else ended the saga, maybe long ago, and who still waits must ask the order anew.
        case end(CheckoutResult?)
    }

    private enum Stage: Hashable, Sendable {
        case holding
        /// Waiting for the order's reply since a time.
        case asking(OrderStep, since: Int64)
        case settling
        case ended
    }

    private enum LegState: Hashable, Sendable {
        case idle
        case asked(since: Int64)
        /// Contended: in lock order it waits to be granted, otherwise it was refused for now.
        case contended(since: Int64)
        case held
        case settled
    }

    /// A message of this saga that a participant refused, though it must not: a bug, or the saga is over and the message was late.
    private struct Suspicion {
        let leg: Int
        let anomaly: Anomaly
    }

    public private(set) var record: SagaRecord
    /// Monotonic milliseconds: when it gives up if it is undecided.
    public let deadline: Int64
    /// Monotonic milliseconds.
    private var begun: Int64
    private var stage = Stage.holding
    private var legs: [LegState]
    private var traces: [LegTrace]
    /// Where the attempt before was contended.
    private var metOthersAt: GroupKey?
    private var hasAnswered = false
    /// The question whether the saga is still open, while it waits for the answer.
    private var question: (number: Int, since: Int64)?
    private var questions = 0
    /// What the question is about, and what came up since it was asked.
    private var suspicions: [Suspicion] = []
    private var newSuspicions: [Suspicion] = []

    /// - Parameters:
    ///   - record: as stored: new, or found by recovery in any phase.
    ///   - begun: when its attempt began, on the monotonic clock.
    public init(_ record: SagaRecord, begun: Int64, deadline: Int64) {
        self.record = record
        self.begun = begun
        self.deadline = deadline
        legs = Array(repeating: .idle, count: record.legs.count)
        traces = Array(repeating: LegTrace(), count: record.legs.count)
    }

    /// How its legs went so far. After a crash only what came after it is known.
    public func trace(now: Int64) -> SagaTrace { SagaTrace(after: elapsed(now), legs: traces) }

    /// When an unanswered message for a leg is sent again, monotonic milliseconds; nil: nothing is waited for.
    public func nextRetry(ofLeg leg: Int) -> Int64? {
        guard stage == .holding || stage == .settling else { return nil }
        switch legs[leg] {
        case .asked(let since), .contended(let since): return since + Limits.resendMilliseconds
        case .idle, .held, .settled: return nil
        }
    }

    private func elapsed(_ now: Int64) -> UInt32 { UInt32(clamping: now - begun) }

    /// The first actions, by the phase in which the saga is.
    public mutating func start(now: Int64) -> [Action] {
        legs = Array(repeating: .idle, count: record.legs.count)
        switch record.phase {
        case .holdingTogether where now >= deadline:
            // Found by recovery, and nobody waits for it any more.
            return ask(.decide(.abort(.unreachable(account: record.legs[0].account))), now: now)
        case .holdingInOrder where now >= deadline:
            // It only got here because the attempt before met others; where, only its own coordinator knows.
            let met = metOthersAt.map { AbortReason.contended(account: $0) }
            return ask(.decide(.abort(met ?? .unreachable(account: record.legs[0].account))), now: now)
        case .holdingTogether:
            stage = .holding
            return legs.indices.map { send($0, .hold(mayWait: false), now: now) }
        case .holdingInOrder:
            stage = .holding
            return holdNext(now: now)
        case .retrying, .committed, .aborted:
            return settle(now: now)
        }
    }

    public mutating func handle(_ event: Event, now: Int64) -> [Action] {
        switch event {
        case .replied(let leg, let step, let id, let reply):
            guard id == record.id else { return [] }
            if case .hold = step { return holdReplied(leg, reply, now: now) }
            return settleReplied(leg, step, reply, now: now)
        case .orderReplied(let step, let id, let reply):
            guard id == record.id, case .decided(let outcome) = reply else { return [] }
            if case .confirm(let number, _) = step { return confirmed(number, outcome, now: now) }
            guard case .asking(step, _) = stage else { return [] }
            return orderReplied(to: step, outcome, now: now)
        case .tick:
            return tick(now: now)
        }
    }
}

// MARK: Growing phase: holds

extension CheckoutSaga {
    private mutating func holdReplied(_ leg: Int, _ reply: Reply<LedgerOutcome>, now: Int64) -> [Action] {
        // Unknown, or refused by a store: asked again at a tick, until the deadline.
        guard stage == .holding, legs[leg] != .held, case .decided(let outcome) = reply else { return [] }
        let account = record.legs[leg].account
        switch outcome {
        case .held(let grant):
            legs[leg] = .held
            note(.held, leg, now)
            traces[leg].grant = grant
        case .contended:
            legs[leg] = .contended(since: now)
            note(.contended, leg, now)
        case .insufficient(let balance):
            note(.refused, leg, now)
            let wanted = record.legs[leg].amount
            return ask(.decide(.abort(.insufficient(account: account, wanted: wanted, left: balance))), now: now)
        case .unknownAccount:
            note(.refused, leg, now)
            return ask(.decide(.abort(.unknownAccount(account))), now: now)
        case .anomaly(.lateHold):
            note(.refused, leg, now)
            // It came after its expiry. Or another coordinator released this attempt, and the order knows what was decided.
            return ask(.decide(.abort(.unreachable(account: account))), now: now)
        case .anomaly(let anomaly):
            note(.refused, leg, now)
            let alarms: [Action] = anomaly.isAlarming ? [.alarm(leg: leg, anomaly)] : []
            return alarms + ask(.decide(.abort(.anomaly(account: account, anomaly))), now: now)
        default:
            return []
        }
        return holdNext(now: now)
    }

    private mutating func note(_ hold: LegTrace.Hold, _ leg: Int, _ now: Int64) {
        traces[leg].hold = hold
        traces[leg].holdAfter = elapsed(now)
    }

    private mutating func holdNext(now: Int64) -> [Action] {
        if legs.allSatisfy({ $0 == .held }) { return ask(.decide(.commit), now: now) }
        if record.phase == .holdingInOrder {
            // All before the first that is not held are held, so waiting for it cannot be part of a cycle.
            guard let next = legs.firstIndex(where: { $0 != .held }), legs[next] == .idle else { return [] }
            return [send(next, .hold(mayWait: true), now: now)]
        }
        let isComplete = legs.allSatisfy { state in
            if case .asked = state { false } else { true }
        }
        return isComplete ? ask(.decide(.retryInOrder), now: now) : []
    }

    /// Undecided at the deadline: whoever is waited for is the reason.
    private var reasonForGivingUp: AbortReason {
        var unanswered = record.legs[0].account
        for (leg, state) in legs.enumerated().reversed() {
            if case .contended = state { return .contended(account: record.legs[leg].account) }
            if case .asked = state { unanswered = record.legs[leg].account }
        }
        return .unreachable(account: unanswered)
    }
}

// MARK: Decision

extension CheckoutSaga {
    private mutating func ask(_ step: OrderStep, now: Int64) -> [Action] {
        stage = .asking(step, since: now)
        return [askOrder(step, now: now)]
    }

    private func askOrder(_ step: OrderStep, now: Int64) -> Action {
        let operation: OrderCommand.Operation
        switch step {
        case .decide(let decision), .confirm(_, let decision): operation = .decide(record.id, decision, trace(now: now))
        case .beginAgain: operation = .beginAgain(record.id, trace(now: now))
        case .finish: operation = .finish(record.id, trace(now: now))
        }
        return .askOrder(step, OrderCommand(record.id.order, operation))
    }

    private mutating func orderReplied(to step: OrderStep, _ outcome: OrderOutcome, now: Int64) -> [Action] {
        switch (step, outcome) {
        case (.decide, .decided(let standing)):
            // It may be another coordinator's decision: follow it.
            record = standing
            return settle(now: now)
        case (.beginAgain, .begun(let next)), (.beginAgain, .running(let next)):
            // What runs now may be a later checkout, begun by another process when this one was over.
            guard next.legs == record.legs, next.deadline == record.deadline else { return end(result: nil) }
            let old = record.id
            metOthersAt = traces.firstIndex { $0.hold == .contended }.map { record.legs[$0].account }
            record = next
            begun = now
            traces = Array(repeating: LegTrace(), count: next.legs.count)
            return [.forget(old)] + start(now: now)
        case (.finish, .done):
            return end(result: record.phase.result)
        case (_, .stale(let status)):
            return overtaken(status)
        default:
            return end(result: nil)
        }
    }

    /// Another coordinator ended the saga. `paid` is final; but if it was undone, that may be long ago, and whoever asks now may find
    /// other amounts.
    private mutating func overtaken(_ status: Order.Status) -> [Action] {
        end(result: status == .paid || record.phase == .committed ? .paid : nil)
    }

    private mutating func end(result: CheckoutResult?) -> [Action] {
        stage = .ended
        return answer(result) + [.forget(record.id), .end(result)]
    }

    private mutating func answer(_ result: CheckoutResult?) -> [Action] {
        if hasAnswered { return [] }
        hasAnswered = true
        return [.answer(result)]
    }
}

// MARK: Shrinking phase: captures or releases

extension CheckoutSaga {
    private var settlingStep: Step { record.phase == .committed ? .capture : .release }

    private var decision: Decision {
        switch record.phase {
        case .committed: return .commit
        case .aborted(let reason): return .abort(reason)
        case .holdingTogether, .holdingInOrder, .retrying: return .retryInOrder
        }
    }

    private mutating func settle(now: Int64) -> [Action] {
        stage = .settling
        let step = settlingStep
        // A release goes to every leg, asked or not: whoever recovers a saga cannot know which holds are on their way.
        return legs.indices.map { send($0, step, now: now) }
    }

    /// Asks whether the saga is still open, before anything of it is sent again or held against a participant: this process may have
    /// been paused, and another have ended the saga meanwhile, markers and all.
    private mutating func confirm(now: Int64) -> [Action] {
        if question == nil {
            questions += 1
            suspicions = newSuspicions
            newSuspicions = []
        }
        question = (questions, now)
        return [askOrder(.confirm(questions, decision), now: now)]
    }

    private mutating func confirmed(_ number: Int, _ outcome: OrderOutcome, now: Int64) -> [Action] {
        guard stage == .settling, question?.number == number else { return [] }
        question = nil
        switch outcome {
        case .decided: break
        case .stale(let status): return overtaken(status)
        default: return end(result: nil)
        }
        var actions: [Action] = suspicions.map { .alarm(leg: $0.leg, $0.anomaly) }
        suspicions = []
        for leg in legs.indices where isOverdue(legs[leg], now: now) { actions.append(send(leg, settlingStep, now: now)) }
        return newSuspicions.isEmpty ? actions : actions + confirm(now: now)
    }

    private mutating func settleReplied(
        _ leg: Int, _ step: Step, _ reply: Reply<LedgerOutcome>, now: Int64
    ) -> [Action] {
        guard stage == .settling, step == settlingStep, case .decided(let outcome) = reply else { return [] }
        if case .anomaly(let anomaly) = outcome {
            if newSuspicions.count < legs.count { newSuspicions.append(Suspicion(leg: leg, anomaly: anomaly)) }
            return question == nil ? confirm(now: now) : []
        }
        guard outcome == .done else { return [] }
        legs[leg] = .settled
        traces[leg].settledAfter = elapsed(now)
        guard legs.allSatisfy({ $0 == .settled }) else { return [] }
        switch record.phase {
        case .committed: return answer(.paid) + ask(.finish, now: now)
        case .retrying: return ask(.beginAgain, now: now)
        default: return ask(.finish, now: now)
        }
    }
}

// MARK: Time

extension CheckoutSaga {
    private mutating func tick(now: Int64) -> [Action] {
        var actions: [Action] = []
        if now >= deadline {
            if stage == .holding { return ask(.decide(.abort(reasonForGivingUp)), now: now) }
            // The abort is durable: the caller need not wait for the releases as well.
            if case .aborted = record.phase { actions += answer(record.phase.result) }
        }
        switch stage {
        case .asking(let step, let since) where now - since >= Limits.resendMilliseconds:
            actions += ask(step, now: now)
        case .holding:
            for leg in legs.indices where isOverdue(legs[leg], now: now) { actions.append(send(leg, holdStep, now: now)) }
        case .settling:
            let isDue =
                question.map { now - $0.since >= Limits.resendMilliseconds }
                ?? legs.contains { isOverdue($0, now: now) }
            if isDue { actions += confirm(now: now) }
        default:
            break
        }
        return actions
    }

    private var holdStep: Step { .hold(mayWait: record.phase == .holdingInOrder) }

    private func isOverdue(_ leg: LegState, now: Int64) -> Bool {
        switch leg {
        case .asked(let since): return now - since >= Limits.resendMilliseconds
        // The participant may have lost its queue of waiters.
        case .contended(let since):
            return record.phase == .holdingInOrder && now - since >= Limits.resendMilliseconds
        case .idle, .held, .settled: return false
        }
    }

    private mutating func send(_ leg: Int, _ step: Step, now: Int64) -> Action {
        legs[leg] = .asked(since: now)
        if case .hold = step, traces[leg].hold == .notAsked { note(.silent, leg, now) }
        return .send(Message(.leg(leg, step, of: record.id), .command(command(leg, step), deadline: record.deadline)))
    }

    private func command(_ leg: Int, _ step: Step) -> LedgerCommand {
        let target = record.legs[leg]
        switch step {
        case .hold(let mayWait):
            return LedgerCommand(target.account, .hold(record.id, target.amount, mayWait: mayWait, expiry: record.deadline))
        case .capture: return LedgerCommand(target.account, .capture(record.id, target.amount, grant: record.grant(ofLeg: leg)))
        case .release: return LedgerCommand(target.account, .release(record.id, target.amount, expiry: record.deadline))
        }
    }
}
