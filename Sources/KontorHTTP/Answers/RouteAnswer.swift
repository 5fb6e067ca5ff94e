// The shapes of the 200 answers, with an example of each.

/// What a route answers when it does what it was asked for.
enum DocumentedAnswer: String, CaseIterable, Sendable {
    case itemCreated, item, userCreated, user, orderCreated, order, done, checkedOut, paymentStatus, explanation
    case itemsInitialized, usersInitialized, ordersInitialized
    case live, ready, openAPI, page

    var contentType: String {
        switch self {
        case .page: return DocsPage.contentType
        default: return "application/json"
        }
    }

    var summary: String {
        switch self {
        case .itemCreated, .userCreated, .orderCreated: return "The id of what was created."
        case .item: return "The item's units in stock and its price."
        case .user: return "The user's credit."
        case .order: return "The order; its items are pairs of an id and units."
        case .done: return "It is done, and on disk."
        case .checkedOut: return "The order is paid, and all of its items are sold."
        case .paymentStatus: return "Whether it is paid."
        case .explanation: return "What happened, attempt by attempt and step by step."
        case .itemsInitialized, .usersInitialized, .ordersInitialized: return "All are made."
        case .live: return "It lives."
        case .ready: return "It serves."
        case .openAPI: return "An OpenAPI 3.1 document."
        case .page: return "A page."
        }
    }

    /// The name of the component schema; several answers may have one shape.
    var schemaName: String {
        switch self {
        case .itemCreated: return "ItemCreated"
        case .item: return "Item"
        case .userCreated: return "UserCreated"
        case .user: return "User"
        case .orderCreated: return "OrderCreated"
        case .order: return "Order"
        case .done: return "Done"
        case .checkedOut: return "CheckedOut"
        case .paymentStatus: return "PaymentStatus"
        case .explanation: return "Explanation"
        case .itemsInitialized, .usersInitialized, .ordersInitialized: return "Message"
        case .live, .ready: return "Health"
        case .openAPI: return "OpenAPI"
        case .page: return "Page"
        }
    }

    var schema: JSONValue {
        switch self {
        case .itemCreated: return object(["item_id": id])
        case .item: return object(["stock": OpenAPISchemas.balance, "price": money])
        case .userCreated: return object(["user_id": id])
        case .user: return object(["user_id": id, "credit": money])
        case .orderCreated: return object(["order_id": id])
        case .order:
            return object([
                "order_id": id, "paid": boolean, "items": ["type": "array", "items": OpenAPISchemas.reference("Line")],
                "user_id": id, "total_cost": money,
            ])
        case .done: return object(["done": ["const": true]])
        case .checkedOut: return object(["order_id": id, "status": ["const": "paid"]])
        case .paymentStatus: return object(["paid": boolean])
        case .explanation: return OpenAPISchemas.explanation
        case .itemsInitialized, .usersInitialized, .ordersInitialized: return object(["msg": ["type": "string"]])
        case .live, .ready: return object(["status": ["enum": ["live", "ready"]]])
        case .openAPI: return ["type": "object", "required": ["openapi", "info", "paths", "components"]]
        case .page: return ["type": "string"]
        }
    }

    /// nil where an example says nothing.
    var example: JSONValue? {
        switch self {
        case .itemCreated: return ["item_id": Self.uuid]
        case .item: return ["stock": 100, "price": 5]
        case .userCreated: return ["user_id": Self.uuid]
        case .user: return ["user_id": "1", "credit": .decimal("92.5")]
        case .orderCreated: return ["order_id": Self.uuid]
        case .order:
            return ["order_id": "1", "paid": false, "items": [["3", 1], ["8", 1]], "user_id": "7", "total_cost": 10]
        case .done: return ["done": true]
        case .checkedOut: return ["order_id": "1", "status": "paid"]
        case .paymentStatus: return ["paid": true]
        case .explanation: return OpenAPISchemas.explanationExample
        case .itemsInitialized: return ["msg": "Batch init for stock successful"]
        case .usersInitialized: return ["msg": "Batch init for users successful"]
        case .ordersInitialized: return ["msg": "Batch init for orders successful"]
        case .live: return ["status": "live"]
        case .ready: return ["status": "ready"]
        case .openAPI, .page: return nil
        }
    }

    /// For a creation: the path parameter that its id can be used for, and where the id is.
    var createdID: (parameter: PathParameter, member: String)? {
        switch self {
        case .itemCreated: return (.item, "item_id")
        case .userCreated: return (.user, "user_id")
        case .orderCreated: return (.order, "order_id")
        default: return nil
        }
    }

    private static let uuid: JSONValue = "6fd2a1f0-3d1c-4b6e-9b57-0c1f6d0f2a11"

    private var id: JSONValue { OpenAPISchemas.reference("Id") }
    private var money: JSONValue { OpenAPISchemas.reference("Money") }
    private var boolean: JSONValue { ["type": "boolean"] }
    private func object(_ properties: JSONValue) -> JSONValue { OpenAPISchemas.object(properties) }
}
