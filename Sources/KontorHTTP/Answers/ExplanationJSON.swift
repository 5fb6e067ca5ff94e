// The answer of `/orders/explain`: what happened to an order, in words. The facts are in KontorService's Explanation.

import KontorCore
import KontorService

/// An explanation as JSON.
struct ExplanationJSON {
    private let explanation: Explanation
    private var order: Order { explanation.order }

    /// Whether money is text with two digits, and not a number.
    private let quotesMoney: Bool

    init(_ explanation: Explanation, quotesMoney: Bool = false) {
        self.explanation = explanation
        self.quotesMoney = quotesMoney
    }

    var bytes: [UInt8] {
        var json = JSONWriter(capacity: 1_024, quotesMoney: quotesMoney)
        json.raw(#"{"order_id":"#)
        json.id(explanation.id)
        json.raw(#","state":"#)
        json.string(order.status.word)
        json.raw(#","user_id":"#)
        json.id(order.user)
        json.raw(#","total_cost":"#)
        json.money(order.total)
        json.raw(#","summary":"#)
        json.string([summary, paymentSummary].compactMap { $0 }.joined(separator: " "))
        json.raw(#","direct_payment":{"state":"#)
        writePayment(into: &json)
        json.raw(#"},"to_succeed":"#)
        json.array(needs) { $0.string($1) }
        json.raw(#","forgotten_attempts":"#)
        json.number(forgotten)
        json.raw(#","attempts":"#)
        json.array(explanation.attempts) { write($1, into: &$0) }
        json.raw(#","refunds":"#)
        json.array(explanation.refunds) { write($1, into: &$0) }
        json.raw("}")
        return json.bytes
    }

    private func write(_ refund: Refund, into json: inout JSONWriter) {
        json.raw(#"{"number":"#)
        json.number(Int64(refund.id.number))
        json.raw(#","amount":"#)
        json.money(refund.amount)
        json.raw(#","reason":"#)
        json.string(refund.reason)
        json.raw(#","began":"#)
        json.time(refund.begun)
        json.raw(#","finished":"#)
        json.time(refund.finished)
        json.raw("}")
    }

    /// How many of the first attempts nothing is known of any more.
    private var forgotten: Int64 {
        max(0, explanation.attempts.first.map { Int64($0.number) - 1 } ?? Int64(order.attempt))
    }

    private var standing: DirectPayment? { explanation.payment.standing(for: order) }

    /// What the direct payment that stands means for the order; nil: there is none.
    private var paymentSummary: String? {
        guard let standing else { return nil }
        let made = "A direct payment of \(standing.amount.moneyText) stands for it"
        switch order.status {
        case .removed, .paid: return made + ": cancel that to give it back."
        case .open, .checkingOut, .reserved:
            return order.isCovered(by: standing)
                ? made + ", so it is paid, without a checkout."
                : made + ", less than its total of \(order.total.moneyText)."
        }
    }

    private func writePayment(into json: inout JSONWriter) {
        func write(_ state: String, _ payment: DirectPayment) {
            json.string(state)
            json.raw(#","amount":"#)
            json.money(payment.amount)
        }
        switch explanation.payment {
        case .unknown: json.string("unknown")
        case .made(let payment) where payment.isFor(order.incarnation):
            write(payment.isCancelled ? "cancelled" : "standing", payment)
        // It was for another order that had the same id.
        case .made, .none: json.string("none")
        }
    }

    private var summary: String {
        switch order.status {
        case .removed: return "The order was removed."
        case .paid:
            guard let last = explanation.attempts.last else { return "The order is paid." }
            return "The order was paid at \(last.time(last.decidedAfter)), in attempt \(last.number)."
        case .checkingOut:
            guard let saga = explanation.saga else { return "A checkout of the order ends just now." }
            return "\(saga.words) runs since \(Timestamp(saga.begun).text): it \(saga.phase.words)."
        case .reserved:
            return "What it needs is reserved until \(Timestamp(order.reservedUntil ?? 0).text)."
        case .open:
            if order.lines.isEmpty { return "The order has no items." }
            if case .abort(.reservationEnded(let isExpired))? = explanation.attempts.last?.decision {
                return isExpired ? "Its reservation is over." : "Its reservation was given back."
            }
            guard case .abort(let reason)? = explanation.attempts.last?.decision else {
                return forgotten == 0
                    ? "The order was not checked out yet." : "The last checkout failed, and its reason is not remembered."
            }
            return "The last checkout failed: \(reason.words)."
        }
    }

    /// What would make a checkout succeed; empty if nothing is missing.
    private var needs: [String] {
        if order.status == .open && order.lines.isEmpty { return ["Add an item."] }
        return explanation.obstacles.map { $0.remedy }
    }

    private func write(_ attempt: Attempt, into json: inout JSONWriter) {
        json.raw(#"{"attempt":"#)
        json.number(Int64(attempt.number))
        json.raw(#","began":"#)
        json.string(attempt.time(0))
        json.raw(#","outcome":"#)
        json.string(attempt.outcome)
        if case .abort(let reason)? = attempt.decision {
            json.raw(#","reason":"#)
            json.string(reason.words)
        }
        json.raw(#","steps":"#)
        json.array(steps(of: attempt)) { $1.write(into: &$0) }
        json.raw("}")
    }

    private func steps(of attempt: Attempt) -> [ExplainedStep] {
        let legs = Array(zip(attempt.legs ?? order.legs, attempt.traces))
        let isRunning = explanation.saga?.id.attempt == attempt.number
        let retries = isRunning ? explanation.retries : []
        var steps = [ExplainedStep("begin", at: attempt.begun, "The order is locked.")]
        for (index, (leg, trace)) in legs.enumerated() where trace.hold != .notAsked {
            var step = ExplainedStep(
                "hold", leg, at: attempt.begun + Int64(trace.holdAfter), trace.hold.words(isDecided: attempt.decision != nil))
            if attempt.decision == nil, index < retries.count { step.nextRetry = retries[index] }
            steps.append(step)
        }
        guard let decision = attempt.decision else { return steps }
        var decided = ExplainedStep("decide", at: attempt.begun + Int64(attempt.decidedAfter), decision.words)
        if case .abort(let reason) = decision { decided.reason = reason.words }
        steps.append(decided)
        let settling = decision.settling
        for (index, (leg, trace)) in legs.enumerated() {
            if let after = trace.settledAfter {
                steps.append(ExplainedStep(settling, leg, at: attempt.begun + Int64(after), "Done."))
            } else if isRunning {
                var step = ExplainedStep(settling, leg, at: nil, "Not acknowledged yet.")
                if index < retries.count { step.nextRetry = retries[index] }
                steps.append(step)
            }
        }
        if let after = attempt.finishedAfter {
            let outcome = decision.end
            steps.append(ExplainedStep("finish", at: attempt.begun + Int64(after), outcome))
        }
        return steps
    }
}

/// One step of an attempt, as it is shown.
private struct ExplainedStep {
    let name: String
    let leg: Leg?
    let at: Int64?
    let outcome: String
    var reason: String?
    var nextRetry: Int64?

    init(_ name: String, _ leg: Leg? = nil, at: Int64?, _ outcome: String) {
        self.name = name
        self.leg = leg
        self.at = at
        self.outcome = outcome
    }

    func write(into json: inout JSONWriter) {
        json.raw(#"{"step":"#)
        json.string(name)
        if let leg {
            json.raw(#","account":"#)
            json.string("\(leg.account)")
            json.raw(#","amount":"#)
            if leg.account.kind == .item { json.number(leg.amount.raw) } else { json.money(leg.amount) }
        }
        if let at {
            json.raw(#","at":"#)
            json.string(Timestamp(at).text)
        }
        json.raw(#","outcome":"#)
        json.string(outcome)
        if let reason {
            json.raw(#","reason":"#)
            json.string(reason)
        }
        if let nextRetry {
            json.raw(#","next_retry":"#)
            json.string(Timestamp(nextRetry).text)
        }
        json.raw("}")
    }
}

// MARK: Words

extension Order.Status {
    var word: String {
        switch self {
        case .open: return "open"
        case .checkingOut: return "checking_out"
        case .paid: return "paid"
        case .removed: return "removed"
        case .reserved: return "reserved"
        }
    }
}

extension Attempt {
    fileprivate func time(_ after: UInt32) -> String { Timestamp(begun + Int64(after)).text }

    fileprivate var outcome: String {
        switch decision {
        case nil: return "running"
        case .commit: return "paid"
        case .abort(.reservationEnded): return "given_back"
        case .abort: return "refused"
        case .retryInOrder: return "retried"
        case .reserve: return "reserved"
        }
    }
}

extension SagaRecord {
    fileprivate var words: String {
        if reservesUntil != nil { return "A reservation of the order" }
        if case .aborted(.reservationEnded) = phase { return "The end of its reservation" }
        return "A checkout of the order"
    }
}

extension SagaRecord.Phase {
    fileprivate var words: String {
        switch self {
        case .holdingTogether: return "asks for all locks at once"
        case .holdingInOrder: return "waits for its locks, one after the other"
        case .retrying: return "gives its locks back, to take them one after the other"
        case .committed: return "is decided, and books what it sold"
        case .reserved: return "is decided, and books what it reserved"
        case .aborted(.reservationEnded): return "gives back what was reserved"
        case .aborted: return "has failed, and gives its locks back"
        }
    }
}

extension Decision {
    /// The step by which each lock ends, or stands.
    fileprivate var settling: String {
        switch self {
        case .commit: "capture"
        case .abort, .retryInOrder: "release"
        case .reserve: "reserve"
        }
    }

    /// What comes behind that.
    fileprivate var end: String {
        switch self {
        case .commit, .abort: "The order is unlocked."
        case .retryInOrder: "The next attempt begins."
        case .reserve: "The order is reserved."
        }
    }

    fileprivate var words: String {
        switch self {
        case .commit: return "The order is paid."
        case .abort(.reservationEnded(let isExpired)):
            return isExpired ? "The reservation is over." : "The reservation is given back."
        case .abort: return "The checkout is refused."
        case .reserve(let until): return "What it needs is reserved until \(Timestamp(until).text)."
        case .retryInOrder: return "Other checkouts hold a part: all is given back, and asked for in lock order."
        }
    }
}

extension LegTrace.Hold {
    fileprivate func words(isDecided: Bool) -> String {
        switch self {
        case .notAsked: return "Not asked."
        case .silent: return isDecided ? "Asked; decided without its answer." : "Asked, no answer yet."
        case .held: return "Locked."
        case .contended: return "Other undecided checkouts hold a part of it."
        case .refused: return "Refused."
        }
    }
}

extension AbortReason {
    fileprivate var words: String {
        switch self {
        case .insufficient(let account, let wanted, let left):
            return "\(account): \(account.text(wanted)) wanted, \(account.text(left)) left"
        case .unknownAccount(let account): return "\(account) does not exist"
        case .paidDirectly: return "a direct payment stands for the order"
        case .contended(let account): return "other checkouts held a part of \(account) until the deadline"
        case .reserved(let account, _): return "others have reserved a part of \(account)"
        case .reservationEnded(let isExpired): return isExpired ? "its time was over" : "it was given back"
        case .unreachable(let account): return "the ledger of \(account) did not answer before the deadline"
        case .anomaly(let account, let anomaly): return "the ledger of \(account) refused a step (\(anomaly))"
        }
    }

    fileprivate var remedy: String {
        switch self {
        case .insufficient(let account, let wanted, let left):
            let thing = account.kind == .item ? "stock" : "credit"
            return "\(words): add at least \(account.text(wanted - left)) of \(thing)."
        case .unknownAccount(let account):
            return account.kind == .item
                ? "\(words): take it out of the order." : "\(words): make a new order for another user."
        case .contended(let account): return "Other checkouts hold a part of \(account) just now: check out again in a moment."
        case .unreachable(let account): return "The ledger of \(account) cannot be read now: try again in a moment."
        case .paidDirectly: return "A direct payment stands for the order: cancel it, or leave it at that."
        case .reserved(let account, let until):
            return "Others have reserved a part of \(account), some of it until \(Timestamp(until).text): wait, or add stock."
        case .anomaly, .reservationEnded: return "Check out again."
        }
    }
}

extension GroupKey {
    /// Units of an item, or money.
    fileprivate func text(_ amount: Amount) -> String { kind == .item ? String(amount.raw) : amount.moneyText }
}
