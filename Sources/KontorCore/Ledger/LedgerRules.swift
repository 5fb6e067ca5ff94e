// The ledger's rules: pure functions from the records of one account and a command to an outcome and changed records.
// Escrow locking after O'Neil, "The Escrow Transactional Method" (1986): holds on one account do not exclude each other
// while the balance covers them all.

/// Decides ledger commands. Guards come in order of precedence; below the line "from here on it succeeds" everything is
/// written.
public enum LedgerRules: Rules {
    public static func readSet(of command: LedgerCommand) -> ReadSet {
        let group = command.account
        switch command.operation {
        case .read, .open, .replace, .deposit, .withdraw, .keepKey:
            return ReadSet(group)
        case .lockPayment(let order, _, _), .unlockPayment(let order, _):
            return ReadSet(group, .hold(.payment(for: order)))
        case .payDirectly(let order, _, _, _), .cancelPayment(let order), .findPayment(let order):
            return ReadSet(group, .payment(order: order))
        case .hold(let saga, _, _, _), .capture(let saga, _, _), .release(let saga, _, _), .forget(let saga),
            .undo(let saga), .reserve(let saga, _, _, _):
            return ReadSet(group, .hold(saga))
        case .refund(let id, _, _), .forgetRefund(let id, _): return ReadSet(group, .refund(id))
        }
    }

    public static func mayReadFurther(_ command: LedgerCommand) -> Bool {
        switch command.operation {
        case .hold: command.account.kind == .user
        case .payDirectly: true
        default: false
        }
    }

    /// A checkout's hold on a user looks for a direct payment of its order, but only if the user may have any.
    public static func furtherReads(of command: LedgerCommand, head: Record?) -> [Member] {
        switch command.operation {
        case .hold(let saga, _, _, _):
            guard command.account.kind == .user, case .account(let account)? = head, account.mayHavePayments else {
                return []
            }
            return [.payment(order: saga.order), .hold(.payment(for: saga.order))]
        case .payDirectly(let order, _, _, _): return [.hold(.payment(for: order))]
        default: return []
        }
    }

    public static func decide(_ command: LedgerCommand, on draft: inout GroupDraft) -> LedgerOutcome {
        switch command.operation {
        case .hold(let saga, let amount, _, let expiry): return hold(saga, amount, expiry, on: &draft)
        case .capture(let saga, let amount, let grant): return capture(saga, amount, grant, on: &draft)
        case .release(let saga, let amount, let expiry): return release(saga, amount, expiry, on: &draft)
        case .reserve(let saga, let amount, let grant, let until):
            return reserve(saga, amount, grant: grant, until: until, on: &draft)
        case .forget(let saga): return forget(saga, on: &draft)
        case .undo(let saga): return undo(saga, on: &draft)
        case .read: return read(draft)
        case .open(let price, let balance): return open(price: price, balance: balance, on: &draft)
        case .replace(let balance, let price): return replace(balance: balance, price: price, on: &draft)
        case .deposit(let amount): return deposit(amount, on: &draft)
        case .withdraw(let amount): return withdraw(amount, on: &draft)
        case .lockPayment(let order, let amount, let expiry): return lockPayment(for: order, amount, expiry, on: &draft)
        case .payDirectly(let order, let incarnation, let amount, let grant):
            return payDirectly(for: order, incarnation, amount, grant, on: &draft)
        case .unlockPayment(let order, let grant): return unlockPayment(for: order, grant, on: &draft)
        case .cancelPayment(let order): return cancelPayment(for: order, on: &draft)
        case .findPayment(let order): return findPayment(for: order, on: draft)
        case .keepKey: return .done
        case .refund(let id, let amount, let expiry): return refund(id, amount, expiry, on: &draft)
        case .forgetRefund(let id, let expiry): return forgetRefund(id, expiry, on: &draft)
        }
    }

    public static func isComplete(_ outcome: LedgerOutcome, of command: LedgerCommand) -> Bool { outcome == .done }

