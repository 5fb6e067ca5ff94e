// What each step of a saga asks a ledger for.

extension SagaRecord {
    /// The command to a leg's ledger for one step.
    func command(_ step: CheckoutSaga.Step, ofLeg leg: Int) -> LedgerCommand {
        let target = legs[leg]
        switch step {
        case .hold(let mayWait):
            return LedgerCommand(target.account, .hold(id, target.amount, mayWait: mayWait, expiry: deadline))
        case .capture: return LedgerCommand(target.account, .capture(id, target.amount, grant: grant(ofLeg: leg)))
        case .release: return LedgerCommand(target.account, .release(id, target.amount, expiry: deadline))
        }
    }
}
