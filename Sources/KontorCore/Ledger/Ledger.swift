// Commands to a ledger, and their outcomes. The rules are in LedgerRules.

/// One command to one account. Stock and Payment are both ledgers and obey the same rules.
public struct LedgerCommand: Hashable, Sendable {
    /// What the command does to the account, or asks of it.
    public enum Operation: Hashable, Sendable {
        case read
        /// Creates the account with a price (zero for a user), and with what is deposited at once.
        case open(price: Amount, balance: Amount = .zero)
        /// Books the old balance out and the new one in, or creates the account: a record of `batch_init`.
        case replace(balance: Amount, price: Amount)
        case deposit(Amount)
        case withdraw(Amount)
        /// Locks the amount of a direct payment for an order, and the order's checkouts out, until the order has told
        /// whether it may be paid. `expiry`: the moment from which the lock may be undone, if its process is gone; wall
        /// clock, milliseconds since 1970.
        case lockPayment(order: Identifier, Amount, expiry: Int64)
        /// Makes the payment that the lock with this grant was taken for.
        case payDirectly(order: Identifier, incarnation: UInt64, Amount, grant: UInt32)
        /// Gives up the lock with this grant.
        case unlockPayment(order: Identifier, grant: UInt32)
        case cancelPayment(order: Identifier)
        case findPayment(order: Identifier)
        /// Locks a part of the account for a saga. `mayWait`: a contended hold is answered at once, and again when it
        /// is granted. `expiry`: the moment from which the hold is refused, where messages can be late; wall clock,
        /// milliseconds since 1970; 0: never.
        case hold(SagaID, Amount, mayWait: Bool, expiry: Int64 = 0)
        /// Ends the hold and keeps its amount. `grant`: the grant of the hold that the decision counted on; no other
        /// hold is captured.
        case capture(SagaID, Amount, grant: UInt32)
        /// Counts the amount of the hold as reserved until a moment, milliseconds since 1970. `grant`: the grant of the
        /// hold that the decision counted on.
        indirect case reserve(SagaID, Amount, grant: UInt32, until: Int64)
        /// Undoes the hold, or leaves a marker. `expiry`: the expiry of the hold, which may still be on its way.
        case release(SagaID, Amount, expiry: Int64 = 0)
        /// Removes the marker of a finished saga: at once if no message of the saga can still arrive, else once all of
        /// them have expired.
        case forget(SagaID)
        /// Undoes a hold that came after its saga was over.
        case undo(SagaID)
        /// Changes nothing but the keys that come with it.
        case keepKey
        /// Credits the account with its part of a refund. `expiry`: the moment from which this copy is refused, where
        /// messages can be late; wall clock, milliseconds since 1970.
        indirect case refund(RefundID, Amount, expiry: Int64)
        /// Notes that a refund is over: none of its credits is sent any more. `expiry`: the latest that a copy of the
        /// credit can bear, by the clock of the sender.
        indirect case forgetRefund(RefundID, expiry: Int64)
    }

    /// An item or a user.
    public let account: GroupKey
    public let operation: Operation

    public init(_ account: GroupKey, _ operation: Operation) {
        self.account = account
        self.operation = operation
    }
}

/// What a ledger decided. A replay gets the outcome of its original.
public enum LedgerOutcome: Hashable, Sendable {
    case done
    /// The lock is taken; its grant tells it from every other lock of the account.
    case held(grant: UInt32)
    /// The account at the time of this command.
    case account(Account)
    /// The direct payment for the order, made since `batch_init` last replaced the account; nil: there is none.
    case payment(DirectPayment?)

    case unknownAccount
    case accountExists
    /// There is no direct payment for this order, or `batch_init` has replaced the account since.
    case noDirectPayment
    /// A direct payment stands for the order: neither another one nor a checkout may charge for it.
    case alreadyPaidDirectly
    /// The lock of a direct payment is gone: nothing was paid.
    case paymentNotLocked
    /// Open sagas hold a part of the account, or a refund has credited it and is not over: it was not replaced.
    case hasHolds
    /// A balance or lifetime total would pass its bound.
    case overLimit
    /// The committed balance does not suffice: final.
    case insufficient(balance: Amount)
    /// The committed balance suffices, but undecided sagas hold part of it: wait.
    case contended(balance: Amount)
    /// The committed balance suffices, but others have reserved part of it: refused at once. `until`: the earliest
    /// moment at which some of it may be free, milliseconds since 1970.
    case reserved(until: Int64)
    /// The protocol cannot produce this message, or produces it only late. The account is unchanged.
    case anomaly(Anomaly)
}

/// Messages that the protocol cannot produce, or produces only late. All but a late hold and an untimely refund are
/// bugs or lost data, and raise an alarm.
public enum Anomaly: UInt8, Hashable, Sendable, CaseIterable {
    /// A hold that arrives after its release or its expiry. It is harmless, and the reason for markers.
    case lateHold = 1
    case captureAfterRelease
    case releaseAfterCapture
    /// A capture without its hold: data was lost, or its saga is over and the capture came late.
    case captureWithoutHold
    /// The same step of the same saga with another amount.
    case differentAmount
    /// A refund's credit that comes after its expiry, or whose expiry only a wrong clock can have given. It is sent
    /// again with another expiry.
    case untimelyRefund

    /// Whether operators are alarmed.
    public var isAlarming: Bool { self != .lateHold && self != .untimelyRefund }
}
