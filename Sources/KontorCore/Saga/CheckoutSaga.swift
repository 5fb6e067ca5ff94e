// The checkout saga as a value: (state, event) -> (state, actions). The coordinator sends, stores and keeps time for
// it; production and simulator run the same code.
//
//     begin -> hold all -> decide -> capture all -> answer, finish -> forget
//                            |-----> release all -> finish, answer -> forget
//                            |-----> release all -> begin again, in lock order
//                            '-----> reserve all -> answer, finish

/// One running attempt of a checkout, from its durable begin to its end.
///
/// It waits for events only, repeats what is not answered, and tolerates every event twice, late or never. After a
/// commit decision it only captures; after an abort it only releases; it never gives up on either. A saga that reserves
/// takes the locks on the stock only, and lets them stand. One that finds them releases only what it took itself.
public struct CheckoutSaga: Sendable {
    private enum Stage: Hashable, Sendable {
        case holding
        /// Waiting for the order's reply. It always comes, so the order is asked again only behind a reply that decided
        /// nothing: `failed` is when that came, monotonic milliseconds; nil: the reply is on its way.
        case asking(OrderStep, failed: Int64?)
        case settling
        case ended
    }

    private enum LegState: Hashable, Sendable {
        case idle
        /// `tries`: how often it was asked for this step.
        case asked(since: Int64, tries: Int)
        /// The hold was contended: in lock order it waits to be granted, otherwise it was refused for now.
        case contended(since: Int64, tries: Int)
        case held
        case settled
    }

    /// An anomaly that a ledger reported: a bug, or the saga is over and the message came late.
    private struct Suspicion {
        let leg: Int
        let anomaly: Anomaly
    }

    public private(set) var record: SagaRecord
    /// The moment at which an undecided saga gives up, monotonic milliseconds.
    public let deadline: Int64
    private var stage = Stage.holding
    private var legs: [LegState]
    private var notes: TraceNotes
    /// The account at which the attempt before was contended.
    private var metOthersAt: GroupKey?
    private var hasAnswered = false
    /// The question to the order whether the saga is still open, and when a reply came that did not answer it; nil:
    /// none is asked.
    private var question: (number: Int, failed: Int64?)?
    private var questions = 0
    /// The anomalies that the question is about.
    private var suspicions: [Suspicion] = []
    /// Anomalies reported since the question was asked.
    private var newSuspicions: [Suspicion] = []
    /// The kinds of accounts that could not be reached at the last tick.
    private var unreachable: Set<GroupKey.Kind> = []

    /// - Parameters:
    ///   - record: the stored record, new or found by recovery in any phase.
    ///   - begun: the moment at which its attempt began, monotonic milliseconds.
    public init(_ record: SagaRecord, begun: Int64, deadline: Int64) {
        self.record = record
        self.deadline = deadline
        legs = Array(repeating: .idle, count: record.legs.count)
        notes = TraceNotes(record, begun: begun)
    }

    /// How the legs went so far. What happened before a crash is not in it.
    public func trace(now: Int64) -> SagaTrace { notes.trace(now: now) }

    /// The moment at which an unanswered message for a leg is sent again, monotonic milliseconds; nil: no reply is
    /// waited for.
    public func nextRetry(ofLeg leg: Int) -> Int64? {
        guard stage == .holding || stage == .settling else { return nil }
        switch legs[leg] {
        case .asked(let since, let tries), .contended(let since, let tries): return since + pause(after: tries)
        case .idle, .held, .settled: return nil
        }
    }

    /// Begins or resumes the saga: gives the first actions of its phase.
    public mutating func start(now: Int64) -> [Action] {
        legs = Array(repeating: .idle, count: record.legs.count)
        if record.found != nil { for leg in legs.indices where record.isFound(leg) { legs[leg] = .held } }
        switch record.phase {
        case .holdingTogether where now >= deadline:
            // Recovery found it after its deadline: no caller waits for it.
            return ask(.decide(.abort(.unreachable(account: record.legs[0].account))), now: now)
        case .holdingInOrder where now >= deadline:
            // The attempt before was contended; only the coordinator that ran it knows at which account.
            let met = metOthersAt.map { AbortReason.contended(account: $0) }
            return ask(.decide(.abort(met ?? .unreachable(account: record.legs[0].account))), now: now)
        case .holdingTogether:
            stage = .holding
            return sendToIdle(.hold(mayWait: false), now: now)
        case .holdingInOrder:
            stage = .holding
            return holdNext(now: now)
        case .retrying, .committed, .aborted, .reserved:
            return settle(now: now)
        }
    }

