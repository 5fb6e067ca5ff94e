// How a checkout ends, as its callers are told.

/// How a checkout ended.
public enum CheckoutResult: Hashable, Sendable {
    case paid
    /// Durably aborted, all undone.
    case refused(AbortReason)
    /// Not begun: the order is empty, unknown, ...
    case notBegun(OrderOutcome)
}

extension SagaRecord.Phase {
    /// What callers are told once the saga has ended in this phase; nil: it cannot end in this one.
    public var result: CheckoutResult? {
        switch self {
        case .committed: return .paid
        case .aborted(let reason): return .refused(reason)
        case .holdingTogether, .holdingInOrder, .retrying: return nil
        }
    }
}
