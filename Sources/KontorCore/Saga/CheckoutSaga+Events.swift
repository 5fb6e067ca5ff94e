// What happens to a checkout saga, and what it asks for.

extension CheckoutSaga {
    /// What a ledger is asked to do for one leg.
    public enum Step: Hashable, Sendable {
        case hold(mayWait: Bool)
        case capture
        case release
        /// Counts what is held as reserved.
        case reserve
    }

    /// What can happen to a saga.
    public enum Event: Sendable {
        /// A ledger's reply for a leg. Replies to another attempt or step are ignored.
        case replied(leg: Int, Step, of: SagaID, Reply<LedgerOutcome>)
        /// The order's reply to `decide`, `beginAgain` or `finish`.
        case orderReplied(to: OrderStep, of: SagaID, Reply<OrderOutcome>)
        /// Time has passed. Nothing is sent to accounts of the kinds that cannot be reached now.
        case tick(unreachable: Set<GroupKey.Kind> = [])
    }

    /// What the order is asked to do.
    public enum OrderStep: Hashable, Sendable {
        case decide(Decision)
        /// The decision once more, to learn whether the saga is still open. Its number tells the answer from that to a
        /// later question.
        case confirm(Int, Decision)
        case beginAgain
        case finish
    }

    /// What the coordinator must do for the saga.
    public enum Action: Hashable, Sendable {
        /// Sends a step of one leg to the leg's ledger.
        case send(Message)
        /// Has the order decide a command. The step names the command in ``Event/orderReplied(to:of:_:)``.
        case askOrder(OrderStep, OrderCommand)
        /// Tells the result to all callers; nil: another process ended the saga, and the result is not known here.
        case answer(CheckoutResult?)
        /// Lets the holds and markers of this attempt be removed: none of its messages is repeated any more.
        case forget(SagaID)
        /// Alarms the operators: a ledger received a message that the protocol has no place for.
        case alarm(leg: Int, Anomaly)
        /// Ends the saga and tells its result to the callers that still wait; nil: another process ended the saga,
        /// maybe long ago, and these callers must ask the order again.
        case end(CheckoutResult?)
    }
}