    /// Takes an event, and gives the actions that follow from it, in order.
    ///
    /// - Parameter now: monotonic milliseconds.
    public mutating func handle(_ event: Event, now: Int64) -> [Action] {
        switch event {
        case .replied(let leg, let step, let id, let reply):
            guard id == record.id else { return [] }
            if case .hold = step { return holdReplied(leg, reply, now: now) }
            return settleReplied(leg, step, reply, now: now)
        case .orderReplied(let step, let id, let reply):
            guard id == record.id else { return [] }
            guard case .decided(let outcome) = reply else {
                failed(step, now: now)
                return []
            }
            if case .confirm(let number, _) = step { return confirmed(number, outcome, now: now) }
            guard case .asking(step, _) = stage else { return [] }
            return orderReplied(to: step, outcome, now: now)
        case .tick(let unreachable):
            self.unreachable = unreachable
            return tick(now: now)
        }
    }
}

// MARK: Growing phase: holds

extension CheckoutSaga {
    private mutating func holdReplied(_ leg: Int, _ reply: Reply<LedgerOutcome>, now: Int64) -> [Action] {
        // A reply that is unknown, or refused by a store, is ignored: the hold is sent again until the deadline.
        guard stage == .holding, legs[leg] != .held, case .decided(let outcome) = reply else { return [] }
        let account = record.legs[leg].account
        switch outcome {
        case .held(let grant):
            legs[leg] = .held
            notes.held(leg, grant: grant, now: now)
        case .contended:
            legs[leg] = .contended(since: now, tries: tries(ofLeg: leg))
            notes.note(.contended, ofLeg: leg, now: now)
        case .insufficient(let balance):
            notes.note(.refused, ofLeg: leg, now: now)
            let wanted = record.legs[leg].amount
            return ask(.decide(.abort(.insufficient(account: account, wanted: wanted, left: balance))), now: now)
        case .reserved(let until):
            notes.note(.refused, ofLeg: leg, now: now)
            return ask(.decide(.abort(.reserved(account: account, until: until))), now: now)
        case .unknownAccount:
            notes.note(.refused, ofLeg: leg, now: now)
            return ask(.decide(.abort(.unknownAccount(account))), now: now)
        case .alreadyPaidDirectly:
            notes.note(.refused, ofLeg: leg, now: now)
            return ask(.decide(.abort(.paidDirectly(order: record.id.order))), now: now)
        case .anomaly(.lateHold):
            notes.note(.refused, ofLeg: leg, now: now)
            // The hold came after its expiry. Or another coordinator released this attempt: then the order knows its
            // decision, and that one stands.
            return ask(.decide(.abort(.unreachable(account: account))), now: now)
        case .anomaly(let anomaly):
            notes.note(.refused, ofLeg: leg, now: now)
            let alarms: [Action] = anomaly.isAlarming ? [.alarm(leg: leg, anomaly)] : []
            return alarms + ask(.decide(.abort(.anomaly(account: account, anomaly))), now: now)
        default:
            return []
        }
        return holdNext(now: now)
    }

    private mutating func holdNext(now: Int64) -> [Action] {
        if legs.allSatisfy({ $0 == .held }) {
            return ask(.decide(record.reservesUntil.map { .reserve(until: $0) } ?? .commit), now: now)
        }
        if record.phase == .holdingInOrder {
            // All legs before this one are held, so waiting for it cannot close a circle.
            guard let next = legs.firstIndex(where: { $0 != .held }), legs[next] == .idle else { return [] }
            return [send(next, .hold(mayWait: true), now: now)]
        }
        let isComplete = legs.allSatisfy { state in
            if case .asked = state { false } else { true }
        }
        return isComplete ? ask(.decide(.retryInOrder), now: now) : []
    }

