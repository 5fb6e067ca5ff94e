// What each step of a saga asks a ledger for.

extension SagaRecord {
    /// The command to a leg's ledger for one step.
    func command(_ step: CheckoutSaga.Step, ofLeg leg: Int) -> LedgerCommand {
        let target = legs[leg]
        let holder = holder(ofLeg: leg)
        switch step {
        case .hold(let mayWait):
            return LedgerCommand(target.account, .hold(id, target.amount, mayWait: mayWait, expiry: deadline))
        case .capture: return LedgerCommand(target.account, .capture(holder, target.amount, grant: grant(ofLeg: leg)))
        case .release: return LedgerCommand(target.account, .release(holder, target.amount, expiry: deadline))
        case .reserve(let until):
            return LedgerCommand(
                target.account, .reserve(holder, target.amount, grant: grant(ofLeg: leg), until: until))
        }
    }
}
