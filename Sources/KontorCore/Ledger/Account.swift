// The records of a ledger: an account, the holds on it, and the direct payments made from it.

/// An item's stock or a user's credit, with its lifetime totals.
///
/// `balance == deposited - withdrawn - captured + refunded` and `0 <= held + reserved <= balance` hold in every
/// committed record.
public struct Account: Hashable, Sendable {
    /// The balance, with what is held: what a read returns.
    public var balance = Amount.zero
    /// The part of the balance that open sagas have locked.
    public var held = Amount.zero
    /// The part of the balance that is reserved.
    public var reserved = Amount.zero
    public var deposited = Amount.zero
    public var withdrawn = Amount.zero
    /// What checkouts sold or charged, and what was paid directly, in total.
    public var captured = Amount.zero
    /// What refunds gave back of that, in total.
    public var refunded = Amount.zero
    /// The price of one unit of an item; zero for a user.
    public var price = Amount.zero
    /// Counts how often `batch_init` replaced the account. Direct payments of earlier generations no longer count.
    public var generation: UInt32 = 0
    /// The grant of the latest hold. It rises by one with each hold and wraps around, but skips zero, which names the
    /// holds of format 2.
    public var grants: UInt32 = 0
    /// The earliest moment at which some of what is reserved may be free, seconds since 1970; 0: nothing is reserved.
    /// The earliest one may be over: then others are left.
    public var reservedUntil: UInt32 = 0
    /// Accounts are copied often, so these two share a number.
    private var refundsAndPayments: UInt32 = 0

    /// Whether the account may have a direct payment of its present generation, or the lock of one. If not, no hold
    /// need look for one. A record of format 3 does not tell, so such an account may have one.
    public var mayHavePayments: Bool {
        get { refundsAndPayments & 1 != 0 }
        set { refundsAndPayments = refundsAndPayments & ~1 | (newValue ? 1 : 0) }
    }

    /// How many refunds have credited the account and are not over, as far as it knows: `batch_init` waits for them. At
    /// most `Limits.accountRefunds`.
    public var openRefunds: UInt32 {
        get { refundsAndPayments >> 1 }
        set { refundsAndPayments = newValue << 1 | refundsAndPayments & 1 }
    }

    public init() {}

    /// What a new hold or a withdrawal may take: the balance without what is held or reserved.
    public var available: Amount { balance - held - reserved }

    /// What is locked: held or reserved.
    public var locked: Amount { held + reserved }

    /// The reason why an amount cannot be taken: `insufficient` is final; `contended` ends when undecided sagas free
    /// what they hold; `reserved` when the time of others is over, or they buy. nil: it can be taken.
    public func refusal(of amount: Amount) -> LedgerOutcome? {
        if amount > balance { return .insufficient(balance: balance) }
        if reserved > .zero, amount > balance - reserved { return .reserved(until: Int64(reservedUntil) * 1_000) }
        if amount > available { return .contended(balance: balance) }
        return nil
    }
}

/// The lock of one saga on a part of one account. It is kept until the saga has finished.
public struct Hold: Hashable, Sendable {
    /// The state of a hold.
    public enum State: UInt8, Sendable {
        /// The amount is locked.
        case held = 1
        /// The amount is sold or charged.
        case captured = 2
        /// The hold is undone. Also the marker of a release that found no hold: it refuses a hold that comes late.
        case released = 3
    }

    public var amount: Amount
    public var state: State
    /// The number that the account gave this hold; 0: a marker that never was a hold.
    public var grant: UInt32
    /// The moment at which its saga stops asking for holds: wall clock, milliseconds since 1970; 0: not known.
    public var expiry: Int64
    /// Until when its amount is reserved, as far as the account knows: milliseconds since 1970; 0: it is not.
    public var reservedUntil: Int64 = 0

    public init(amount: Amount, state: State, grant: UInt32 = 0, expiry: Int64 = 0) {
        self.amount = amount
        self.state = state
        self.grant = grant
        self.expiry = expiry
    }

    /// Whether a hold that arrives now is refused as expired. The expiry is by the clock of the saga's process, which
    /// may be behind this one by `Limits.clockSkewMilliseconds`.
    public static func isExpired(_ expiry: Int64, now: Int64) -> Bool { expiry < now - Limits.clockSkewMilliseconds }

    /// Whether each hold of the saga that still arrives is refused as expired, even by a clock that is behind this one
    /// by `Limits.clockSkewMilliseconds`.
    public static func isPast(_ expiry: Int64, now: Int64) -> Bool { expiry < now - Limits.markerMilliseconds }
}

/// What a user paid for an order without a checkout.
public struct DirectPayment: Hashable, Sendable {
    public var amount: Amount
    /// Whether the payment was given back, and counts as not made.
    public var isCancelled: Bool
    /// The account's generation at the payment. A payment of an earlier generation no longer counts.
    public var generation: UInt32
    /// What earlier payments for the same order captured. The audit needs it to check the account's total.
    public var earlier: Amount
    /// The incarnation of the order that was paid; nil: not known, as in format 3. It then counts for any.
    public var incarnation: UInt64?

    public init(
        amount: Amount, isCancelled: Bool, generation: UInt32, earlier: Amount, incarnation: UInt64? = nil
    ) {
        self.amount = amount
        self.isCancelled = isCancelled
        self.generation = generation
        self.earlier = earlier
        self.incarnation = incarnation
    }

    /// Whether the payment was made for this incarnation of its order, as far as is known.
    public func isFor(_ incarnation: UInt64) -> Bool { (self.incarnation ?? incarnation) == incarnation }

    /// Whether the payment stands for this incarnation of its order: then no checkout of it may charge the user again.
    public func stands(for incarnation: UInt64) -> Bool { !isCancelled && isFor(incarnation) }
}
