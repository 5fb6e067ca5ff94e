// What a saga does next, and what each of its steps asks a ledger for.

extension SagaRecord {
    /// The command to a leg's ledger for one step.
    func command(_ step: CheckoutSaga.Step, ofLeg leg: Int) -> LedgerCommand {
        let target = legs[leg]
        switch step {
        case .hold(let mayWait):
            return LedgerCommand(target.account, .hold(id, target.amount, mayWait: mayWait, expiry: deadline))
        case .capture:
            return LedgerCommand(target.account, .capture(holder(ofLeg: leg), target.amount, grant: grant(ofLeg: leg)))
        case .release: return LedgerCommand(target.account, .release(holder(ofLeg: leg), target.amount, expiry: deadline))
        case .reserve:
            let until = reservesUntil ?? 0
            return LedgerCommand(
                target.account, .reserve(holder(ofLeg: leg), target.amount, grant: grant(ofLeg: leg), until: until))
        }
    }

    /// The step by which each of its locks ends, or stands.
    var settlingStep: CheckoutSaga.Step {
        switch phase {
        case .committed: .capture
        case .reserved: .reserve
        case .holdingTogether, .holdingInOrder, .retrying, .aborted: .release
        }
    }

    /// The decision that it follows.
    var decision: Decision {
        switch phase {
        case .committed: return .commit
        case .reserved: return .reserve(until: reservesUntil ?? 0)
        case .aborted(let reason): return .abort(reason)
        case .holdingTogether, .holdingInOrder, .retrying: return .retryInOrder
        }
    }
}
