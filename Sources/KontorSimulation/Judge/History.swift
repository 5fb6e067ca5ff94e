// What clients asked for and what they were told, in words of their own: the auditor knows these, and nothing of the
// rules.

/// What a client wants. Accounts and orders have their ids; units and money are plain numbers.
enum Wish: Hashable {
    case createItem(price: Int64)
    case createUser
    case createOrder(user: String)
    /// Creates an order and checks it out, in one request.
    case place(user: String, Basket)
    case addStock(item: String, Int64)
    case takeStock(item: String, Int64)
    case addCredit(user: String, Int64)
    case payDirectly(user: String, order: String, Int64)
    case cancelPayment(user: String, order: String)
    case paymentStatus(user: String, order: String)
    case addItem(order: String, item: String, Int64)
    case removeItem(order: String, item: String)
    case removeOrder(String)
    case checkout(String)
    case reserve(order: String, seconds: Int64)
    case giveBack(order: String)
    case readItem(String)
    case readUser(String)
    case readOrder(String)
    case explain(String)
    /// `units`: nil: all that is not refunded yet.
    case refund(order: String, units: Basket?, restock: Bool)
    case listRefunds(String)
    case initItems(count: Int, stock: Int64, price: Int64)
    case initUsers(count: Int, credit: Int64)
    case initOrders(count: Int, items: Int, users: Int, price: Int64)

    /// Whether the wish can change anything.
    var isWrite: Bool {
        switch self {
        case .paymentStatus, .readItem, .readUser, .readOrder, .explain, .listRefunds: return false
        default: return true
        }
    }

    var isPlacement: Bool { if case .place = self { true } else { false } }

    var isBatchInit: Bool {
        switch self {
        case .initItems, .initUsers, .initOrders: true
        default: false
        }
    }

    /// The order that the wish is about; nil: none, or one that it creates.
    var order: String? {
        switch self {
        case .addItem(let order, _, _), .removeItem(let order, _), .removeOrder(let order), .checkout(let order),
            .readOrder(let order), .explain(let order), .refund(let order, _, _), .listRefunds(let order),
            .reserve(let order, _), .giveBack(let order):
            return order
        default: return nil
        }
    }
}

extension Wish {
    /// The only account or order of which the wish needs records, as the shop names it; nil: there are several.
    var onlyThing: String? {
        switch self {
        case .readItem(let item), .addStock(let item, _), .takeStock(let item, _): "item \(item)"
        case .readUser(let user), .addCredit(let user, _): "user \(user)"
        case .readOrder(let order), .removeItem(let order, _), .removeOrder(let order): "order \(order)"
        default: nil
        }
    }
}

/// What a client was told.
enum Told: Hashable {
    /// The request had its effect.
    case done
    case created(String)
    case item(stock: Int64, price: Int64)
    case credit(Int64)
    case order(isPaid: Bool, Basket, total: Int64)
    case payment(isPaid: Bool)
    case explained
    case refunded(Refunded)
    /// The reasons of an order's refunds: the titles of the actions that asked for them.
    case listed([String])
    /// The request had no effect and will have none.
    case refused(Refusal)
    /// The outcome is unknown: the client was told so, or not answered in time.
    case nothing
}

/// Units by item. Its text has a fixed order, which a dictionary's has not.
struct Basket: Hashable, CustomStringConvertible {
    var units: [String: Int64] = [:]
    var description: String { units.sorted { $0.key < $1.key }.map { "\($0.value) of \($0.key)" }.joined(separator: ", ") }
}

/// A refund, as a client is told of it, or as its record is in the end.
struct Refunded: Hashable {
    let order: String
    let incarnation: UInt64
    let number: UInt32
    /// The title of the action that asked for it.
    let reason: String
    let user: String
    let basket: Basket
    let money: Int64
    let isRestocked: Bool
}

enum Refusal: Hashable {
    /// The account's committed amount was too small.
    case insufficient(account: String, wanted: Int64, left: Int64)
    /// Other undecided checkouts held it until the deadline.
    case contended(account: String)
    /// Others had reserved it.
    case reserved(account: String)
    /// An account did not answer in time.
    case unreachable
    /// There is no such order, or it was removed.
    case unknownOrder
    case unknownAccount
    case orderIsPaid
    /// Something else about the order or account: empty, locked, over a bound.
    case state(String)
    /// The key is used, or in use.
    case key(String)
    /// Not begun: too much to do, no room, or no process there.
    case unavailable
}

/// One request and its answer.
struct Attempt {
    let asked: Int64
    /// How long the client waits, microseconds.
    let patience: Int64
    var answered: Int64?
    var told = Told.nothing
    /// Whether the answer says that it repeats an earlier one.
    var isReplay = false
    /// Whether a `batch_init` was done, and the client had given up by then.
    var isDoneLate = false
}

/// One wish of one client, with all its attempts. Repeated under a key, or as a checkout, it is still the same write.
final class Action {
    let number: Int
    let client: String
    let wish: Wish
    let key: String?
    var attempts: [Attempt] = []
    /// The order that was placed, and when the client was told so first.
    fileprivate(set) var placed: (id: String, at: Int64)?

    /// The order that the action is about; nil: none, or nobody was told which.
    var order: String? { wish.order ?? placed?.id }

    init(number: Int, client: String, wish: Wish, key: String?) {
        self.number = number
        self.client = client
        self.wish = wish
        self.key = key
    }

    enum Effect { case certain, none, possible }

    var effect: Effect {
        if attempts.contains(where: { $0.told.isEffect }) { return .certain }
        return attempts.contains { $0.told == .nothing } ? .possible : .none
    }

    /// The first and the last moment at which it can have had its effect.
    var first: Int64 { attempts.first?.asked ?? 0 }
    var last: Int64 {
        // A request without an answer may still be on its way.
        attempts.contains { $0.told == .nothing } ? .max : attempts.last?.answered ?? .max
    }
    var lastTold: Told { attempts.last?.told ?? .nothing }
}

extension Told {
    var isEffect: Bool {
        switch self {
        case .done, .created, .refunded: return true
        default: return false
        }
    }
}

/// All requests of one world.
final class History {
    private(set) var actions: [Action] = []
    private(set) var batchInits: [Action] = []
    /// The actions about each order, in their order.
    private(set) var byOrder: [String: [Action]] = [:]

    func begin(_ wish: Wish, by client: String, key: String?) -> Action {
        let action = Action(number: actions.count, client: client, wish: wish, key: key)
        actions.append(action)
        if wish.isBatchInit { batchInits.append(action) }
        if let order = wish.order { byOrder[order, default: []].append(action) }
        return action
    }

    /// Notes that a client was told which order was placed. Returns whether it is the one that was placed before.
    func place(_ action: Action, as id: String, at now: Int64) -> Bool {
        if let placed = action.placed { return placed.id == id }
        action.placed = (id, now)
        byOrder[id, default: []].append(action)
        return true
    }
}
