// What a listener serves: the shop's routes, pages for operators, or both, and the health checks. Connections are
// ConnectionHandler's business, the table of routes is the Router's.

import KontorAccess
import KontorCore
import KontorService
import NIOHTTP1

/// The answer of an operators' page, such as `/metrics`.
public struct OperatorPage: Hashable, Sendable {
    /// The HTTP status.
    public let status: Int
    /// The value of the `Content-Type` header.
    public let contentType: String
    /// The body as text.
    public let body: String
    /// Seconds after which to ask again; nil: no word about that.
    public let retryAfterSeconds: Int?

    /// Makes the answer of a page; without further words it is JSON that was computed well.
    public init(
        status: Int = 200, contentType: String = "application/json", body: String, retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The answer of a page that is being computed for somebody else, and cannot be computed twice at a time: 429.
    public static func busy(_ detail: String) -> OperatorPage { OperatorPage(Problem(.overloaded, detail)) }

    /// The answer to a query that makes no sense: 400.
    static func malformed(_ detail: String) -> OperatorPage { OperatorPage(Problem(.malformedRequest, detail)) }

    /// The answer of a page whose records cannot be read now: 503.
    static func unavailable(_ detail: String) -> OperatorPage { OperatorPage(Problem(.readUnavailable, detail)) }

    private init(_ problem: Problem) {
        self.init(
            status: problem.kind.status, contentType: Problem.contentType,
            body: String(decoding: problem.json, as: UTF8.self), retryAfterSeconds: problem.retryAfterSeconds)
    }
}

/// Begins to compute a page for a query (what stands behind the `?`), and calls back once, from any thread. It is
/// called on event loops, so it must not block. Without a page the answer is a 500: whoever gives the route logs why.
public typealias OperatorRoute =
    @Sendable (_ query: String, _ completion: @escaping @Sendable (OperatorPage?) -> Void) -> Void

/// An operators' page, and what a caller needs for it where callers are told apart.
public struct OperatorEndpoint: Sendable {
    let scopes: Scopes
    let route: OperatorRoute

    public init(_ scopes: Scopes, _ route: @escaping OperatorRoute) {
        self.scopes = scopes
        self.route = route
    }
}

/// What one listener serves, and what it needs for that.
public struct HTTPService: Sendable {
    /// Takes the shop's requests; nil: the shop's routes are unknown here.
    let shop: (any RequestPort)?
    /// Whether the admin routes are served, which make stock and credit out of nothing.
    let isAdminOpen: Bool
    /// The services whose routes are served, named by what they keep. The routes of others are unknown here.
    let served: Set<GroupKey.Kind>
    let access: AccessControl
    /// The operators' pages by their exact paths: `/metrics`, `/audit` and the like. Served for GET and HEAD.
    let pages: [String: OperatorEndpoint]
    /// Most open connections, over all event loops together.
    let maximumConnections: Int
    /// For `/health/ready`: whether requests can be served now. Called on event loops, so it must be quick.
    let isReady: @Sendable () -> Bool
    /// For `/health/ready`, too: which parts of the store do not serve, and why. As quick.
    let troubles: @Sendable () -> [String]
    /// Milliseconds of a clock that never goes back: the clock of the deadlines that the shop gets.
    let monotonicMilliseconds: @Sendable () -> Int64
    /// Milliseconds since 1970: the clock by which tokens expire.
    let wallMilliseconds: @Sendable () -> Int64
    /// Told of each who asked for more than he may. Called on event loops, so it must be quick.
    let forbade: @Sendable (Forbidden) -> Void
    let metrics: HTTPMetrics

    /// Makes a service; the meaning of the parameters is that of the properties.
    public init(
        shop: (any RequestPort)?, isAdminOpen: Bool = true, served: Set<GroupKey.Kind> = Set(GroupKey.Kind.allCases),
        access: AccessControl = AccessControl(), pages: [String: OperatorEndpoint] = [:],
        maximumConnections: Int = HTTPLimits.connections, isReady: @escaping @Sendable () -> Bool,
        troubles: @escaping @Sendable () -> [String] = { [] },
        monotonicMilliseconds: @escaping @Sendable () -> Int64,
        wallMilliseconds: @escaping @Sendable () -> Int64 = { 0 }, forbade: @escaping @Sendable (Forbidden) -> Void = { _ in },
        metrics: HTTPMetrics = HTTPMetrics()
    ) {
        self.shop = shop
        self.isAdminOpen = isAdminOpen
        self.served = served
        self.access = access
        self.pages = pages
        self.maximumConnections = maximumConnections
        self.isReady = isReady
        self.troubles = troubles
        self.monotonicMilliseconds = monotonicMilliseconds
        self.wallMilliseconds = wallMilliseconds
        self.forbade = forbade
        self.metrics = metrics
    }

    /// What is to be done for a request. The large cases are indirect, because each request's target is copied several
    /// times.
    enum Target: Sendable {
        /// To ask the shop.
        indirect case shop(ShopCall)
        /// To wait for the body, which says what to ask the shop.
        indirect case body(BodyCall)
        /// To compute a page. The query is in the closure.
        case page(@Sendable (_ completion: @escaping @Sendable (OperatorPage?) -> Void) -> Void)
        case ready(Response)
    }

    /// What is to be done for a request that ``BrowserGuard`` lets in. The operators' pages are looked at first, then
    /// the table of routes; both say what an asker needs.
    ///
    /// - Parameter asker: who asks; nil: that is of no meaning here.
    func target(of method: HTTPMethod, _ uri: String, by asker: Asker? = nil) throws(Problem) -> Target {
        if !pages.isEmpty, let page = pages[Router.path(of: uri)] {
            _ = try asker?.principal(for: page.scopes)
            let asked = MethodSet(method)
            guard asked == .get else { return .ready(Response(.wrongMethod(allowed: .get))) }
            let query = Router.query(of: uri)
            return .page { completion in page.route(query, completion) }
        }
        switch Router.route(method: method, uri: uri, isAdminOpen: isAdminOpen, asker: asker) {
        case .shop(let call): return serves(call.entry.route.tag) ? .shop(call) : .ready(Response(.unknownRoute))
        case .body(let call): return serves(call.entry.route.tag) ? .body(call) : .ready(Response(.unknownRoute))
        case .listener(let respond): return .ready(respond(self))
        case .problem(let problem): throw shop == nil ? .unknownRoute : problem
        }
    }

    /// Whether a request with this target asks for the process's health.
    static func asksForHealth(_ uri: String) -> Bool { uri.hasPrefix("/health/") }

    private func serves(_ tag: RouteTag) -> Bool {
        guard shop != nil, let service = tag.service else { return false }
        return served.contains(service)
    }
}
