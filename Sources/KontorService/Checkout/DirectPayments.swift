// Direct payments for orders. A user's ledger knows its direct payments; only the order knows whether it may be paid.
// So a payment is made in three steps: the ledger locks the amount and the order's checkouts out, the order is asked,
// and the payment is made or the lock given up (docs/decisions/0023-an-order-is-paid-once.md).

import KontorCore

/// Performs requests that concern a user's ledger and an order at once.
final class DirectPayments {
    /// What an order says about a direct payment for it.
    fileprivate enum Verdict {
        case payable(incarnation: UInt64)
        case refused(ShopAnswer)
    }

    private let parts: ShopParts

    init(_ parts: ShopParts) { self.parts = parts }

    /// Pays for an order, unless a checkout has paid it, or may.
    ///
    /// - Parameter deadline: monotonic milliseconds.
    func pay(
        _ amount: Amount, user: Identifier, order: Identifier, _ keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        let account = GroupKey(.user, user)
        let left = min(max(0, deadline - parts.clock.monotonicMilliseconds), Limits.longestDeadlineMilliseconds)
        // The wait for the lock, and the order's answer.
        let expiry = parts.clock.wallMilliseconds + left + Limits.deadlineMilliseconds
        let lock = LedgerCommand(account, .lockPayment(order: order, amount, expiry: expiry))
        parts.payment.submit(lock, waitsUntil: .client(deadline)) { [self] reply in
            switch reply {
            case .decided(.held(let grant)):
                look(at: order, of: user, deadline: deadline) { [self] verdict in
                    switch verdict {
                    case .refused(let refusal): unlock(account, order, grant) { answer(refusal) }
                    case .payable(let incarnation):
                        let command = LedgerCommand.Operation.payDirectly(
                            order: order, incarnation: incarnation, amount, grant: grant)
                        parts.payment.submit(LedgerCommand(account, command), keyed: keyed) { [self] reply in
                            if reply == .decided(.done) { return answer(reply.answer) }
                            unlock(account, order, grant) { answer(reply.paymentAnswer) }
                        }
                    }
                }
            case .decided(let refusal): explain(refusal, account, order, deadline: deadline, answer: answer)
            // Nothing is paid; a lock that stands nevertheless is undone.
            case .unknown: answer(.unavailable(.unreachable("payment ledger")))
            case .refused, .keyed: answer(reply.answer)
            }
        }
    }

    /// Gives a direct payment back. If a checkout paid the order, the answer says so.
    func cancel(
        user: Identifier, order: Identifier, _ keyed: KeyedWrite?, answer: @escaping (ShopAnswer) -> Void
    ) {
        let command = LedgerCommand(GroupKey(.user, user), .cancelPayment(order: order))
        parts.payment.submit(command, keyed: keyed) { [self] reply in
            guard reply == .decided(.noDirectPayment) else { return answer(reply.answer) }
            inspect(order) { found in
                switch found {
                case .success(let order?) where order.status == .paid && order.user == user: answer(.paidByCheckout)
                case .success: answer(reply.answer)
                case .failure(let error): answer(.unavailable(error))
                }
            }
        }
    }

    /// Tells whether the user has paid the order: by a checkout, or by a direct payment that stands and covers the
    /// order's total.
    func status(user: Identifier, order: Identifier, answer: @escaping (ShopAnswer) -> Void) {
        let command = LedgerCommand(GroupKey(.user, user), .findPayment(order: order))
        parts.payment.submit(command) { [self] reply in
            guard case .decided(.payment(let payment)) = reply else { return answer(reply.answer) }
            inspect(order) { found in
                switch found {
                case .success(let order?) where order.user == user:
                    answer(.paymentStatus(isPaid: order.status == .paid || order.isCovered(by: payment)))
                case .success: answer(.paymentStatus(isPaid: false))
                case .failure(let error): answer(.unavailable(error))
                }
            }
        }
    }

    /// Gives a lock up. If that fails, the lock is undone later.
    private func unlock(_ account: GroupKey, _ order: Identifier, _ grant: UInt32, then: @escaping () -> Void) {
        parts.payment.submit(LedgerCommand(account, .unlockPayment(order: order, grant: grant))) { _ in then() }
    }

    /// Answers a payment whose lock was refused. What the order says goes first: more credit would not help.
    private func explain(
        _ refusal: LedgerOutcome, _ account: GroupKey, _ order: Identifier, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        if refusal == .unknownAccount { return answer(.ledger(refusal)) }
        look(at: order, of: account.id, deadline: deadline) { [self] verdict in
            switch verdict {
            case .refused(.unavailable): answer(.ledger(refusal))
            case .refused(let reason): answer(reason)
            case .payable(let incarnation):
                parts.payment.submit(LedgerCommand(account, .findPayment(order: order))) { reply in
                    guard case .decided(.payment(let payment?)) = reply, payment.stands(for: incarnation) else {
                        return answer(.ledger(refusal))
                    }
                    answer(.ledger(.alreadyPaidDirectly))
                }
            }
        }
    }

    private func look(
        at order: Identifier, of user: Identifier, deadline: Int64, completion: @escaping (Verdict) -> Void
    ) {
        inspect(order, deadline: deadline) { found in
            switch found {
            case .failure(let error): completion(.refused(.unavailable(error)))
            case .success(nil): completion(.refused(.order(.unknownOrder)))
            case .success(let order?): completion(order.verdict(onPaymentOf: user))
            }
        }
    }

    /// Reads an order, even a removed one; nil: there is none. A failure means that nothing was changed so far.
    private func inspect(
        _ order: Identifier, deadline: Int64? = nil, completion: @escaping (Result<Order?, StoreError>) -> Void
    ) {
        parts.reads.ask(OrderCommand(order, .inspect), deadline: deadline) { reply in
            switch reply {
            case .decided(.inspected(let order, _)): completion(.success(order))
            case .decided: completion(.success(nil))
            case .refused(let error): completion(.failure(error))
            case .unknown, .keyed: completion(.failure(.unreachable("order service")))
            }
        }
    }
}

extension Order {
    fileprivate func verdict(onPaymentOf user: Identifier) -> DirectPayments.Verdict {
        if self.user != user { return .refused(.orderOfAnotherUser) }
        switch status {
        case .open: return .payable(incarnation: incarnation)
        case .checkingOut: return .refused(.order(.isCheckingOut))
        case .reserved: return .refused(.order(.isReserved(until: reservation?.until ?? 0)))
        case .paid: return .refused(.paidByCheckout)
        case .removed: return .refused(.order(.isRemoved))
        }
    }

    /// Whether a direct payment stands for the order and is worth all of it.
    public func isCovered(by payment: DirectPayment?) -> Bool {
        guard let payment, status != .removed else { return false }
        return payment.stands(for: incarnation) && payment.amount >= total
    }
}

extension LedgerReply {
    /// The answer for a payment that was not made under its lock.
    fileprivate var paymentAnswer: ShopAnswer {
        // Another process undid the lock: this one was too slow.
        self == .decided(.paymentNotLocked) ? .unavailable(.unreachable("order service")) : answer
    }
}
