// An order and its durable saga: records, commands and outcomes. The rules are in OrderRules.

/// Units of an item at the price that it had when they were added.
public struct OrderLine: Hashable, Sendable {
    public var item: Identifier
    public var units: Amount
    public var price: Amount
    /// How many of the units were refunded, or are being refunded.
    public var refunded = Amount.zero

    public init(item: Identifier, units: Amount, price: Amount) {
        self.item = item
        self.units = units
        self.price = price
    }
}

/// What a user wants to buy, and where its checkout stands.
public struct Order: Hashable, Sendable {
    /// Where the order stands.
    public enum Status: UInt8, Sendable {
        case open = 1
        /// Locked exclusively by its saga.
        case checkingOut = 2
        /// Paid: this status is the durable decision to commit, and final.
        case paid = 3
        case removed = 4
        /// Its stock is held until its reservation is over; nothing runs.
        case reserved = 5
    }

    public var user: Identifier
    /// A random number, drawn when the order is created or replaced. It tells apart the orders that had the same id.
    public var incarnation: UInt64
    /// When the order was created or replaced: wall clock, milliseconds since 1970; 0: not known, as in format 3.
    public var created: Int64
    /// The number of the latest attempt to check the order out; 0: there was none.
    public var attempt: UInt32 = 0
    public var status = Status.open
    /// How many refunds of the order have begun; each has its number.
    public var refunds: UInt16 = 0
    public var lines: [OrderLine] = []
    /// The price of all lines together.
    public var total = Amount.zero
    /// The latest attempts to check the order out.
    public var history = History()
    /// The stock that is held for the order, or was when it was paid; nil: none.
    public var reservation: Reservation?

    public init(user: Identifier, incarnation: UInt64, created: Int64 = 0) {
        self.user = user
        self.incarnation = incarnation
        self.created = created
    }

    /// Units by item, in the order in which the items were first added.
    public var itemUnits: [(item: Identifier, units: Amount)] {
        var merged: [(item: Identifier, units: Amount)] = []
        for line in lines {
            if let index = merged.firstIndex(where: { $0.item == line.item }) {
                merged[index].units += line.units
            } else {
                merged.append((line.item, line.units))
            }
        }
        return merged
    }

    /// The locks that a checkout needs, in lock order: items by id, the user last. A total of zero locks nothing of the
    /// credit, but asks whether the user exists, and has not paid directly.
    public var legs: [Leg] {
        var legs = itemUnits.map { Leg(account: GroupKey(.item, $0.item), amount: $0.units) }
        legs.sort { $0.account.id < $1.account.id }
        legs.append(Leg(account: GroupKey(.user, user), amount: total))
        return legs
    }
}

extension Order {
    /// Adds units of an item. Units of one item at one price are one line.
    ///
    /// - Returns: the bound that would be passed; then the order is to be thrown away. nil: they are added.
    public mutating func add(_ line: OrderLine) -> OrderBound? {
        guard let cost = line.price.times(line.units), let total = total.sum(cost, atMost: Limits.moneyHundredths) else {
            return .cost
        }
        if let index = lines.firstIndex(where: { $0.item == line.item && $0.price == line.price }) {
            guard let units = lines[index].units.sum(line.units, atMost: Limits.balance) else { return .units }
            lines[index].units = units
        } else {
            if lines.count >= Limits.orderLines { return .lines }
            lines.append(line)
        }
        self.total = total
        return nil
    }
}

/// One account's part in a checkout.
public struct Leg: Hashable, Sendable {
    public let account: GroupKey
    public let amount: Amount

    public init(account: GroupKey, amount: Amount) {
        self.account = account
        self.amount = amount
    }
}

/// Where a checkout stands, durably. The record exists from begin to finish; recovery drives each one that it finds.
public struct SagaRecord: Hashable, Sendable {
    /// What has been decided, or how holds are asked for until then.
    public enum Phase: Hashable, Sendable {
        /// Undecided: all holds are asked for at once, and none waits.
        case holdingTogether
        /// Undecided: holds are asked for one after the other in lock order, and each waits while it is contended.
        case holdingInOrder
        /// This attempt will not commit: its holds are released, then the next attempt begins.
        case retrying
        case committed
        case aborted(AbortReason)
        /// What is locked stays locked until the reservation is over.
        case reserved
    }

