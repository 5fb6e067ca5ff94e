// What the routes of /v1 answer when they did what they were asked for. Money is text with two digits behind the point:
// no client should compute it in floating point.

import KontorCore
import KontorService

// MARK: Accounts

extension RouteAnswer {
    private static let id = OpenAPISchemas.reference("Id")
    private static let text = OpenAPISchemas.reference("MoneyText")
    private static let balance = OpenAPISchemas.balance

    static let itemMade = itemResource(status: 201, "The item that was made.", created: true)
    static let itemShown = itemResource(status: 200, "The item.", created: false)

    private static func itemResource(status: Int, _ summary: String, created: Bool) -> RouteAnswer {
        RouteAnswer(
            schemaName: "ItemResource", summary: summary,
            schema: OpenAPISchemas.object([
                "id": id, "price": text, "stock": balance, "held": balance, "available": balance,
            ]),
            example: ["id": "1", "price": "5.00", "stock": 100, "held": 0, "available": 100], status: status,
            createdID: created ? (.item, "id") : nil, location: created ? "/v1/items/" : nil
        ) { request, answer in
            guard let (id, account) = account(request, answer, .item) else { return nil }
            var json = JSONWriter()
            writeItem(id, account, to: &json)
            return .resource(json, status, at: "/v1/items/", id)
        }
    }

    static let userMade = userResource(status: 201, "The user who was made.", created: true)
    static let userShown = userResource(status: 200, "The user.", created: false)

    private static func userResource(status: Int, _ summary: String, created: Bool) -> RouteAnswer {
        RouteAnswer(
            schemaName: "UserResource", summary: summary,
            schema: OpenAPISchemas.object(["id": id, "credit": text, "held": text, "available": text]),
            example: ["id": "1", "credit": "92.50", "held": "0.00", "available": "92.50"], status: status,
            createdID: created ? (.user, "id") : nil, location: created ? "/v1/users/" : nil
        ) { request, answer in
            guard let (id, account) = account(request, answer, .user) else { return nil }
            var json = JSONWriter()
            writeUser(id, account, to: &json)
            return .resource(json, status, at: "/v1/users/", id)
        }
    }

