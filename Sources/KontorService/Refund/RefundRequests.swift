// Requests about refunds: what is looked at before one begins, and what a repetition is told.

import KontorCore

/// A request for a refund, as its client made it.
struct RefundRequest {
    let order: Identifier
    /// Whose the order must be; nil: whoever's.
    let owner: Identifier?
    let lines: [ItemUnits]?
    let restock: Bool
    let reason: String
}

extension OrderService {
    /// Why no refund or reservation is taken while the store is in an older format: that has no place for them.
    static let needsUpgrade = StoreError.unreachable(
        "the store is in a format without refunds and reservations: run kontor upgrade --finish once no older process is left")

    /// Refunds an order, or a part of it. The answer comes when all is credited, or at the deadline; a refund that has
    /// begun goes on in any case.
    ///
    /// - Parameter deadline: monotonic milliseconds.
    func refund(
        _ request: RefundRequest, _ keyed: KeyedWrite?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard canRefund else { return answer(.unavailable(Self.needsUpgrade)) }
        submit(OrderCommand(request.order, .inspect, owner: request.owner)) { [self] reply in
            guard case .decided(.inspected(let order, let saga)) = reply else { return answer(reply.answer) }
            switch order.plan(terms(request), of: request.order, isSettling: saga != nil) {
            // The rule decides, since it looks at the request's key as well: the order may be refunded under it.
            case .refused: begin(request, keyed, deadline: deadline, answer: answer)
            case .refund(let refund, _):
                check(refund, deadline: deadline) { [self] refusal in
                    if let refusal { return answer(refusal) }
                    begin(request, keyed, deadline: deadline, answer: answer)
                }
            }
        }
    }

    private func terms(_ request: RefundRequest) -> RefundTerms {
        RefundTerms(
            lines: request.lines, restock: request.restock, reason: request.reason, now: clock.wallMilliseconds,
            driver: writer)
    }

    /// Looks whether the accounts can take what the refund gives them. Accounts are never removed, so what is there now
    /// is there later.
    ///
    /// - Parameter completion: gets nil, or why the refund may not begin.
    private func check(_ refund: Refund, deadline: Int64, completion: @escaping (ShopAnswer?) -> Void) {
        let legs = refund.legs
        guard !legs.isEmpty else { return completion(nil) }
        var refusal: ShopAnswer?
        var pending = legs.count
        for leg in legs {
            reads.read(leg.account, deadline: deadline) { reply in
                refusal = refusal ?? leg.refusalOfCredit(reply)
                pending -= 1
                if pending == 0 { completion(refusal) }
            }
        }
    }

    private func begin(
        _ request: RefundRequest, _ keyed: KeyedWrite?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        let now = clock.monotonicMilliseconds
        let command = OrderCommand(request.order, .beginRefund(terms(request)), owner: request.owner)
        submit(command, keyed: keyed) { [self] reply in
            guard case .decided(.refund(let refund)) = reply else { return answer(reply.answer) }
            refunds.drive(refund, confirmed: now, deadline: deadline, answer: answer)
        }
    }

    /// Answers a request whose key says that it has begun a refund: waits for it if it is open.
    ///
    /// - Parameters:
    ///   - reference: what the key refers to.
    ///   - answer: gets the refund, or that its end is not known yet.
    func repeatRefund(
        _ reference: [UInt8], of order: Identifier, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard let id = RefundID(reference, of: order) else { return answer(.unknown) }
        submit(OrderCommand(order, .readRefund(id))) { [self] reply in
            guard case .decided(.refund(let refund)) = reply else { return answer(.unknown) }
            if refund.finished != nil { return answer(.refunded(refund)) }
            refunds.drive(refund, confirmed: nil, deadline: deadline, answer: answer)
        }
    }

    /// Lists the refunds of an order, oldest first, those that are open among them.
    func listRefunds(of order: Identifier, owner: Identifier?, answer: @escaping (ShopAnswer) -> Void) {
        submit(OrderCommand(order, .readRefunds, owner: owner)) { reply in
            if case .decided(.refunds(let refunds)) = reply { answer(.refunds(refunds)) } else { answer(reply.answer) }
        }
    }
}

extension Leg {
    /// Why the account must not be credited with this; nil: it may.
    fileprivate func refusalOfCredit(_ reply: LedgerReply) -> ShopAnswer? {
        switch reply {
        case .decided(.account(let state)):
            let hasRoom =
                state.balance.sum(amount, atMost: Limits.balance) != nil && state.captured.raw <= Limits.lifetimeTotal
            return hasRoom ? nil : .creditRefused(account, .overLimit)
        case .decided(let outcome): return .creditRefused(account, outcome)
        case .refused(let error): return .unavailable(error)
        case .unknown, .keyed: return .unavailable(.unreachable("\(account.kind) ledger"))
        }
    }
}
