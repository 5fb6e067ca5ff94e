// Requests to the shop, and its answers. The HTTP layer knows these, and nothing of engines or stores.

import Crypto
import KontorCore

/// A request, checked for form and bounds. Whether it makes sense is decided on the records.
public enum ShopRequest: Hashable, Sendable {
    case createItem(price: Amount)
    case createUser
    /// Creates an item or a user with what it has from the start.
    case newAccount(GroupKey.Kind, price: Amount, balance: Amount)
    /// `read`, `deposit` or `withdraw`.
    case ledger(LedgerCommand)
    /// A direct payment for an order.
    case pay(user: Identifier, order: Identifier, Amount)
    case cancelPayment(user: Identifier, order: Identifier)
    case paymentStatus(user: Identifier, order: Identifier)
    case initItems(count: Int, stock: Amount, price: Amount)
    case initUsers(count: Int, credit: Amount)
    case createOrder(user: Identifier)
    /// Where an owner is named, here and below, an order of anybody else's counts as not there.
    case addItem(order: Identifier, item: Identifier, units: Amount, owner: Identifier? = nil)
    /// Creates an order with lines, and checks it out if asked to.
    case newOrder(NewOrder)
    /// Replaces the lines of an order. `tags`: one of those that it must have; nil: any.
    case setLines(order: Identifier, [ItemUnits], tags: [UInt64]?, owner: Identifier? = nil)
    /// `read`, `inspect`, `removeItem` or `remove`.
    case order(OrderCommand)
    case checkout(order: Identifier, owner: Identifier? = nil)
    /// Holds the stock of an order for so many seconds, in 1 ... `Limits.reservationSeconds`; or for longer than it is
    /// held already.
    case reserve(order: Identifier, seconds: Int64, owner: Identifier? = nil)
    /// Gives back what is held for an order.
    case giveBack(order: Identifier, owner: Identifier? = nil)
    /// Asks what happened to an order, and what it lacks.
    case explain(order: Identifier, owner: Identifier? = nil)
    /// Gives back what a paid order's units cost. `lines`: nil: all that is not refunded yet. `restock`: whether the
    /// units are in stock again. `reason`: cut behind `Limits.refundReasonBytes`.
    case refund(
        order: Identifier, owner: Identifier? = nil, lines: [ItemUnits]?, restock: Bool = true, reason: String = "")
    /// Lists the refunds of an order.
    case refunds(order: Identifier, owner: Identifier? = nil)
    /// Creates or replaces orders of two random items each, for random users.
    case initOrders(count: Int, items: Int, users: Int, price: Amount)
    /// Reads a page of orders, the newest first: of a user (nil: of all), in a state (nil: in any), behind a place
    /// (nil: from the newest one on). Here and below, `atMost` is in 1 ... `Limits.listPage`.
    indirect case listOrders(user: Identifier?, state: OrderState?, behind: ListCursor?, atMost: Int)
    /// Reads a page of all items.
    case listItems(behind: ListCursor?, atMost: Int)
    /// Reads a page of all users.
    case listUsers(behind: ListCursor?, atMost: Int)
    /// A write of one order whose answer, if it succeeds, shows the order as it is then.
    indirect case shown(ShopRequest)

    /// The service that the request is for: orders, items (Stock) or users (Payment).
    public var service: GroupKey.Kind {
        switch self {
        case .createItem, .initItems, .listItems: return .item
        case .createUser, .initUsers, .pay, .cancelPayment, .paymentStatus, .listUsers: return .user
        case .newAccount(let kind, _, _): return kind
        case .ledger(let command): return command.account.kind
        case .createOrder, .newOrder, .addItem, .setLines, .order, .checkout, .reserve, .giveBack, .explain, .initOrders,
            .refund, .refunds,
            .listOrders, .shown:
            return .order
        }
    }

    /// Whether the request changes nothing. Failed reads are answered otherwise than failed writes.
    public var isRead: Bool {
        switch self {
        case .ledger(let command): return command.operation == .read
        case .order(let command): return command.operation == .read || command.operation == .inspect
        case .paymentStatus, .explain, .refunds, .listOrders, .listItems, .listUsers: return true
        default: return false
        }
    }

    /// The number of requests in flight up to which this one is taken: reads find room while others are refused.
    public var mostInFlight: Int { isRead ? Limits.requestsInFlight + Limits.readsReserve : Limits.requestsInFlight }