    public static func name(of command: LedgerCommand) -> RepeatedName? {
        func name(_ saga: SagaID, _ step: UInt8) -> RepeatedName {
            RepeatedName(group: command.account, incarnation: saga.incarnation, attempt: saga.attempt, step: step)
        }
        switch command.operation {
        case .hold(let saga, _, let mayWait, _): return name(saga, mayWait ? 1 : 0)
        case .capture(let saga, _, _): return name(saga, 2)
        case .release(let saga, _, _): return name(saga, 3)
        case .refund(let id, _, _):
            return RepeatedName(group: command.account, incarnation: id.incarnation, attempt: id.number, step: 4)
        default: return nil
        }
    }

    /// A repeated step of a saga finds its own effect, or is refused as late. A client's command would have its effect
    /// twice.
    public static func isIdempotent(_ command: LedgerCommand) -> Bool {
        switch command.operation {
        case .read, .findPayment, .hold, .capture, .release, .reserve, .forget, .undo, .unlockPayment, .keepKey, .refund,
            .forgetRefund:
            return true
        case .open, .replace, .deposit, .withdraw, .lockPayment, .payDirectly, .cancelPayment: return false
        }
    }
}

// MARK: Holds

extension LedgerRules {
    /// Takes the lock. A duplicate is answered before amounts and expiry are checked: the hold on the last unit
    /// succeeded, so its replay must succeed, too.
    private static func hold(
        _ saga: SagaID, _ amount: Amount, _ expiry: Int64, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        if let earlier = draft.hold(saga) {
            if earlier.state == .released { return .anomaly(.lateHold) }
            return earlier.amount == amount ? .held(grant: earlier.grant) : .anomaly(.differentAmount)
        }
        // The saga may be over and its marker removed, so an expired hold must be refused.
        if let now = draft.now, expiry != 0, Hold.isExpired(expiry, now: now) { return .anomaly(.lateHold) }
        guard var account = draft.account else { return .unknownAccount }
        if let refusal = refusalByPayment(saga, account, draft) { return refusal }
        if let refusal = account.refusal(of: amount) { return refusal }

        // From here on it succeeds.
        let grant = account.take(amount)
        draft.account = account
        draft.setHold(Hold(amount: amount, state: .held, grant: grant, expiry: expiry), of: saga)
        return .held(grant: grant)
    }

    /// Whether a missing hold was captured earlier, and its marker has been removed since. A hold that is not
    /// settled is never removed, and a committed saga releases nothing, so a grant that the account gave was captured.
    /// A grant that it never gave means that data was lost. Always false where messages cannot be late: there markers
    /// are removed at the end of their saga.
    static func hasGone(_ grant: UInt32, of account: Account, now: Int64?) -> Bool {
        // Grants wrap around.
        now != nil && grant != 0 && Int32(bitPattern: account.grants &- grant) >= 0
    }

    /// Ends the lock and keeps its amount: it is sold.
    ///
    /// Captures only the lock that the decision counted on. A wrong clock may let a copy of the hold lock again after
    /// the saga is over and its marker removed. That lock has another grant, so a late copy of the capture does not
    /// sell the amount twice.
    private static func capture(
        _ saga: SagaID, _ amount: Amount, _ grant: UInt32, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        guard var account = draft.account else { return .anomaly(.captureWithoutHold) }
        guard var hold = draft.hold(saga) else {
            return hasGone(grant, of: account, now: draft.now) ? .done : .anomaly(.captureWithoutHold)
        }
        // A copy of the hold came when all was over. Whether it still locks or is undone, the lock that the decision
        // counted on was captured.
        if hold.grant != grant, hasGone(grant, of: account, now: draft.now) { return .done }
        if hold.state == .released { return .anomaly(.captureAfterRelease) }
        if hold.grant != grant { return .anomaly(.captureWithoutHold) }
        if hold.amount != amount { return .anomaly(.differentAmount) }
        if hold.state == .captured { return .done }

        // From here on it succeeds.
        account.unlock(hold)
        account.balance -= amount
        account.captured += amount
        hold.state = .captured
        draft.account = account
        draft.setHold(hold, of: saga)
        return .done
    }

