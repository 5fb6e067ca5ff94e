// Refunds: what a checkout charged is given back, and its units are in stock again. The rules of orders are in
// OrderRefundRules, those of ledgers in LedgerRefundRules, the way from begin to end in RefundSaga.

/// Units of an item.
public struct ItemUnits: Hashable, Sendable {
    public let item: Identifier
    public let units: Amount

    public init(item: Identifier, units: Amount) {
        self.item = item
        self.units = units
    }
}

/// Names one refund of one incarnation of an order.
public struct RefundID: Hashable, Sendable, CustomStringConvertible {
    public let order: Identifier
    /// See ``Order/incarnation``.
    public let incarnation: UInt64
    /// Its number among the refunds of this incarnation, from 1.
    public let number: UInt32

    public init(order: Identifier, incarnation: UInt64, number: UInt32) {
        self.order = order
        self.incarnation = incarnation
        self.number = number
    }

    public var description: String { "\(order)/\(String(incarnation, radix: 16))/refund \(number)" }
}

/// What a refund is asked for.
public struct RefundTerms: Hashable, Sendable {
    /// What is given back; nil: all that is not refunded yet.
    public let lines: [ItemUnits]?
    /// Whether the units are in stock again.
    public let restock: Bool
    /// Why, in the words of whoever asked; empty: no reason was given.
    public let reason: String
    /// When it was asked for: wall clock, milliseconds since 1970.
    public let now: Int64
    /// The process that will drive the refund: the writer of its versions; 0 where it is the only one.
    public let driver: UInt64

    /// Makes terms; a reason that is longer than `Limits.refundReasonBytes` is cut.
    public init(lines: [ItemUnits]?, restock: Bool = true, reason: String = "", now: Int64, driver: UInt64 = 0) {
        self.lines = lines
        self.restock = restock
        self.reason =
            reason.utf8.count <= Limits.refundReasonBytes
            ? reason : String(decoding: reason.utf8.prefix(Limits.refundReasonBytes), as: UTF8.self)
        self.now = now
        self.driver = driver
    }
}

/// A refund of a part of a paid order. It has begun when its record is durable, and from then on it succeeds: it is
/// open until all of its credits are acknowledged, and its record stays.
public struct Refund: Hashable, Sendable {
    public let id: RefundID
    /// Who gets the money: the order's user.
    public let user: Identifier
    /// What is given back, at the prices that were paid. One item may stand on several lines, with different prices.
    public let lines: [OrderLine]
    /// What the lines cost together: the user's credit rises by it.
    public let amount: Amount
    /// Whether the units are in stock again.
    public let restock: Bool
    /// Why, in the words of whoever asked; empty: no reason was given.
    public let reason: String
    /// When it began: wall clock, milliseconds since 1970.
    public let begun: Int64
    /// When all of its credits were acknowledged: wall clock, milliseconds since 1970; nil: it is open.
    public var finished: Int64?
    /// The process that drives it: the writer of its versions. Where several refunds of one order are open, the order's
    /// version does not tell whose each of them is.
    public var driver: UInt64

    public init(
        id: RefundID, user: Identifier, lines: [OrderLine], amount: Amount, restock: Bool, reason: String, begun: Int64,
        finished: Int64? = nil, driver: UInt64 = 0
    ) {
        self.id = id
        self.user = user
        self.lines = lines
        self.amount = amount
        self.restock = restock
        self.reason = reason
        self.begun = begun
        self.finished = finished
        self.driver = driver
    }

    /// What lines cost together; nil: more than an order may, so a record is damaged.
    static func amount(of lines: [OrderLine]) -> Amount? {
        lines.reduce(Amount.zero) { sum, line in
            guard let sum, let cost = line.price.times(line.units) else { return nil }
            return sum.sum(cost, atMost: Limits.moneyHundredths)
        }
    }

    /// What each account gets: the user first, then the items by id. Nothing is credited for nothing.
    public var legs: [Leg] {
        var legs: [Leg] = []
        if amount > .zero { legs.append(Leg(account: GroupKey(.user, user), amount: amount)) }
        guard restock else { return legs }
        var units: [Identifier: Amount] = [:]
        for line in lines { units[line.item, default: .zero] += line.units }
        for (item, units) in units.sorted(by: { $0.key < $1.key }) {
            legs.append(Leg(account: GroupKey(.item, item), amount: units))
        }
        return legs
    }
}

/// What an account remembers of a refund's credit, so that a copy of it has no effect. A credit takes no hold, so the
/// marker is all that tells. It stays until the order says that the refund is over, and then until every copy that is
/// still on its way would be refused as untimely.
public struct CreditMarker: Hashable, Sendable {
    public let amount: Amount
    /// Until when a copy of the credit may be taken, by the clock of its sender: wall clock, milliseconds since 1970.
    public var expiry: Int64
    /// Whether the refund is over, so that nobody sends the credit any more.
    public var isForgotten: Bool

    public init(amount: Amount, expiry: Int64, isForgotten: Bool = false) {
        self.amount = amount
        self.expiry = expiry
        self.isForgotten = isForgotten
    }

    /// The expiry of a credit.
    ///
    /// - Parameter confirmed: a moment at which the refund was not over yet, by the wall clock of the sender,
    ///   milliseconds since 1970.
    public static func expiry(confirmed: Int64) -> Int64 { confirmed + Limits.creditMilliseconds }

    /// The latest expiry that a copy of a credit can bear whose refund is over.
    ///
    /// - Parameter now: wall clock of whoever knows that it is over, milliseconds since 1970. The clock of a copy's
    ///   sender may be ahead of it by the skew.
    public static func latestExpiry(now: Int64) -> Int64 { expiry(confirmed: now) + Limits.clockSkewMilliseconds }

    /// Whether a credit must be refused: it has expired, or only a clock that is further ahead than clocks may be can
    /// have given it its expiry. Its marker may have gone, or would go too early.
    static func isUntimely(_ expiry: Int64, now: Int64) -> Bool {
        Hold.isExpired(expiry, now: now) || expiry > latestExpiry(now: now)
    }
}

extension Order {
    /// Whether all of a paid order was refunded. Such an order is not checked out again.
    public var isRefunded: Bool { refunds > 0 && lines.allSatisfy { $0.refunded == $0.units } }

    /// What is refunded so far, at the prices that were paid.
    public var refundedAmount: Amount {
        lines.reduce(.zero) { Amount($0.raw &+ $1.refunded.raw &* $1.price.raw) }
    }
}
