// The result of a saga of an order, for its callers.

/// The result of a saga of an order: of a checkout, of a reservation, or of the end of one.
public enum CheckoutResult: Hashable, Sendable {
    case paid
    /// The stock is reserved.
    case reserved
    /// The reservation was given back.
    case givenBack
    /// The checkout was aborted durably. What it held is released, or will be.
    case refused(AbortReason)
    /// The checkout did not begin: the order is empty, unknown, ...
    case notBegun(OrderOutcome)
}

extension CheckoutResult {
    /// Whether what was asked for is done.
    public var isSuccess: Bool {
        switch self {
        case .paid, .reserved, .givenBack: true
        case .refused, .notBegun: false
        }
    }
}

extension SagaRecord.Phase {
    /// The result of a saga that ended in this phase; nil: a saga cannot end in this phase.
    public var result: CheckoutResult? {
        switch self {
        case .committed: return .paid
        case .reserved: return .reserved
        case .aborted(.reservationEnded): return .givenBack
        case .aborted(let reason): return .refused(reason)
        case .holdingTogether, .holdingInOrder, .retrying: return nil
        }
    }
}
