// What routes answer when they did what they were asked for: each answer's documented shape, and how it is written.
// Failures are in OutcomeProblems.

import KontorCore
import KontorService

/// The successful answer of one or more routes.
struct RouteAnswer: Sendable {
    /// The name of its component schema. Several answers may have one shape.
    let schemaName: String
    let summary: String
    let schema: JSONValue
    /// An answer as the document and the page show it; nil where an example says nothing.
    let example: JSONValue?
    var contentType = "application/json"
    var status = 200
    /// For a creation: the path parameter that its id can be used for, and the member of the answer that has the id.
    var createdID: (parameter: PathParameter, member: String)?
    /// For a creation that is a resource: what its `Location` begins with.
    var location: String?
    /// The response to a request with this outcome; nil if the outcome is no success of the route.
    var success: @Sendable (ShopRequest, ShopAnswer) -> Response? = { _, _ in nil }
}

// MARK: Accounts

extension RouteAnswer {
    static let itemCreated = created("ItemCreated", .item, member: "item_id")

    static let item = RouteAnswer(
        schemaName: "Item", summary: "The item's units in stock and its price.",
        schema: OpenAPISchemas.object(["stock": OpenAPISchemas.balance, "price": money]),
        example: ["stock": 100, "price": 5]
    ) { _, answer in
        guard case .ledger(.account(let account)) = answer else { return nil }
        var json = JSONWriter()
        json.raw(#"{"stock":"#)
        json.number(account.balance.raw)
        json.raw(#","price":"#)
        json.money(account.price)
        json.raw("}")
        return .json(json.bytes)
    }

    static let userCreated = created("UserCreated", .user, member: "user_id")

    static let user = RouteAnswer(
        schemaName: "User", summary: "The user's credit.",
        schema: OpenAPISchemas.object(["user_id": id, "credit": money]),
        example: ["user_id": "1", "credit": .decimal("92.5")]
    ) { request, answer in
        guard case .ledger(.account(let account)) = answer, case .ledger(let command) = request else { return nil }
        var json = JSONWriter()
        json.raw(#"{"user_id":"#)
        json.id(command.account.id)
        json.raw(#","credit":"#)
        json.money(account.balance)
        json.raw("}")
        return .json(json.bytes)
    }

    static let paymentStatus = RouteAnswer(
        schemaName: "PaymentStatus", summary: "Whether it is paid.",
        schema: OpenAPISchemas.object(["paid": ["type": "boolean"]]), example: ["paid": true]
    ) { _, answer in
        guard case .paymentStatus(let isPaid) = answer else { return nil }
        return .json(isPaid ? #"{"paid":true}"# : #"{"paid":false}"#)
    }
}

// MARK: Orders

extension RouteAnswer {
    static let orderCreated = created("OrderCreated", .order, member: "order_id")

    static let order = RouteAnswer(
        schemaName: "Order", summary: "The order; its items are pairs of an id and units.",
        schema: OpenAPISchemas.object([
            "order_id": id, "paid": ["type": "boolean"],
            "items": ["type": "array", "items": OpenAPISchemas.reference("Line")], "user_id": id, "total_cost": money,
        ]),
        example: ["order_id": "1", "paid": false, "items": [["3", 1], ["8", 1]], "user_id": "7", "total_cost": 10]
    ) { request, answer in
        guard case .order(.order(let order)) = answer, case .order(let command) = request else { return nil }
        return .json(json(order, command.order))
    }

    static let checkedOut = RouteAnswer(
        schemaName: "CheckedOut", summary: "The order is paid, and all of its items are sold.",
        schema: OpenAPISchemas.object(["order_id": id, "status": ["type": "string", "const": "paid"]]),
        example: ["order_id": "1", "status": "paid"]
    ) { request, answer in
        switch answer {
        case .checkout(.paid), .checkout(.notBegun(.alreadyPaid)), .order(.alreadyPaid): break
        default: return nil
        }
        guard case .checkout(let order, _) = request else { return nil }
        var json = JSONWriter()
        json.raw(#"{"order_id":"#)
        json.id(order)
        json.raw(#","status":"paid"}"#)
        return .json(json.bytes)
    }

    static let explanation = RouteAnswer(
        schemaName: "Explanation", summary: "What happened, attempt by attempt and step by step.",
        schema: OpenAPISchemas.explanation, example: OpenAPISchemas.explanationExample
    ) { _, answer in
        guard case .explanation(let explanation) = answer else { return nil }
        return .json(ExplanationJSON(explanation).bytes)
    }

    private static func json(_ order: Order, _ id: Identifier) -> [UInt8] {
        var json = JSONWriter(capacity: 192 + order.lines.count * 48)
        json.raw(#"{"order_id":"#)
        json.id(id)
        json.raw(order.status == .paid ? #","paid":true,"items":["# : #","paid":false,"items":["#)
        var isFirst = true
        for (item, units) in order.itemUnits {
            json.raw(isFirst ? "[" : ",[")
            isFirst = false
            json.id(item)
            json.raw(",")
            json.number(units.raw)
            json.raw("]")
        }
        json.raw(#"],"user_id":"#)
        json.id(order.user)
        json.raw(#","total_cost":"#)
        json.money(order.total)
        json.raw("}")
        return json.bytes
    }
}

// MARK: Writes

extension RouteAnswer {
    /// An account was changed.
    static let accountChanged = done { if case .ledger(.done) = $0 { true } else { false } }
    /// An order was changed.
    static let orderChanged = done { if case .order(.done) = $0 { true } else { false } }

    static let itemsInitialized = initialized("stock")
    static let usersInitialized = initialized("users")
    static let ordersInitialized = initialized("orders")

    private static func done(_ isSuccess: @escaping @Sendable (ShopAnswer) -> Bool) -> RouteAnswer {
        let response = Response.json(#"{"done":true}"#)
        return RouteAnswer(
            schemaName: "Done", summary: "It is done, and on disk.",
            schema: OpenAPISchemas.object(["done": ["type": "boolean", "const": true]]), example: ["done": true]
        ) { _, answer in isSuccess(answer) ? response : nil }
    }

    private static func created(_ schemaName: String, _ parameter: PathParameter, member: String) -> RouteAnswer {
        RouteAnswer(
            schemaName: schemaName, summary: "The id of what was created.",
            schema: OpenAPISchemas.object(.object([.init(name: member, value: id)])),
            example: .object([.init(name: member, value: "6fd2a1f0-3d1c-4b6e-9b57-0c1f6d0f2a11")]),
            createdID: (parameter, member)
        ) { _, answer in
            guard case .created(let id) = answer else { return nil }
            var json = JSONWriter()
            json.raw("{")
            json.string(member)
            json.raw(":")
            json.id(id)
            json.raw("}")
            return .json(json.bytes)
        }
    }

    private static func initialized(_ what: String) -> RouteAnswer {
        let message = "Batch init for \(what) successful"
        let response = Response.json(#"{"msg": "\#(message)"}"#)
        return RouteAnswer(
            schemaName: "Message", summary: "All are made.",
            schema: OpenAPISchemas.object(["msg": ["type": "string"]]), example: ["msg": .string(message)]
        ) { _, answer in
            guard case .initialized = answer else { return nil }
            return response
        }
    }
}

// MARK: Operations

extension RouteAnswer {
    static let live = health("It lives.", "live")
    static let ready = health("It serves.", "ready")

    static let openAPI = RouteAnswer(
        schemaName: "OpenAPI", summary: "An OpenAPI 3.1 document.",
        schema: ["type": "object", "required": ["openapi", "info", "paths", "components"]], example: nil)

    static let page = RouteAnswer(
        schemaName: "Page", summary: "A page.", schema: ["type": "string"], example: nil,
        contentType: DocsPage.contentType)

    private static func health(_ summary: String, _ status: String) -> RouteAnswer {
        RouteAnswer(
            schemaName: "Health", summary: summary,
            schema: OpenAPISchemas.object(
                [
                    "status": ["type": "string", "enum": ["live", "ready"]],
                    "troubles": ["type": "array", "items": ["type": "string"]],
                ], optional: ["troubles"]), example: ["status": .string(status)])
    }

    /// The answers whose schemas come first in the document, in its order. Those of further routes follow by
    /// themselves.
    static let documentedFirst: [RouteAnswer] = [
        itemCreated, item, userCreated, user, orderCreated, order, accountChanged, checkedOut, paymentStatus, explanation,
        itemShown, userShown, orderShown, orderMade, timeline,
    ]

    private static let id = OpenAPISchemas.reference("Id")
    private static let money = OpenAPISchemas.reference("Money")
}