    /// Whether a saga of an order does what it asks for. Such a request may be repeated while the first one runs: it
    /// joins.
    var isOfSaga: Bool {
        switch self {
        case .checkout, .reserve, .giveBack: return true
        case .newOrder(let new): return new.checksOut
        default: return false
        }
    }

    /// Whether it creates an order and checks it out.
    public var isPlacement: Bool {
        switch self {
        case .newOrder(let new): return new.checksOut
        case .shown(let request): return request.isPlacement
        default: return false
        }
    }

    /// Whether it is a `batch_init`, which has no deadline: it runs until it is done.
    public var isBatchInit: Bool {
        switch self {
        case .initItems, .initUsers, .initOrders: return true
        default: return false
        }
    }
}

// MARK: What a request names, and what its key means

extension ShopRequest {
    /// The order, item and user that the request names, at most one of each; an order comes first.
    public var ids: [GroupKey] {
        switch self {
        case .createItem, .createUser, .newAccount, .initItems, .initUsers, .initOrders, .listItems, .listUsers: return []
        case .listOrders(let user, _, _, _): return user.map { [GroupKey(.user, $0)] } ?? []
        case .shown(let request): return request.ids
        case .ledger(let command): return [command.account]
        case .pay(let user, let order, _), .cancelPayment(let user, let order), .paymentStatus(let user, let order):
            return [GroupKey(.order, order), GroupKey(.user, user)]
        case .createOrder(let user): return [GroupKey(.user, user)]
        case .newOrder(let new): return [GroupKey(.user, new.user)]
        case .setLines(let order, _, _, _): return [GroupKey(.order, order)]
        case .addItem(let order, let item, _, _): return [GroupKey(.order, order), GroupKey(.item, item)]
        case .order(let command):
            if case .removeItem(let item) = command.operation {
                return [GroupKey(.order, command.order), GroupKey(.item, item)]
            }
            return [GroupKey(.order, command.order)]
        case .checkout(let order, _), .reserve(let order, _, _), .giveBack(let order, _), .explain(let order, _),
            .refund(let order, _, _, _, _), .refunds(let order, _):
            return [GroupKey(.order, order)]
        }
    }

    /// The answer to this write when it has its effect. The answer follows from the request, so a key's record need not
    /// contain it. That to a refund is the refund, to which its key refers: ``IdempotencyGate`` reads it.
    ///
    /// - Parameter group: the group of the request's key.
    func success(of group: GroupKey) -> ShopAnswer {
        switch self {
        case .createItem, .createUser, .newAccount, .createOrder: return .created(group.id)
        case .newOrder(let new): return new.checksOut ? .placed(group.id, .checkout(.paid)) : .created(group.id)
        case .shown(let request): return request.success(of: group)
        case .checkout: return .checkout(.paid)
        case .reserve: return .checkout(.reserved)
        case .giveBack: return .checkout(.givenBack)
        case .initItems, .initUsers, .initOrders: return .initialized
        case .ledger, .pay, .cancelPayment: return .ledger(.done)
        case .order, .addItem, .setLines: return .order(.done)
        case .refund: preconditionFailure("The answer to a refund does not follow from its request.")
        case .paymentStatus, .explain, .refunds, .listOrders, .listItems, .listUsers:
            preconditionFailure("A read was handled under a key.")
        }
    }

    /// The group that keeps the key of this write. A creation derives its id from the client's key, else from the
    /// gateway's.
    func keyGroup(_ name: WriteName, _ ids: IDDerivation) -> GroupKey {
        keyGroup { kind, scope in
            guard let key = name.creationKey else { preconditionFailure("A write without a name has no key.") }
            return ids.id(for: key, kind: kind, scope: scope)
        }
    }

