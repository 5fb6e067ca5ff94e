// A route as one value: where it is, who may call it, what it asks for, and what is documented of it. Matching, the
// OpenAPI document, the page for people, `Allow` and the labels of metrics all follow from it.

import KontorAccess
import KontorCore
import KontorService

/// One route of the API.
struct Route: Sendable {
    /// Who may call a route.
    enum Access: Sendable {
        case everyone
        /// For those who may make stock and money out of nothing. With the admin API off such a route is unknown on the
        /// public port.
        case admin
    }

    /// What a call may do to the shop. A write can bear an idempotency key; reads and writes fail differently.
    enum Effect: Sendable {
        /// The shop is not asked.
        case none
        case read, write
    }

    /// How a call is answered.
    enum Handler: Sendable {
        /// By the shop. The closure makes its request of the path's arguments.
        case shop(@Sendable (PathSegments) throws(Problem) -> ShopRequest)
        /// The same, with the query that stands behind the path.
        case query(@Sendable (PathSegments, inout QueryFields) throws(Problem) -> ShopRequest)
        /// The same, once the body is there.
        case body(RouteBody)
        /// By the listener itself.
        case listener(@Sendable (HTTPService) -> Response)
    }

    /// The operation's name in the OpenAPI document, in lower camel case.
    let name: String
    let methods: MethodSet
    let path: [PathPart]
    let tag: RouteTag
    let effect: Effect
    let access: Access
    /// One sentence without a full stop.
    let summary: String
    /// What a reader should know besides; empty if the summary is enough.
    let notes: String
    /// What a successful call is answered.
    let answer: RouteAnswer
    /// The problems that a call can meet besides the common ones of its effect.
    let problems: [Problem.Kind]
    /// What may stand behind the `?`.
    let query: [QueryParameter]
    let handler: Handler

    /// A route that asks the shop.
    init(
        _ name: String, _ methods: MethodSet, _ path: [PathPart], tag: RouteTag, effect: Effect,
        access: Access = .everyone, summary: String, notes: String = "", answer: RouteAnswer,
        problems: [Problem.Kind] = [], request: @escaping @Sendable (PathSegments) throws(Problem) -> ShopRequest
    ) {
        self.init(
            name, methods, path, tag: tag, effect: effect, access: access, summary: summary, notes: notes, answer: answer,
            problems: problems, handler: .shop(request))
    }

    private init(
        _ name: String, _ methods: MethodSet, _ path: [PathPart], tag: RouteTag, effect: Effect, access: Access,
        summary: String, notes: String, answer: RouteAnswer, problems: [Problem.Kind], query: [QueryParameter] = [],
        handler: Handler
    ) {
        let isAdmin = access == .admin
        self.name = name
        self.methods = methods
        self.path = path
        self.tag = tag
        self.effect = effect
        self.access = access
        self.summary = summary
        self.notes = ([notes] + (isAdmin ? [Self.adminNote] : [])).filter { !$0.isEmpty }.joined(separator: " ")
        self.answer = answer
        self.problems = problems + (isAdmin ? [.unknownRoute] : [])
        self.query = query
        self.handler = handler
    }

    /// A route that reads what its query says.
    init(
        _ name: String, _ path: [PathPart], tag: RouteTag, access: Access = .everyone, summary: String, notes: String = "",
        answer: RouteAnswer, problems: [Problem.Kind] = [], query: [QueryParameter],
        request: @escaping @Sendable (PathSegments, inout QueryFields) throws(Problem) -> ShopRequest
    ) {
        self.init(
            name, .get, path, tag: tag, effect: .read, access: access, summary: summary, notes: notes, answer: answer,
            problems: problems, query: query, handler: .query(request))
    }

    /// A route that asks the shop for what its body says.
    init(
        _ name: String, _ methods: MethodSet, _ path: [PathPart], tag: RouteTag, effect: Effect = .write,
        access: Access = .everyone, summary: String, notes: String = "", answer: RouteAnswer, problems: [Problem.Kind] = [],
        body: RouteBody
    ) {
        self.init(
            name, methods, path, tag: tag, effect: effect, access: access, summary: summary, notes: notes, answer: answer,
            problems: problems, handler: .body(body))
    }

    /// A route that the listener answers itself: a GET for everyone, about operations.
    init(
        _ name: String, _ path: [PathPart], summary: String, answer: RouteAnswer, problems: [Problem.Kind] = [],
        respond: @escaping @Sendable (HTTPService) -> Response
    ) {
        self.name = name
        methods = .get
        self.path = path
        tag = .operations
        effect = .none
        access = .everyone
        self.summary = summary
        notes = ""
        self.answer = answer
        self.problems = problems
        query = []
        handler = .listener(respond)
    }

    private static let adminNote = "With --admin-api off it is served on the operators' port only."
}

// MARK: What follows from it

extension Route {
    var parameters: [PathParameter] { path.compactMap(\.parameter) }

    /// The path as documents show it: `/stock/find/{item}`.
    var template: String { path.map { "/" + ($0.parameter.map { "{\($0.rawValue)}" } ?? $0.text) }.joined() }

    /// The path with an example in the place of each parameter.
    var examplePath: String { path.map { "/" + ($0.parameter?.exampleText ?? $0.text) }.joined() }

    /// The route as a label of metrics: the path without its arguments. Routes that differ only in their arguments
    /// share one.
    var label: String { path.filter { $0.parameter == nil }.map { "/" + $0.text }.joined() }

    /// The name of one of the route's operations in the OpenAPI document: that of a second method bears its name.
    func operationID(_ method: String) -> String { method == methods.names[0] ? name : "\(name)By\(method)" }

    /// What a caller needs for it, where callers are told apart.
    var scopes: Scopes {
        switch (effect, access, tag) {
        case (.none, _, _): []
        case (_, .admin, _): .admin
        case (.read, _, _): .read
        case (.write, _, .payment): .payments
        case (.write, _, _): .orders
        }
    }

    /// What is read of a request's body; nil: nothing.
    var body: RouteBody? { if case .body(let body) = handler { body } else { nil } }

    /// All problems that a call can meet, the common ones first.
    var allProblems: [Problem.Kind] {
        Self.commonProblems(of: effect) + (body?.schema == nil ? [] : [.notJSON])
            + (body?.takesTags == true ? [.changedSince] : [])
            + problems
    }

    /// The problems that a call of any route with this effect can meet.
    static func commonProblems(of effect: Effect) -> [Problem.Kind] {
        let everyone: [Problem.Kind] = [
            .malformedHTTP, .malformedRequest, .foreignHost, .wrongMethod, .requestTimeout, .bodyTooLarge, .pathTooLong,
            .overloaded, .headersTooLarge,
        ]
        switch effect {
        case .none: return everyone
        case .read: return everyone + [.tokenNeeded, .forbidden, .callerLimit, .readUnavailable, .notReady]
        case .write:
            return everyone + [
                .tokenNeeded, .forbidden, .foreignOrigin, .callerLimit, .notServing, .keyInUse, .keyReused, .keysFull,
                .unavailable, .noRoom, .outcomeUnknown,
            ]
        }
    }
}

/// What a route is about: a service of the shop, or its operation. The document and the page are divided by it.
enum RouteTag: String, CaseIterable, Sendable {
    case order, payment, stock, operations

    /// The service that serves such routes, named by what it keeps; nil: every listener serves them.
    var service: GroupKey.Kind? {
        switch self {
        case .order: return .order
        case .payment: return .user
        case .stock: return .item
        case .operations: return nil
        }
    }

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
