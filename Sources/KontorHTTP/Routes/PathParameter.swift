// The parts of a route's path: fixed segments, and parameters with what is documented of them. How an argument is read
// is in PathArguments.

import KontorCore

/// A segment of a route's path: a fixed text or a parameter.
struct PathPart: ExpressibleByStringLiteral, Sendable {
    /// The fixed text; empty for a parameter.
    let text: String
    /// nil for a fixed text.
    let parameter: PathParameter?

    init(stringLiteral text: String) {
        self.text = text
        parameter = nil
    }

    private init(_ parameter: PathParameter) {
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

/// The parameters of paths. A name means the same in every path, and stands at most once in one.
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
        case .object, .array, .bool, .null: return ""
        }
    }
}