    /// The group that keeps the key of this write, and what the audit trail says of it.
    ///
    /// - Parameter newID: makes the id of a creation, of its kind and scope.
    func keyGroup(_ newID: (GroupKey.Kind, _ scope: String) -> Identifier) -> GroupKey {
        switch self {
        case .createItem: return GroupKey(.item, newID(.item, ""))
        case .createUser: return GroupKey(.user, newID(.user, ""))
        case .newAccount(let kind, _, _): return GroupKey(kind, newID(kind, ""))
        case .createOrder(let user): return GroupKey(.order, newID(.order, user.text))
        case .newOrder(let new): return GroupKey(.order, newID(.order, new.user.text))
        case .shown(let request): return request.keyGroup(newID)
        case .ledger(let command): return command.account
        case .pay(let user, _, _), .cancelPayment(let user, _), .paymentStatus(let user, _): return GroupKey(.user, user)
        case .addItem(let order, _, _, _), .setLines(let order, _, _, _), .checkout(let order, _), .explain(let order, _),
            .reserve(let order, _, _), .giveBack(let order, _), .refund(let order, _, _, _, _), .refunds(let order, _):
            return GroupKey(.order, order)
        case .order(let command): return GroupKey(.order, command.order)
        case .initItems: return GroupKey(.item, .batchInit)
        case .initUsers: return GroupKey(.user, .batchInit)
        case .initOrders: return GroupKey(.order, .batchInit)
        case .listOrders, .listItems, .listUsers: preconditionFailure("A list is of no group.")
        }
    }

    /// The bytes by which two requests count as the same. They are stored, so they must never change from release to
    /// release. The group is not among them: keys of different groups never meet.
    var canonicalBytes: [UInt8] {
        var writer = ByteWriter()
        func put(_ tag: UInt8, ids: [Identifier] = [], numbers: [Int64] = []) {
            writer.byte(tag)
            for id in ids { writer.text(id.text) }
            for number in numbers { writer.varint(UInt64(bitPattern: number)) }
        }
        /// Their hash: a key's record has room for a few bytes.
        func put(lines: [ItemUnits]) {
            var all = ByteWriter()
            for line in lines {
                all.text(line.item.text)
                all.varint(UInt64(bitPattern: line.units.raw))
            }
            writer.bytes += SHA256.hash(data: all.bytes)
        }
        switch self {
        case .createItem(let price): put(1, numbers: [price.raw])
        case .createUser: put(2)
        case .createOrder: put(3)
        case .ledger(let command):
            switch command.operation {
            case .deposit(let amount): put(4, numbers: [amount.raw])
            case .withdraw(let amount): put(5, numbers: [amount.raw])
            default: preconditionFailure("\(command.operation) is no write of a client.")
            }
        case .pay(_, let order, let amount): put(6, ids: [order], numbers: [amount.raw])
        case .cancelPayment(_, let order): put(7, ids: [order])
        case .addItem(_, let item, let units, _): put(8, ids: [item], numbers: [units.raw])
        case .order(let command):
            switch command.operation {
            case .removeItem(let item): put(9, ids: [item])
            case .remove: put(10)
            default: preconditionFailure("\(command.operation) is no write of a client.")
            }
        case .checkout: put(11)
        case .initItems(let count, let stock, let price): put(12, numbers: [Int64(count), stock.raw, price.raw])
        case .initUsers(let count, let credit): put(13, numbers: [Int64(count), credit.raw])
        case .initOrders(let count, let items, let users, let price):
            put(14, numbers: [Int64(count), Int64(items), Int64(users), price.raw])
        case .newAccount(_, let price, let balance): put(15, numbers: [price.raw, balance.raw])
        case .newOrder(let new):
            put(16, numbers: [new.checksOut ? 1 : 0])
            put(lines: new.lines)
        case .setLines(_, let lines, _, _):
            put(17)
            put(lines: lines)
        case .refund(_, _, let lines, let restock, let reason):
            put(18, numbers: [restock ? 1 : 0, lines == nil ? 0 : 1])
            put(lines: lines ?? [])
            writer.text(reason)
        case .reserve(_, let seconds, _): put(19, numbers: [seconds])
        case .giveBack: put(20)
        case .shown(let request): return request.canonicalBytes
        case .paymentStatus, .explain, .refunds, .listOrders, .listItems, .listUsers:
            preconditionFailure("A read was handled under a key.")
        }
        return writer.bytes
    }
}

/// An order that is to be created with its lines. An object, so that requests stay small.
public final class NewOrder: Hashable, Sendable {
    public let user: Identifier
    public let lines: [ItemUnits]
    /// Whether it is checked out at once. Then the request needs an idempotency key, which is kept once it is paid.
    public let checksOut: Bool

    public init(user: Identifier, lines: [ItemUnits], checksOut: Bool) {
        self.user = user
        self.lines = lines
        self.checksOut = checksOut
    }

    public static func == (one: NewOrder, other: NewOrder) -> Bool {
        one.user == other.user && one.lines == other.lines && one.checksOut == other.checksOut
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(user)
        hasher.combine(lines)
        hasher.combine(checksOut)
    }
}