    fileprivate static func writeItem(_ id: Identifier, _ account: Account, to json: inout JSONWriter) {
        json.raw(#"{"id":"#)
        json.id(id)
        json.raw(#","price":"#)
        json.moneyText(account.price)
        json.raw(#","stock":"#)
        json.number(account.balance.raw)
        json.raw(#","held":"#)
        json.number(account.locked.raw)
        json.raw(#","available":"#)
        json.number(account.available.raw)
        json.raw("}")
    }

    fileprivate static func writeUser(_ id: Identifier, _ account: Account, to json: inout JSONWriter) {
        json.raw(#"{"id":"#)
        json.id(id)
        json.raw(#","credit":"#)
        json.moneyText(account.balance)
        json.raw(#","held":"#)
        json.moneyText(account.locked)
        json.raw(#","available":"#)
        json.moneyText(account.available)
        json.raw("}")
    }

    /// The account that was read, or that was just made.
    private static func account(
        _ request: ShopRequest, _ answer: ShopAnswer, _ kind: GroupKey.Kind
    ) -> (Identifier, Account)? {
        switch (request, answer) {
        case (.ledger(let command), .ledger(.account(let account))): return (command.account.id, account)
        case (.newAccount(kind, let price, let balance), .created(let id)):
            var account = Account()
            account.price = price
            account.balance = balance
            return (id, account)
        default: return nil
        }
    }

    static let stockAdjusted = adjusted("StockAdjusted", "item_id", "units", ["type": "integer"], example: -3)
    static let creditAdjusted = adjusted("CreditAdjusted", "user_id", "amount", text, example: "-7.25")

    private static func adjusted(
        _ schemaName: String, _ idName: String, _ amountName: String, _ schema: JSONValue, example: JSONValue
    ) -> RouteAnswer {
        let members: @Sendable (JSONValue, JSONValue) -> JSONValue = { id, amount in
            .object([.init(name: idName, value: id), .init(name: amountName, value: amount)])
        }
        return RouteAnswer(
            schemaName: schemaName, summary: "What was added, or with a minus taken away.",
            schema: OpenAPISchemas.object(members(id, schema)), example: members("3", example)
        ) { request, answer in
            guard case .ledger(.done) = answer, case .ledger(let command) = request else { return nil }
            let amount: Amount
            switch command.operation {
            case .deposit(let added): amount = added
            case .withdraw(let taken): amount = Amount(-taken.raw)
            default: return nil
            }
            let shown: JSONValue = command.account.kind == .item ? .integer(amount.raw) : .string(amount.twoDigits)
            return .json(members(.string(command.account.id.text), shown).bytes)
        }
    }
}

// MARK: Orders

extension RouteAnswer {
    static let orderShown = RouteAnswer(
        schemaName: "OrderResource", summary: "The order.", schema: OpenAPISchemas.orderResource,
        example: OpenAPISchemas.orderResourceExample
    ) { request, answer in
        switch answer {
        case .order(.inspected(let order, _)):
            guard case .order(let command) = request else { return nil }
            return OrderJSON(command.order, order).response
        case .shown(let id, let order, let answer) where answer.isDone: return OrderJSON(id, order).response
        default: return nil
        }
    }

    /// An order that was created, and maybe checked out. It is there whatever became of its checkout.
    static let orderMade = RouteAnswer(
        schemaName: "PlacedOrder", summary: "The order that was made, and why its checkout failed, if it did.",
        schema: OpenAPISchemas.placedOrder, example: OpenAPISchemas.orderResourceExample, status: 201,
        createdID: (.order, "id"), location: "/v1/orders/"
    ) { request, answer in
        guard case .shown(let id, let order, let answer) = answer else { return nil }
        var json = OrderJSON(id, order)
        if case .placed(_, let result) = answer.first, !result.first.isDone {
            json.checkoutProblem = OutcomeProblems.problem(result, of: .checkout(order: id))
        }
        var response = json.response
        response.status = 201
        response.location = "/v1/orders/" + id.text
        return response
    }

    static let timeline = RouteAnswer(
        schemaName: "Timeline", summary: "What happened, attempt by attempt and step by step.",
        schema: OpenAPISchemas.timeline, example: nil
    ) { _, answer in
        guard case .explanation(let explanation) = answer else { return nil }
        return .json(ExplanationJSON(explanation, quotesMoney: true).bytes)
    }

    static let refundMade = RouteAnswer(
        schemaName: "Refund", summary: "The refund: all is given back.", schema: OpenAPISchemas.refund,
        example: OpenAPISchemas.refundExample, status: 201
    ) { _, answer in
        guard case .refunded(let refund) = answer else { return nil }
        var json = JSONWriter(capacity: 320)
        write(refund, to: &json)
        return .json(json.bytes, status: 201)
    }

    static let refundsListed = RouteAnswer(
        schemaName: "Refunds", summary: "The refunds, the oldest first.",
        schema: OpenAPISchemas.object(["data": ["type": "array", "items": OpenAPISchemas.reference("Refund")]]), example: nil
    ) { _, answer in
        guard case .refunds(let refunds) = answer else { return nil }
        var json = JSONWriter(capacity: 64 + refunds.count * 320)
        json.raw(#"{"data":"#)
        json.array(refunds) { write($1, to: &$0) }
        json.raw("}")
        return .json(json.bytes)
    }

    private static func write(_ refund: Refund, to json: inout JSONWriter) {
        json.raw(#"{"number":"#)
        json.number(Int64(refund.id.number))
        json.raw(#","order_id":"#)
        json.id(refund.id.order)
        json.raw(#","user_id":"#)
        json.id(refund.user)
        json.raw(#","amount":"#)
        json.moneyText(refund.amount)
        json.raw(#","lines":"#)
        json.array(refund.lines) { json, line in
            json.raw(#"{"item_id":"#)
            json.id(line.item)
            json.raw(#","units":"#)
            json.number(line.units.raw)
            json.raw(#","unit_price":"#)
            json.moneyText(line.price)
            json.raw("}")
        }
        json.raw(refund.restock ? #","restock":true,"reason":"# : #","restock":false,"reason":"#)
        json.string(refund.reason)
        json.raw(#","created_at":"#)
        json.time(refund.begun)
        json.raw(#","finished_at":"#)
        json.time(refund.finished)
        json.raw("}")
    }
}

// MARK: Lists

extension RouteAnswer {
    static let ordersListed = page("Orders", of: "OrderResource") { answer in
        guard case .listedOrders(let orders, let next) = answer else { return nil }
        return list(orders, next) { OrderJSON($1.id, $1.order).write(to: &$0) }
    }

    static let itemsListed = page("Items", of: "ItemResource") { answer in
        guard case .listedAccounts(let accounts, let next) = answer else { return nil }
        return list(accounts, next) { writeItem($1.id, $1.account, to: &$0) }
    }

    static let usersListed = page("Users", of: "UserResource") { answer in
        guard case .listedAccounts(let accounts, let next) = answer else { return nil }
        return list(accounts, next) { writeUser($1.id, $1.account, to: &$0) }
    }

    private static func page(
        _ schemaName: String, of element: String, _ write: @escaping @Sendable (ShopAnswer) -> Response?
    ) -> RouteAnswer {
        RouteAnswer(
            schemaName: schemaName, summary: "A page; next_cursor is null at the end.",
            schema: OpenAPISchemas.object([
                "data": ["type": "array", "items": OpenAPISchemas.reference(element)],
                "next_cursor": ["anyOf": [["type": "string"], ["type": "null"]]],
            ]), example: nil
        ) { _, answer in write(answer) }
    }

    private static func list<Element>(
        _ elements: [Element], _ next: ListCursor?, _ write: (inout JSONWriter, Element) -> Void
    ) -> Response {
        var json = JSONWriter(capacity: 64 + elements.count * 256)
        json.raw(#"{"data":"#)
        json.array(elements, write)
        json.raw(#","next_cursor":"#)
        if let next { json.string(next.text) } else { json.raw("null") }
        json.raw("}")
        return .json(json.bytes)
    }
}

extension ShopAnswer {
    /// What the first of several equal requests was answered.
    fileprivate var first: ShopAnswer { if case .replayed(let first) = self { first } else { self } }

    /// Whether a write of an order is done, or was before.
    fileprivate var isDone: Bool {
        switch first {
        case .order(.done), .checkout(.notBegun(.alreadyPaid)), .created: true
        case .checkout(let result): result.isSuccess
        default: false
        }
    }
}

/// An order as /v1 shows it.
struct OrderJSON {
    private let id: Identifier
    private let order: Order
    /// Why the checkout failed that came with the order; nil: it did not, or there was none.
    var checkoutProblem: Problem?

    init(_ id: Identifier, _ order: Order) {
        self.id = id
        self.order = order
    }

    var response: Response {
        var response = Response.json(bytes)
        response.tag = EntityTag.text(order.tag)
        return response
    }

    private var bytes: [UInt8] {
        var json = JSONWriter(capacity: 320 + order.lines.count * 120)
        write(to: &json)
        return json.bytes
    }

    func write(to json: inout JSONWriter) {
        json.raw(#"{"id":"#)
        json.id(id)
        json.raw(#","user_id":"#)
        json.id(order.user)
        json.raw(#","state":"#)
        json.string(order.state.rawValue)
        json.raw(#","lines":"#)
        json.array(order.lines) { json, line in
            json.raw(#"{"item_id":"#)
            json.id(line.item)
            json.raw(#","units":"#)
            json.number(line.units.raw)
            json.raw(#","unit_price":"#)
            json.moneyText(line.price)
            json.raw(#","refunded_units":"#)
            json.number(line.refunded.raw)
            json.raw("}")
        }
        json.raw(#","total":"#)
        json.moneyText(order.total)
        json.raw(#","refunded":"#)
        json.moneyText(order.refundedTotal)
        json.raw(#","created_at":"#)
        json.time(order.created == 0 ? nil : order.created)
        json.raw(#","paid_at":"#)
        json.time(order.paidAt)
        json.raw(#","reserved_until":"#)
        json.time(order.reservedUntil)
        if let checkoutProblem {
            json.raw(#","checkout_problem":"#)
            json.raw(bytes: checkoutProblem.json)
        }
        json.raw("}")
    }
}

extension Response {
    /// A resource that was read or made.
    fileprivate static func resource(_ json: JSONWriter, _ status: Int, at path: String, _ id: Identifier) -> Response {
        var response = Response.json(json.bytes, status: status)
        if status == 201 { response.location = path + id.text }
        return response
    }
}
