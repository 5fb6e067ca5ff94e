// The result of a checkout, for its callers.

/// The result of a checkout.
public enum CheckoutResult: Hashable, Sendable {
    case paid
    /// The checkout was aborted durably. What it held is released, or will be.
    case refused(AbortReason)
    /// The checkout did not begin: the order is empty, unknown, ...
    case notBegun(OrderOutcome)
}

extension SagaRecord.Phase {
    /// The result of a saga that ended in this phase; nil: a saga cannot end in this phase.
    public var result: CheckoutResult? {
        switch self {
        case .committed: return .paid
        case .aborted(let reason): return .refused(reason)
        case .holdingTogether, .holdingInOrder, .retrying: return nil
        }
    }
}