    public let id: SagaID
    /// The locks that the checkout needs, in lock order.
    public let legs: [Leg]
    public var phase: Phase
    /// The grants of the locks that the decision to commit counted on, one for each leg: only these locks are captured.
    /// Empty before the decision.
    public var grants: [UInt32] = []
    /// When the attempt began: wall clock, milliseconds since 1970.
    public let begun: Int64
    /// When an undecided checkout gives up: wall clock, milliseconds since 1970.
    public let deadline: Int64
    /// nil: it has nothing of what few sagas have.
    private let rarities: SagaRarities?

    public init(
        id: SagaID, legs: [Leg], phase: Phase, begun: Int64, deadline: Int64, claim: KeyClaim? = nil,
        found: Reservation? = nil, reservesUntil: Int64? = nil
    ) {
        self.id = id
        self.legs = legs
        self.phase = phase
        self.begun = begun
        self.deadline = deadline
        rarities = SagaRarities(claim, found, reservesUntil: reservesUntil)
    }

    /// The idempotency key of the request that began the saga; it is kept with its success. nil: it had none.
    public var claim: KeyClaim? { rarities?.claim }
    /// The reservation of the order when the saga began, with its locks on the stock; nil: it was not reserved.
    public var found: Reservation? { rarities?.found }
    /// Until when the saga reserves the stock, milliseconds since 1970; nil: it buys, or gives back.
    public var reservesUntil: Int64? { rarities?.reservesUntil }
    /// Whether it is to pay the order, and not to reserve it or to give its reservation back.
    public var isOfCheckout: Bool { reservesUntil == nil && phase.result != .givenBack }

    /// The grant of a leg's lock; 0: the release that stored this record counted no grants.
    public func grant(ofLeg leg: Int) -> UInt32 { leg < grants.count ? grants[leg] : 0 }
}

/// What few sagas have. An object: sagas are copied often, and each copy would have its size.
private final class SagaRarities: Hashable, Sendable {
    let claim: KeyClaim?
    let found: Reservation?
    let reservesUntil: Int64?

    /// - Returns: nil: it has nothing of that.
    init?(_ claim: KeyClaim?, _ found: Reservation?, reservesUntil: Int64?) {
        if claim == nil, found == nil, reservesUntil == nil { return nil }
        (self.claim, self.found, self.reservesUntil) = (claim, found, reservesUntil)
    }

    static func == (one: SagaRarities, other: SagaRarities) -> Bool {
        one.claim == other.claim && one.found == other.found && one.reservesUntil == other.reservesUntil
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(claim)
        hasher.combine(found)
        hasher.combine(reservesUntil)
    }
}

/// Why a checkout was aborted. Every reason can go away: the same order may be checked out again.
public enum AbortReason: Hashable, Sendable {
    case insufficient(account: GroupKey, wanted: Amount, left: Amount)
    case unknownAccount(GroupKey)
    /// Other undecided checkouts held part of the account until the deadline.
    case contended(account: GroupKey)
    /// The account's ledger did not answer before the deadline.
    case unreachable(account: GroupKey)
    /// The account's ledger refused a message that the protocol has no place for.
    case anomaly(account: GroupKey, Anomaly)
    /// A direct payment of the user stands for the order.
    case paidDirectly(order: Identifier)
    /// Others have reserved part of the account. `until`: the earliest moment at which some of it may be free,
    /// milliseconds since 1970.
    case reserved(account: GroupKey, until: Int64)
    /// The reservation of the order was given back: because somebody asked for it, or because its time was over.
    case reservationEnded(isExpired: Bool)
}

/// The decision on a saga. A compare-and-set on its order makes it durable.
public enum Decision: Hashable, Sendable {
    case commit
    case abort(AbortReason)
    /// Releases everything and begins again, this time in lock order.
    case retryInOrder
    /// Lets the locks stand until this moment, milliseconds since 1970.
    case reserve(until: Int64)
}