    /// The reason of an abort at the deadline: the leg that is waited for.
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
        stage = .asking(step, failed: nil)
        return [askOrder(step, now: now)]
    }

    /// Notes that a reply of the order decided nothing: it is asked again.
    private mutating func failed(_ step: OrderStep, now: Int64) {
        if case .confirm(let number, _) = step {
            if question?.number == number { question?.failed = now }
        } else if case .asking(step, _) = stage {
            stage = .asking(step, failed: now)
        }
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
            // The decision that stands may be another coordinator's.
            record = standing
            return settle(now: now)
        case (.beginAgain, .begun(let next)), (.beginAgain, .running(let next)):
            // The running saga may belong to a later checkout, which another process began after this one was over.
            guard next.legs == record.legs, next.deadline == record.deadline else { return end(result: nil) }
            let old = record.id
            metOthersAt = notes.firstContended.map { record.legs[$0].account }
            record = next
            notes = TraceNotes(next, begun: now)
            return [.forget(old)] + start(now: now)
        case (.finish, .done):
            return end(result: record.phase.result)
        case (_, .stale(let status)):
            return overtaken(status)
        default:
            return end(result: nil)
        }
    }

    /// Ends a saga that another coordinator has ended. `paid` is final, and is what a checkout was for. If it was
    /// undone, that may be long ago, and the callers must ask again: amounts may have changed since.
    private mutating func overtaken(_ status: Order.Status) -> [Action] {
        end(result: record.isOfCheckout && (status == .paid || record.phase == .committed) ? .paid : nil)
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
    private mutating func settle(now: Int64) -> [Action] {
        stage = .settling
        // A question that was asked while an earlier attempt settled is none about this one.
        question = nil
        (suspicions, newSuspicions) = ([], [])
        legs = Array(repeating: .idle, count: legs.count)
        if record.found != nil { for leg in legs.indices where !record.settles(leg) { legs[leg] = .settled } }
        // A release goes to every leg, asked or not: after a recovery nobody knows which holds are on their way.
        return sendToIdle(record.settlingStep, now: now)
    }

    /// Asks whether the saga is still open, before its messages are sent again or an alarm is raised. This process may
    /// have been paused, and another one may have ended the saga and removed its markers meanwhile.
    private mutating func confirm(now: Int64) -> [Action] {
        if question == nil {
            questions += 1
            suspicions = newSuspicions
            newSuspicions = []
        }
        question = (questions, nil)
        return [askOrder(.confirm(questions, record.decision), now: now)]
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
        for leg in legs.indices where isOverdue(leg, now: now) { actions.append(send(leg, record.settlingStep, now: now)) }
        return newSuspicions.isEmpty ? actions : actions + confirm(now: now)
    }

    private mutating func settleReplied(
        _ leg: Int, _ step: Step, _ reply: Reply<LedgerOutcome>, now: Int64
    ) -> [Action] {
        guard stage == .settling, step == record.settlingStep, case .decided(let outcome) = reply else { return [] }
        if case .anomaly(let anomaly) = outcome {
            if newSuspicions.count < legs.count { newSuspicions.append(Suspicion(leg: leg, anomaly: anomaly)) }
            return question == nil ? confirm(now: now) : []
        }
        guard outcome == .done else { return [] }
        legs[leg] = .settled
        notes.settled(leg, now: now)
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
            // The abort is durable, so the caller need not wait for the releases. Who gives back wants to see them.
            if case .aborted = record.phase, record.phase.result != .givenBack { actions += answer(record.phase.result) }
        }
        switch stage {
        case .asking(let step, let failed?) where now - failed >= Limits.resendMilliseconds:
            actions += ask(step, now: now)
        case .holding:
            for leg in legs.indices where isOverdue(leg, now: now) { actions.append(send(leg, holdStep, now: now)) }
        case .settling:
            let isDue =
                question.map { $0.failed.map { now - $0 >= Limits.resendMilliseconds } ?? false }
                ?? legs.indices.contains { isOverdue($0, now: now) }
            if isDue { actions += confirm(now: now) }
        default:
            break
        }
        return actions
    }

    private var holdStep: Step { .hold(mayWait: record.phase == .holdingInOrder) }

    /// Whether a leg's message is to be sent again.
    private func isOverdue(_ leg: Int, now: Int64) -> Bool {
        switch legs[leg] {
        case .idle, .held, .settled: return false
        // In lock order the ledger may have lost its queue of waiters.
        case .contended where record.phase != .holdingInOrder: return false
        case .asked(let since, let tries), .contended(let since, let tries):
            return now - since >= pause(after: tries)
                && (unreachable.isEmpty || !unreachable.contains(record.legs[leg].account.kind))
        }
    }

    private func pause(after tries: Int) -> Int64 { Limits.resendPause(after: tries, incarnation: record.id.incarnation) }

    private func tries(ofLeg leg: Int) -> Int {
        switch legs[leg] {
        case .asked(_, let tries), .contended(_, let tries): tries
        case .idle, .held, .settled: 0
        }
    }

    /// Sends the step to each leg that is idle.
    private mutating func sendToIdle(_ step: Step, now: Int64) -> [Action] {
        var actions: [Action] = []
        actions.reserveCapacity(legs.count)
        for leg in legs.indices where legs[leg] == .idle { actions.append(send(leg, step, now: now)) }
        return actions
    }

    private mutating func send(_ leg: Int, _ step: Step, now: Int64) -> Action {
        legs[leg] = .asked(since: now, tries: tries(ofLeg: leg) + 1)
        if case .hold = step { notes.asked(leg, now: now) }
        return .send(
            Message(.leg(leg, step, of: record.id), .command(record.command(step, ofLeg: leg), deadline: record.deadline)))
    }
}
