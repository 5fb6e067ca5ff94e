// What a client can ask of the shop, and what the shop answers. Transport knows these and nothing of engines or stores.

import KontorCore

/// A request, checked for form and bounds. Whether it makes sense is decided on the records.
public enum ShopRequest: Hashable, Sendable {
    case createItem(price: Amount)
    case createUser
    /// `read`, `deposit`, `withdraw` or `payDirectly`.
    case ledger(LedgerCommand)
    case cancelPayment(user: Identifier, order: Identifier)
    case paymentStatus(user: Identifier, order: Identifier)
    case initItems(count: Int, stock: Amount, price: Amount)
    case initUsers(count: Int, credit: Amount)
    case createOrder(user: Identifier)
    case addItem(order: Identifier, item: Identifier, units: Amount)
    /// `read`, `removeItem` or `remove`.
    case order(OrderCommand)
    case checkout(order: Identifier)
    /// What happened to an order, and what it lacks.
    case explain(order: Identifier)
    /// Orders of two random items each, for random users.
    case initOrders(count: Int, items: Int, users: Int, price: Amount)

    /// Which service it is for: the one of orders, of items (Stock) or of users (Payment).
    public var service: GroupKey.Kind {
        switch self {
        case .createItem, .initItems: return .item
        case .createUser, .initUsers, .cancelPayment, .paymentStatus: return .user
        case .ledger(let command): return command.account.kind
        case .createOrder, .addItem, .order, .checkout, .explain, .initOrders: return .order
        }
    }

    /// Reads change nothing, so their failures are told apart from those of writes.
    public var isRead: Bool {
        switch self {
        case .ledger(let command): return command.operation == .read
        case .order(let command): return command.operation == .read
        case .paymentStatus, .explain: return true
        default: return false
        }
    }

    /// Requests in flight up to which this one is taken: reads find room while others are refused.
    public var mostInFlight: Int { isRead ? Limits.requestsInFlight + Limits.readsReserve : Limits.requestsInFlight }

    /// `batch_init` runs until it is done.
    public var hasDeadline: Bool {
        switch self {
        case .initItems, .initUsers, .initOrders: return false
        default: return true
        }
    }
}

/// An answer. Transport turns it into a status and a body.
public enum ShopAnswer: Hashable, Sendable {
    case created(Identifier)
    case ledger(LedgerOutcome)
    case order(OrderOutcome)
    case checkout(CheckoutResult)
    /// A `cancelPayment` for an order that a checkout paid.
    case paidByCheckout
    case initialized
    indirect case explanation(Explanation)
    /// The request had this effect before, under its key, and has none now.
    indirect case replayed(ShopAnswer)
    /// Nothing was changed, because of the request's key.
    case keyed(KeyVerdict)
    /// A `batch_init` found an open saga on this account or order, and changed nothing.
    case hasOpenSaga(GroupKey)
    /// No effect, now or later.
    case unavailable(StoreTrouble)
    /// No effect: not begun, because too much is running already.
    case overloaded
    /// It may have happened. The same request, sent again, tells.
    case unknown
}

/// Who waits for an answer. Opaque to the shop.
public protocol Caller: AnyObject, Sendable {}

/// Takes answers, many at a time, once all that they tell is durable.
public protocol AnswerSink: AnyObject {
    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)])
}

/// The way into the shop from any thread.
public protocol RequestPort: Sendable {
    /// - Parameters:
    ///   - key: the request's `Idempotency-Key`; of no meaning for a read.
    ///   - deadline: on the shop's monotonic clock, in milliseconds.
    /// - Returns: false if the shop has too much to do (or shuts down): nothing was begun, and no answer will come.
    func submit(_ request: ShopRequest, key: IdempotencyKey?, deadline: Int64, caller: any Caller) -> Bool

    /// How many more requests that begin work would be taken now. Cheap, so that refusing is: in an overload it is asked for
    /// every request, before that is parsed.
    var room: Int { get }

    /// A checkout was refused for want of room, without being submitted: it only counts.
    func didShedCheckout()
}
