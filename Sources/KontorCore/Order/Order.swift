// An order and its durable saga: records, commands and outcomes. The rules are in OrderRules.

/// Units of an item at the price that it had when they were added.
public struct OrderLine: Hashable, Sendable {
    public var item: Identifier
    public var units: Amount
    public var price: Amount

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
        /// This is the durable decision to commit: final.
        case paid = 3
        case removed = 4
    }

    public var user: Identifier
    /// Drawn at random when the order is created or replaced: tells its lives apart.
    public var incarnation: UInt64
    /// Rises with each begin of a checkout.
    public var attempt: UInt32 = 0
    public var status = Status.open
    public var lines: [OrderLine] = []
    /// Money, of all lines.
    public var total = Amount.zero
    /// The latest attempts to check it out.
    public var history = History()

    public init(user: Identifier, incarnation: UInt64) {
        self.user = user
        self.incarnation = incarnation
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

    /// The locks that a checkout needs, in lock order: items by id, the user last. A total of zero needs no lock on
    /// credit.
    public var legs: [Leg] {
        var legs = itemUnits.map { Leg(account: GroupKey(.item, $0.item), amount: $0.units) }
        legs.sort { $0.account.id < $1.account.id }
        if total > .zero { legs.append(Leg(account: GroupKey(.user, user), amount: total)) }
        return legs
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

/// Where a checkout stands, durably. It is stored from begin to finish; recovery drives what it finds.
public struct SagaRecord: Hashable, Sendable {
    /// What has been decided, and how holds are asked for until then.
    public enum Phase: Hashable, Sendable {
        /// Undecided: first all holds at once, none waiting.
        case holdingTogether
        /// Undecided: one hold after the other in lock order, waiting where one is contended.
        case holdingInOrder
        /// Undecided, and never to be committed under this attempt: holds are released, then the next attempt begins.
        case retrying
        case committed
        case aborted(AbortReason)
    }

    public let id: SagaID
    /// In lock order.
    public let legs: [Leg]
    public var phase: Phase
    /// The locks that the decision to commit counted on, one a leg: just these are captured. Empty before it.
    public var grants: [UInt32] = []
    /// Wall clock, milliseconds since 1970.
    public let begun: Int64
    /// Wall clock, milliseconds since 1970: when an undecided checkout gives up.
    public let deadline: Int64
    /// The key of the request that began it: kept with the decision to commit.
    public let claim: KeyClaim?

    public init(id: SagaID, legs: [Leg], phase: Phase, begun: Int64, deadline: Int64, claim: KeyClaim? = nil) {
        self.id = id
        self.legs = legs
        self.phase = phase
        self.begun = begun
        self.deadline = deadline
        self.claim = claim
    }

    /// The grant of a leg's lock; 0: it was given by a release that counted none.
    public func grant(ofLeg leg: Int) -> UInt32 { leg < grants.count ? grants[leg] : 0 }
}

/// Why a checkout did not happen. Every reason can go away: the same order may be checked out again.
public enum AbortReason: Hashable, Sendable {
    case insufficient(account: GroupKey, wanted: Amount, left: Amount)
    case unknownAccount(GroupKey)
    /// Other undecided checkouts held part of the account until the deadline.
    case contended(account: GroupKey)
    /// A participant could not be reached before the deadline.
    case unreachable(account: GroupKey)
    /// A participant refused because of a message that the protocol has no place for.
    case anomaly(account: GroupKey, Anomaly)
}

/// The decision on a saga, made durable by a compare-and-set on its order.
public enum Decision: Hashable, Sendable {
    case commit
    case abort(AbortReason)
    /// Releases everything and begins again, this time in lock order.
    case retryInOrder
}

/// One command to one order.
public struct OrderCommand: Hashable, Sendable {
    /// What is done to the order, or asked of it.
    public enum Operation: Hashable, Sendable {
        case read
        /// Reads also a removed order, with its saga.
        case inspect
        case create(Order)
        /// `batch_init`: the order begins a new life. A paid one leaves its receipt.
        case replace(Order)
        case addItem(OrderLine)
        /// Takes one unit off the line that was added last.
        case removeItem(Identifier)
        case remove
        /// Locks the order and stores its saga. `now`: wall clock, as the deadline.
        case begin(now: Int64, deadline: Int64, KeyClaim?)
        case decide(SagaID, Decision, SagaTrace)
        /// After `retryInOrder`, once all is released: the next attempt.
        case beginAgain(SagaID, SagaTrace)
        /// Ends the saga and gives the order's lock back.
        case finish(SagaID, SagaTrace)
        /// Changes nothing, so that a key can be kept for what was done elsewhere.
        case keepKey
    }

    public let order: Identifier
    public let operation: Operation

    public init(_ order: Identifier, _ operation: Operation) {
        self.order = order
        self.operation = operation
    }
}

/// What was decided on an order command.
public enum OrderOutcome: Hashable, Sendable {
    case done
    case order(Order)
    case inspected(Order, SagaRecord?)
    /// The saga runs: begun now.
    case begun(SagaRecord)
    /// The saga runs since before: join it.
    case running(SagaRecord)
    /// The saga with the decision that stands, be it this command's or an earlier one.
    case decided(SagaRecord)
    /// The saga is not the order's current one: it has finished.
    case stale(Order.Status)

    case unknownOrder
    case orderExists
    case unknownItem
    case alreadyPaid
    case isCheckingOut
    case isRemoved
    case isEmpty
    case overLimit
}
