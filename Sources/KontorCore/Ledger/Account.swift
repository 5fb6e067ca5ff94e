// The records of a ledger: an account, the holds on it, and the direct payments made from it.

/// An item's stock or a user's credit, with its lifetime totals.
///
/// `balance == deposited - withdrawn - captured` and `0 <= held <= balance` hold in every committed record.
public struct Account: Hashable, Sendable {
    /// What is there, promised or not: what a read returns.
    public var balance = Amount.zero
    /// What open sagas have a lock on.
    public var held = Amount.zero
    public var deposited = Amount.zero
    public var withdrawn = Amount.zero
    /// Sold by checkouts, or paid for an order directly.
    public var captured = Amount.zero
    /// Money for one unit of an item; zero for a user.
    public var price = Amount.zero
    /// Rises when `batch_init` replaces the account, so that payments of the life before are told apart.
    public var generation: UInt32 = 0
    /// Rises with each hold, and names it. Wraps around, but never to zero: that names the holds of format 2.
    public var grants: UInt32 = 0

    public init() {}

    /// What a new hold or a withdrawal may take.
    public var available: Amount { balance - held }

    /// Why an amount cannot be taken: `insufficient`, for good, or `contended`, for as long as undecided sagas hold a part of the balance
    /// that suffices. nil: it can.
    public func refusal(of amount: Amount) -> LedgerOutcome? {
        if amount > balance { return .insufficient(balance: balance) }
        if amount > available { return .contended(balance: balance) }
        return nil
    }
}

/// The lock of one saga on a part of one account, kept until the saga has finished.
public struct Hold: Hashable, Sendable {
    /// What has become of a hold.
    public enum State: UInt8, Sendable {
        /// The amount is locked.
        case held = 1
        /// The amount is sold or charged.
        case captured = 2
        /// Undone; also the marker left by a release that found no hold, which refuses the hold that comes late.
        case released = 3
    }

    public var amount: Amount
    public var state: State
    /// Which of the account's holds it is; 0 for a marker that never was one.
    public var grant: UInt32
    /// Wall clock, milliseconds since 1970: when its saga stops asking for holds; 0: not known.
    public var expiry: Int64

    public init(amount: Amount, state: State, grant: UInt32 = 0, expiry: Int64 = 0) {
        self.amount = amount
        self.state = state
        self.grant = grant
        self.expiry = expiry
    }

    /// Whether every message of its saga that is on its way is refused as expired, by whatever clock it meets.
    public static func isPast(_ expiry: Int64, now: Int64) -> Bool { expiry < now - Limits.clockSkewMilliseconds }
}

/// What a user paid for an order without a checkout.
public struct DirectPayment: Hashable, Sendable {
    public var amount: Amount
    /// It was given back, and counts as not made.
    public var isCancelled: Bool
    /// The account's generation when it was paid; a payment of an earlier one no longer counts as made.
    public var generation: UInt32
    /// What earlier payments for the same order captured, so that the books can be checked against this record.
    public var earlier: Amount

    public init(amount: Amount, isCancelled: Bool, generation: UInt32, earlier: Amount) {
        self.amount = amount
        self.isCancelled = isCancelled
        self.generation = generation
        self.earlier = earlier
    }
}
