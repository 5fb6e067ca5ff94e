// The rules of direct payments. An order is paid once: while a direct payment stands for it, no checkout of it gets its
// hold on the user; and a payment is made only under a lock that kept the order's checkouts out while the order was
// asked (docs/decisions/0023-an-order-is-paid-once.md).

extension LedgerRules {
    /// Why a checkout's hold must not be taken because of a direct payment; nil: none is in its way.
    ///
    /// If ``furtherReads(of:head:)`` did not ask for the records, the account had none when it was read.
    static func refusalByPayment(_ saga: SagaID, _ account: Account, _ draft: GroupDraft) -> LedgerOutcome? {
        guard account.mayHavePayments, draft.key.kind == .user else { return nil }
        let payment = Member.payment(order: saga.order)
        if draft.contains(payment), draft.payment(for: saga.order, of: account)?.stands(for: saga.incarnation) == true {
            return .alreadyPaidDirectly
        }
        let lock = SagaID.payment(for: saga.order)
        if draft.contains(.hold(lock)), draft.hold(lock)?.state == .held { return .contended(balance: account.balance) }
        return nil
    }

    /// Takes the lock. A payment that waits for another one's end is told then that the order is paid.
    static func lockPayment(
        for order: Identifier, _ amount: Amount, _ expiry: Int64, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        let lock = SagaID.payment(for: order)
        if draft.hold(lock)?.state == .held { return .contended(balance: account.balance) }
        if let refusal = account.refusal(of: amount) { return refusal }

        // From here on it succeeds. A marker that an undone lock left says nothing: locks do not travel, so none is
        // late.
        let grant = account.take(amount)
        account.mayHavePayments = true
        draft.account = account
        draft.setHold(Hold(amount: amount, state: .held, grant: grant, expiry: expiry), of: lock)
        return .held(grant: grant)
    }

    static func payDirectly(
        for order: Identifier, _ incarnation: UInt64, _ amount: Amount, _ grant: UInt32, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        guard let lock = draft.paymentLock(for: order, grant), lock.amount == amount else { return .paymentNotLocked }
        let before = draft.payment(for: order)
        if draft.payment(for: order, of: account)?.stands(for: incarnation) == true { return .alreadyPaidDirectly }
        let earlier = before.map { $0.earlier + $0.amount } ?? .zero

        // From here on it succeeds.
        account.held -= amount
        account.balance -= amount
        account.captured += amount
        draft.account = account
        draft.setHold(nil, of: .payment(for: order))
        draft.setPayment(
            DirectPayment(
                amount: amount, isCancelled: false, generation: account.generation, earlier: earlier,
                incarnation: incarnation),
            for: order)
        return .done
    }

    /// Gives the lock up. A second time, or if another process undid it, it has no effect.
    static func unlockPayment(for order: Identifier, _ grant: UInt32, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var account = draft.account, let lock = draft.paymentLock(for: order, grant) else { return .done }

        // From here on it succeeds.
        account.held -= lock.amount
        draft.account = account
        draft.setHold(nil, of: .payment(for: order))
        return .done
    }

    /// Gives a direct payment back, whatever became of its order. A second time has no effect.
    static func cancelPayment(for order: Identifier, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        guard var payment = draft.payment(for: order, of: account) else { return .noDirectPayment }
        if payment.isCancelled { return .done }
        guard account.deposit(payment.amount) else { return .overLimit }

        // From here on it succeeds.
        payment.isCancelled = true
        draft.account = account
        draft.setPayment(payment, for: order)
        return .done
    }

    static func findPayment(for order: Identifier, on draft: GroupDraft) -> LedgerOutcome {
        guard let account = draft.account else { return .unknownAccount }
        return .payment(draft.payment(for: order, of: account))
    }
}

extension GroupDraft {
    /// The direct payment for an order, if it is of the account's present generation.
    fileprivate func payment(for order: Identifier, of account: Account) -> DirectPayment? {
        payment(for: order).flatMap { $0.generation == account.generation ? $0 : nil }
    }

    /// The lock of a direct payment, if it is the one with this grant.
    fileprivate func paymentLock(for order: Identifier, _ grant: UInt32) -> Hold? {
        hold(.payment(for: order)).flatMap { $0.state == .held && $0.grant == grant ? $0 : nil }
    }
}