/// One command to one order.
public struct OrderCommand: Hashable, Sendable {
    /// What the command does to the order, or asks of it.
    public enum Operation: Hashable, Sendable {
        case read
        /// Reads the order with its saga, even if the order is removed.
        case inspect
        case create(Order)
        /// Replaces the order by one with a new incarnation: a record of `batch_init`. A paid order leaves its receipt.
        case replace(Order)
        case addItem(OrderLine)
        /// Replaces all lines. Units of one item at one price are one line.
        case setLines([OrderLine])
        /// Takes one unit off the line that was added last.
        case removeItem(Identifier)
        case remove
        /// Locks the order and stores its saga. `now` and `deadline`: wall clock, milliseconds since 1970.
        case begin(now: Int64, deadline: Int64, KeyClaim?)
        /// Creates the order, and begins its checkout in the same step. One without lines is created and not begun.
        indirect case place(Order, now: Int64, deadline: Int64, KeyClaim?)
        /// As `begin`, for a saga that reserves the stock, or extends a reservation. `until`: by the clock of the
        /// order's store, milliseconds since 1970.
        indirect case reserve(now: Int64, deadline: Int64, until: Int64, KeyClaim?)
        /// As `begin`, for a saga that gives a reservation back. `storesTime`: only if it is over by this time of the
        /// order's store, milliseconds since 1970; nil: in any case.
        indirect case giveBack(now: Int64, deadline: Int64, storesTime: Int64? = nil, KeyClaim?)
        case decide(SagaID, Decision, SagaTrace)
        /// Begins the next attempt, after `retryInOrder` and once all holds are released.
        case beginAgain(SagaID, SagaTrace)
        /// Ends the saga and unlocks the order.
        case finish(SagaID, SagaTrace)
        /// Changes nothing but the keys that come with it.
        case keepKey
        /// Keeps the key that comes with it, the tombstone of a request for a saga that was refused, unless a saga of
        /// the order runs, or, for a checkout, has paid it.
        case refuseSaga(isCheckout: Bool)
        /// Takes the units off what can still be refunded, and stores the refund.
        indirect case beginRefund(RefundTerms)
        /// Asks whether a refund is open.
        indirect case findRefund(RefundID)
        /// Reads a refund, open or finished.
        indirect case readRefund(RefundID)
        /// Reads all refunds of the order's present incarnation.
        case readRefunds
        /// Ends a refund whose credits were all acknowledged. `now`: wall clock, milliseconds since 1970.
        indirect case finishRefund(RefundID, now: Int64)
    }

    public let order: Identifier
    public let operation: Operation
    /// Whose the order must be: the command finds no order of anybody else's; nil: whoever's.
    public let owner: Identifier?
    /// One of the tags (``Order/tag``) that the order must have; nil: any.
    public let tags: [UInt64]?

    public init(_ order: Identifier, _ operation: Operation, owner: Identifier? = nil, tags: [UInt64]? = nil) {
        self.order = order
        self.operation = operation
        self.owner = owner
        self.tags = tags
    }
}

/// The bounds of one order.
public enum OrderBound: Hashable, Sendable, CaseIterable {
    /// How many lines it has.
    case lines
    /// How many units of one item it has at one price.
    case units
    /// What it costs.
    case cost
    /// How often its checkout was tried.
    case attempts
    /// How many refunds it has.
    case refunds
}

/// What the order's rules decided on a command.
public enum OrderOutcome: Hashable, Sendable {
    case done
    case order(Order)
    indirect case inspected(Order, SagaRecord?)
    /// The saga has begun.
    case begun(SagaRecord)
    /// A saga was running already: join it.
    case running(SagaRecord)
    /// The saga with the decision that stands: this command's or an earlier one.
    case decided(SagaRecord)
    /// The saga has finished: it is not the order's current one.
    case stale(Order.Status)

    case unknownOrder
    /// The order has none of the tags that the command names: it has changed since.
    case changedSince
    case orderExists
    case unknownItem
    case alreadyPaid
    case isCheckingOut
    /// The order is locked by its reservation.
    case isReserved(until: Int64)
    case isRemoved
    case isEmpty
    case overLimit(OrderBound)
    /// All of the paid order was refunded: it is not checked out again.
    case isRefunded

    /// The refund: begun, finished or as it is.
    indirect case refund(Refund)
    /// The refunds of the order, oldest first.
    case refunds([Refund])
    case refundOpen
    /// The refund is not open: it is finished, or there never was one.
    case refundOver
    /// No checkout has paid the order, so there is nothing to refund. A direct payment is cancelled instead.
    case notPaid
    /// All is refunded.
    case nothingToRefund
    /// More units of an item than can still be refunded. `left`: how many those are; none if it is not in the order.
    indirect case exceedsRefundable(item: Identifier, left: Amount)
}
