// What a route says about itself: the one description from which the OpenAPI document and the page for people are made.
// The descriptions are in OpenAPIRoutes, the shapes of answers in OpenAPIAnswers.

import KontorCore

/// One route's description.
struct RouteDescription: Sendable {
    enum Tag: String, CaseIterable, Sendable {
        case order, payment, stock, operations

        var title: String {
            switch self {
            case .order: return "Orders"
            case .payment: return "Payment"
            case .stock: return "Stock"
            case .operations: return "Operations"
            }
        }

        var summary: String {
            switch self {
            case .order: return "Orders, their items, and the checkout."
            case .payment: return "Users, their credit, and direct payments."
            case .stock: return "Items, their stock and price."
            case .operations: return "Health and documentation."
            }
        }
    }

    /// What a route may do to the shop, and so how its trouble is told.
    enum Effect: Sendable {
        case none, read, write
    }

    let tag: Tag
    let effect: Effect
    let path: [PathPart]
    let summary: String
    /// What a reader should know besides; empty if the summary is enough.
    var notes = ""
    let answer: DocumentedAnswer
    /// The problems that are this route's own, besides those of every route.
    var problems: [Problem.Kind] = []

    var parameters: [PathParameter] { path.compactMap(\.parameter) }

    /// `/stock/find/{item}`.
    var template: String { path.map { "/" + ($0.parameter.map { "{\($0.rawValue)}" } ?? $0.text) }.joined() }

    /// The template with an example in the place of each parameter.
    var examplePath: String { path.map { "/" + ($0.parameter?.exampleText ?? $0.text) }.joined() }

    /// All problems that this route can answer, the common ones first.
    var allProblems: [Problem.Kind] { Self.commonProblems(of: effect) + problems }

    /// What every route with such an effect can answer.
    static func commonProblems(of effect: Effect) -> [Problem.Kind] {
        let everyone: [Problem.Kind] = [
            .malformedHTTP, .malformedRequest, .wrongMethod, .requestTimeout, .bodyTooLarge, .pathTooLong, .overloaded,
            .headersTooLarge,
        ]
        switch effect {
        case .none: return everyone
        case .read: return everyone + [.readUnavailable]
        case .write: return everyone + [.keyInUse, .keyReused, .keysFull, .unavailable, .outcomeUnknown]
        }
    }
}

/// A segment of a path: a fixed text or a parameter.
struct PathPart: ExpressibleByStringLiteral, Sendable {
    let text: String
    let parameter: PathParameter?

    init(stringLiteral text: String) {
        self.text = text
        parameter = nil
    }

    init(_ parameter: PathParameter) {
        text = ""
        self.parameter = parameter
    }

    static let order = PathPart(.order)
    static let item = PathPart(.item)
    static let user = PathPart(.user)
    static let units = PathPart(.units)
    static let amount = PathPart(.amount)
    static let price = PathPart(.price)
    static let credit = PathPart(.credit)
    static let stock = PathPart(.stock)
    static let count = PathPart(.count)
    static let items = PathPart(.items)
    static let users = PathPart(.users)
}

/// The parameters of paths. A name means the same in every path.
enum PathParameter: String, CaseIterable, Sendable {
    case order, item, user, units, amount, price, credit, stock, count, items, users

    var summary: String {
        switch self {
        case .order: return "The order's id."
        case .item: return "The item's id."
        case .user: return "The user's id."
        case .units: return "How many units of the item."
        case .amount: return "Money, at least one hundredth. Finer amounts are rounded half to even."
        case .price: return "What a unit costs; 0 is allowed. Finer amounts are rounded half to even."
        case .credit: return "Each user's credit; 0 is allowed. Finer amounts are rounded half to even."
        case .stock: return "The units in stock of each item; 0 is allowed."
        case .count: return "How many are made: 0, 1, 2, ... count-1 are their ids."
        case .items: return "The orders' items are drawn from 0 ... items-1."
        case .users: return "The orders' users are drawn from 0 ... users-1."
        }
    }

    var schema: JSONValue {
        switch self {
        case .order, .item, .user: return OpenAPISchemas.reference("Id")
        case .units, .items, .users: return OpenAPISchemas.reference("Units")
        case .amount: return OpenAPISchemas.positiveMoneyInPath
        case .price, .credit: return OpenAPISchemas.moneyInPath
        case .stock: return ["type": "integer", "minimum": 0, "maximum": .integer(Limits.unitsPerRequest)]
        case .count: return ["type": "integer", "minimum": 1, "maximum": .integer(Int64(Limits.batchInitRecords))]
        }
    }

    /// An argument that works on a shop that was filled by `batch_init`.
    var example: JSONValue {
        switch self {
        case .order, .item, .user: return "1"
        case .units: return 2
        case .amount: return "7.5"
        case .price: return "5"
        case .credit: return "100"
        case .stock, .count: return 100
        case .items, .users: return 10
        }
    }

    var exampleText: String {
        switch example {
        case .string(let text), .decimal(let text): return text
        case .integer(let number): return String(number)
        case .object, .array, .bool: return ""
        }
    }
}
