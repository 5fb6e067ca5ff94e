// The table of routes: from a method and a request target to what the shop is asked, or to a problem. Pure, and without
// Foundation. How the segments of a path become ids and amounts is in RequestParsing.

import KontorService
import NIOHTTP1

/// What a request line asks for.
public enum RouteResult: Hashable, Sendable {
    case shop(ShopRequest)
    case isLive
    case isReady
    case openAPI
    case docs
    case problem(Problem)
}

/// Finds the route of a request.
public enum Router {
    /// Unknown paths give 404, known ones with another method 405, malformed arguments 400. HEAD is taken for GET.
    ///
    /// - Parameter isAdminOpen: if not, the routes that make money and stock out of nothing are unknown.
    public static func route(method: HTTPMethod, uri: String, isAdminOpen: Bool = true) -> RouteResult {
        do throws(Problem) {
            guard let path = try PathSegments(of: uri), let endpoint = Endpoint.at(path) else { throw .unknownRoute }
            if endpoint.isAdmin && !isAdminOpen { throw .adminRoute }
            guard endpoint.methods.contains(MethodSet(method)), !MethodSet(method).isEmpty else {
                throw .wrongMethod(allowed: endpoint.methods)
            }
            switch endpoint {
            case .live: return .isLive
            case .ready: return .isReady
            case .openAPI: return .openAPI
            case .docs: return .docs
            default: return .shop(try endpoint.request(path))
            }
        } catch {
            return .problem(error)
        }
    }

    /// The path of a request target, without the query.
    static func path(of uri: String) -> String {
        uri.firstIndex(of: "?").map { String(uri[..<$0]) } ?? uri
    }
}

/// The methods of a path.
public struct MethodSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let get = MethodSet(rawValue: 1)
    public static let post = MethodSet(rawValue: 2)
    public static let delete = MethodSet(rawValue: 4)

    /// Empty for a method that no route has.
    init(_ method: HTTPMethod) {
        switch method {
        case .GET, .HEAD: self = .get
        case .POST: self = .post
        case .DELETE: self = .delete
        default: self = []
        }
    }

    /// The value of an `Allow` header.
    var allowText: String {
        var names: [String] = []
        if contains(.get) { names += ["GET", "HEAD"] }
        if contains(.post) { names.append("POST") }
        if contains(.delete) { names.append("DELETE") }
        return names.joined(separator: ", ")
    }
}

/// The routes, one case each. What each says about itself is in OpenAPIRoutes.
enum Endpoint: CaseIterable {
    case createItem, findItem, addStock, subtractStock, initItems
    case createUser, findUser, addFunds, pay, payForOrder, cancelPayment, paymentStatus, initUsers
    case createOrder, addItem, addOneItem, removeItem, removeOrder, findOrder, checkout, explainOrder, initOrders
    case live, ready, openAPI, docs

    var methods: MethodSet {
        switch self {
        case .findItem, .findUser, .findOrder, .explainOrder, .live, .ready, .openAPI, .docs: return .get
        case .paymentStatus: return [.get, .post]
        case .removeItem, .removeOrder: return .delete
        case .createItem, .addStock, .subtractStock, .initItems, .createUser, .addFunds, .pay, .payForOrder,
            .cancelPayment, .initUsers, .createOrder, .addItem, .addOneItem, .checkout, .initOrders:
            return .post
        }
    }

    /// A shop that is open to strangers does not want them to do this.
    var isAdmin: Bool {
        switch self {
        case .createItem, .addStock, .subtractStock, .addFunds, .initItems, .initUsers, .initOrders: return true
        default: return false
        }
    }

    static func at(_ path: PathSegments) -> Endpoint? {
        guard path.count >= 2 else { return documentation(path) }
        switch path[0] {
        case "orders": return order(path[1], argumentCount: path.count - 2)
        case "stock": return stock(path)
        case "payment": return payment(path[1], argumentCount: path.count - 2)
        case "health": return health(path)
        default: return nil
        }
    }

    private static func order(_ action: String, argumentCount: Int) -> Endpoint? {
        switch (action, argumentCount) {
        case ("checkout", 1): return .checkout
        case ("find", 1): return .findOrder
        case ("addItem", 3): return .addItem
        case ("addItem", 2): return .addOneItem
        case ("create", 1): return .createOrder
        case ("explain", 1): return .explainOrder
        case ("removeItem", 2): return .removeItem
        case ("remove", 1): return .removeOrder
        case ("batch_init", 4): return .initOrders
        default: return nil
        }
    }

    private static func stock(_ path: PathSegments) -> Endpoint? {
        switch (path[1], path.count - 2) {
        case ("find", 1): return .findItem
        case ("add", 2): return .addStock
        case ("subtract", 2): return .subtractStock
        case ("item", 2): return path[2] == "create" ? .createItem : nil
        case ("batch_init", 3): return .initItems
        default: return nil
        }
    }

    private static func payment(_ action: String, argumentCount: Int) -> Endpoint? {
        switch (action, argumentCount) {
        case ("find_user", 1): return .findUser
        case ("add_funds", 2): return .addFunds
        case ("create_user", 0): return .createUser
        case ("pay", 2): return .pay
        case ("pay", 3): return .payForOrder
        case ("cancel", 2): return .cancelPayment
        case ("status", 2): return .paymentStatus
        case ("batch_init", 2): return .initUsers
        default: return nil
        }
    }

    private static func documentation(_ path: PathSegments) -> Endpoint? {
        switch path[0] {
        case "openapi.json": return .openAPI
        case "docs": return .docs
        default: return nil
        }
    }

    private static func health(_ path: PathSegments) -> Endpoint? {
        switch (path[1], path.count) {
        case ("live", 2): return .live
        case ("ready", 2): return .ready
        default: return nil
        }
    }
}