    /// Ends the lock and frees its amount. Without a hold it leaves a marker, which refuses a hold that is still on its
    /// way.
    private static func release(
        _ saga: SagaID, _ amount: Amount, _ expiry: Int64, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        guard var hold = draft.hold(saga) else {
            // The hold would be refused as expired, so no marker is needed.
            if let now = draft.now, expiry != 0, Hold.isPast(expiry, now: now) { return .done }
            draft.setHold(Hold(amount: amount, state: .released, expiry: expiry), of: saga)
            return .done
        }
        if hold.state == .captured { return .anomaly(.releaseAfterCapture) }
        if hold.amount != amount { return .anomaly(.differentAmount) }
        if hold.state == .released { return .done }

        // From here on it succeeds.
        if var account = draft.account {
            account.unlock(hold)
            draft.account = account
        }
        hold.state = .released
        draft.setHold(hold, of: saga)
        return .done
    }

    /// Removes the marker of a finished saga; where messages can be late, only once all of them would be refused as
    /// expired. A lock that is still held stays: only its saga's decision may end it.
    private static func forget(_ saga: SagaID, on draft: inout GroupDraft) -> LedgerOutcome {
        guard let hold = draft.hold(saga), hold.state != .held else { return .done }
        if let now = draft.now, !Hold.isPast(hold.expiry, now: now) { return .done }
        draft.setHold(nil, of: saga)
        return .done
    }

    /// Undoes a hold whose saga is over. Its marker gets no grant: a grant would say that the saga released it.
    private static func undo(_ saga: SagaID, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var hold = draft.hold(saga), hold.state == .held, var account = draft.account else { return .done }

        // From here on it succeeds.
        account.unlock(hold)
        draft.account = account
        hold.state = .released
        hold.grant = 0
        draft.setHold(hold, of: saga)
        return forget(saga, on: &draft)
    }
}

// MARK: Deposits and withdrawals

extension LedgerRules {
    /// The account, without what only these rules and the books need of it.
    private static func read(_ draft: GroupDraft) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        account.mayHavePayments = false
        account.openRefunds = 0
        account.refunded = .zero
        return .account(account)
    }

    private static func open(price: Amount, balance: Amount, on draft: inout GroupDraft) -> LedgerOutcome {
        if draft.account != nil { return .accountExists }
        var account = Account()
        account.price = price
        account.balance = balance
        account.deposited = balance
        draft.account = account
        draft.list(.account)
        return .done
    }

    private static func replace(balance: Amount, price: Amount, on draft: inout GroupDraft) -> LedgerOutcome {
        var account = draft.account ?? Account()
        if account.reserved > .zero { return .reserved(until: Int64(account.reservedUntil) * 1_000) }
        if account.held > .zero || account.openRefunds > 0 { return .hasHolds }
        guard let deposited = account.deposited.sum(balance, atMost: Limits.lifetimeTotal),
            let withdrawn = account.withdrawn.sum(account.balance, atMost: Limits.lifetimeTotal),
            account.generation < .max
        else { return .overLimit }

        // From here on it succeeds.
        account.withdrawn = withdrawn
        account.deposited = deposited
        account.balance = balance
        account.price = price
        if draft.account != nil { account.generation += 1 } else { draft.list(.account) }
        account.mayHavePayments = false
        draft.account = account
        return .done
    }

    private static func deposit(_ amount: Amount, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        guard account.deposit(amount) else { return .overLimit }
        draft.account = account
        return .done
    }

    private static func withdraw(_ amount: Amount, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var account = draft.account else { return .unknownAccount }
        if let refusal = account.refusal(of: amount) { return refusal }

        // From here on it succeeds.
        account.balance -= amount
        account.withdrawn += amount
        draft.account = account
        return .done
    }
}

extension Account {
    /// Locks an amount that is available, and gives the lock's grant.
    mutating func take(_ amount: Amount) -> UInt32 {
        held += amount
        grants &+= grants == .max ? 2 : 1
        return grants
    }

    /// Adds an amount to balance and total. Returns false, and changes nothing, if one of them would pass its bound.
    mutating func deposit(_ amount: Amount) -> Bool {
        guard let newBalance = balance.sum(amount, atMost: Limits.balance),
            let newDeposited = deposited.sum(amount, atMost: Limits.lifetimeTotal)
        else { return false }
        balance = newBalance
        deposited = newDeposited
        return true
    }
}