/// An answer to a request. The HTTP layer makes a status and a body of it.
public enum ShopAnswer: Hashable, Sendable {
    case created(Identifier)
    /// The order of a `newOrder` exists; what became of its checkout.
    indirect case placed(Identifier, ShopAnswer)
    /// What a write was answered, and the order as it is now.
    indirect case shown(Identifier, Order, ShopAnswer)
    /// An account that the request names is not there.
    case missing(GroupKey)
    case ledger(LedgerOutcome)
    case order(OrderOutcome)
    case checkout(CheckoutResult)
    /// The answer to a `pay` or `cancelPayment` for an order that a checkout paid.
    case paidByCheckout
    /// The answer to a `pay` for an order of somebody else.
    case orderOfAnotherUser
    /// The answer to a `paymentStatus`.
    case paymentStatus(isPaid: Bool)
    case initialized
    indirect case explanation(Explanation)
    /// The refund is finished: all is credited.
    indirect case refunded(Refund)
    /// The refunds of an order, oldest first, those that are open among them.
    case refunds([Refund])
    /// A refund did not begin, because this account is not there, or could not take what it would get.
    indirect case creditRefused(GroupKey, LedgerOutcome)
    /// A page of orders, and behind which place the next one begins; nil: there is none.
    indirect case listedOrders([ListedOrder], next: ListCursor?)
    /// A page of items or users.
    indirect case listedAccounts([ListedAccount], next: ListCursor?)
    /// The request had this effect earlier, under its key, and none now.
    indirect case replayed(ShopAnswer)
    /// The request changed nothing, because of its key.
    case keyed(KeyVerdict)
    /// A `batch_init` found an open saga or a reservation on this account or order, and changed nothing.
    case hasOpenSaga(GroupKey)
    /// The store refused the request: it has no effect, now or later.
    case unavailable(StoreError)
    /// The request was not begun, because as much is running already as may.
    case overloaded(WorkBound)
    /// The request may have had its effect. The same request, sent again, tells.
    case unknown
}

/// The bounds of work that runs at once.
public enum WorkBound: Hashable, Sendable, CaseIterable {
    /// Requests that are taken and not answered, or whose callers have gone and that still run.
    case requestsInFlight
    /// Checkouts that are open.
    case openCheckouts
    case batchInits
    /// Idempotency keys that are kept for one caller.
    case callerKeys
    /// Refunds that are open.
    case openRefunds
    /// Items of reserved orders.
    case reservedItems
}

extension ShopAnswer {
    /// Whether a write that is answered so has left a key, if it bore one.
    public var keepsKey: Bool {
        switch self {
        case .created, .initialized, .ledger(.done), .order(.done), .placed(_, .checkout(.paid)), .refunded: true
        case .checkout(let result): result.isSuccess
        case .shown(_, _, let answer): answer.keepsKey
        default: false
        }
    }

    /// Whether the request was not begun, because as much is running already as may.
    public var isOverloaded: Bool { if case .overloaded = self { true } else { false } }
}

/// The caller of a request, who waits for its answer. Opaque to the shop.
public protocol Caller: AnyObject, Sendable {}

/// Takes answers, several at a time, once everything that they tell is durable.
public protocol AnswerSink: AnyObject {
    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)])
}

/// What becomes of a request that is handed to the shop.
public enum Intake: Hashable, Sendable {
    case taken
    /// There is too much to do.
    case full
    /// The shop does not serve yet, or not again yet.
    case starting
    /// The shop shuts down.
    case ending
}

/// Takes requests from any thread.
public protocol RequestPort: Sendable {
    /// - Parameters:
    ///   - name: what a write is known by, if anything; ignored for a read.
    ///   - deadline: on the shop's monotonic clock, in milliseconds.
    /// - Returns: anything but `taken`: nothing was begun, and no answer will come.
    func submit(_ request: ShopRequest, name: WriteName?, deadline: Int64, caller: any Caller) -> Intake

    /// How many more requests that begin work would be taken now. It is cheap: in an overload it is read for each
    /// request before the request is parsed.
    var room: Int { get }

    /// Counts a checkout that was refused for want of room without being submitted.
    func didShedCheckout()

    /// Gives a request's place to another one: its caller was told that the outcome is unknown, or is gone. What was
    /// begun goes on; its answer finds nobody.
    func didGiveUp(_ caller: any Caller)
}

extension RequestPort {
    public func didGiveUp(_ caller: any Caller) {}
}
