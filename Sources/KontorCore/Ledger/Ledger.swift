// What can be asked of a ledger, and what it can answer. The rules are in LedgerRules.

/// One command to one account. Stock and Payment are both ledgers and obey the same rules.
public struct LedgerCommand: Hashable, Sendable {
    /// What is done to the account, or asked of it.
    public enum Operation: Hashable, Sendable {
        case read
        /// Creates the account, empty, with a price (zero for a user).
        case open(price: Amount)
        /// `batch_init`: books an old balance out and the new one in, or creates the account.
        case replace(balance: Amount, price: Amount)
        case deposit(Amount)
        case withdraw(Amount)
        /// A payment for an order that no checkout makes; it does not pay the order.
        case payDirectly(order: Identifier, Amount)
        case cancelPayment(order: Identifier)
        case findPayment(order: Identifier)
        /// Locks a part of the account for a saga. `mayWait`: a contended hold is answered again once it is granted.
        /// `expiry`: wall clock, milliseconds since 1970, from when on it is refused where messages can be late; 0:
        /// never.
        case hold(SagaID, Amount, mayWait: Bool, expiry: Int64 = 0)
        /// `grant`: the one that the hold was answered with, so that no other hold of the same saga is ever captured
        /// for it.
        case capture(SagaID, Amount, grant: UInt32)
        /// `expiry`: of the hold that it undoes, also if that is still on its way.
        case release(SagaID, Amount, expiry: Int64 = 0)
        /// The saga has finished: its marker may go, at once if no message of it can arrive any more, else when all
        /// have expired.
        case forget(SagaID)
        /// The saga is over, and its hold came late: it is undone.
        case undo(SagaID)
        /// Changes nothing, so that a key can be kept for what was done elsewhere.
        case keepKey
    }

    /// An item or a user.
    public let account: GroupKey
    public let operation: Operation

    public init(_ account: GroupKey, _ operation: Operation) {
        self.account = account
        self.operation = operation
    }
}

/// What a ledger decided, in order of precedence. A replay gets what its original got.
public enum LedgerOutcome: Hashable, Sendable {
    case done
    /// The lock is taken; the grant tells it from any other lock that the account gave before.
    case held(grant: UInt32)
    /// The committed account, as of this command.
    case account(Account)
    /// Whether a direct payment for the order stands.
    case payment(isPaid: Bool)

    case unknownAccount
    case accountExists
    /// There never was a direct payment for this order, or it belongs to a life of the account before `batch_init`.
    case noDirectPayment
    case alreadyPaidDirectly
    /// Not replaced: open sagas hold a part of the account.
    case hasHolds
    /// A balance or lifetime total would pass its bound.
    case overLimit
    /// Final: the committed balance does not suffice.
    case insufficient(balance: Amount)
    /// The committed balance suffices, but undecided sagas hold part of it: wait.
    case contended(balance: Amount)
    /// A message that the protocol cannot produce, or produces only late. The account is unchanged.
    case anomaly(Anomaly)
}

/// Messages that come where the protocol has no place for them. All but a late hold are bugs or lost data: they raise
/// an alarm.
public enum Anomaly: UInt8, Hashable, Sendable, CaseIterable {
    /// A hold that arrives after its release or its expiry: harmless, and the reason for markers.
    case lateHold = 1
    case captureAfterRelease
    case releaseAfterCapture
    /// A capture whose hold is nowhere: data was lost, unless its saga is over and the capture is late.
    case captureWithoutHold
    /// The same step of the same saga with another amount.
    case differentAmount

    /// Whether operators are told.
    public var isAlarming: Bool { self != .lateHold }
}
