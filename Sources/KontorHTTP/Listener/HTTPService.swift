// What a listener serves: the shop's routes, pages for operators, or both, and the health checks. Connections are
// ConnectionHandler's business, the table of routes is the Router's.

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

    /// Makes the answer of a page; without further words it is JSON that was computed well.
    public init(status: Int = 200, contentType: String = "application/json", body: String) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// Computes a page. It runs on a thread pool and may block. If it throws, the answer is a 500 that does not tell the
/// error: whoever gives the route logs it.
public typealias OperatorRoute = @Sendable () throws -> OperatorPage

/// What one listener serves, and what it needs for that.
public struct HTTPService: Sendable {
    /// Takes the shop's requests; nil: the shop's routes are unknown here.
    let shop: (any RequestPort)?
    /// Whether the admin routes are served, which make stock and credit out of nothing.
    let isAdminOpen: Bool
    /// The services whose routes are served, named by what they keep. The routes of others are unknown here.
    let served: Set<GroupKey.Kind>
    /// What requests other than the health checks must bear, as `Authorization: Bearer SECRET`; nil: nothing.
    let secret: SharedSecret?
    /// The operators' pages by their exact paths: `/metrics`, `/audit` and the like. Served for GET and HEAD.
    let pages: [String: OperatorRoute]
    /// Most open connections, over all event loops together.
    let maximumConnections: Int
    /// For `/health/ready`: whether requests can be served now. Called on event loops, so it must be quick.
    let isReady: @Sendable () -> Bool
    /// For `/health/ready`, too: which parts of the store do not serve, and why. As quick.
    let troubles: @Sendable () -> [String]
    /// Milliseconds of a clock that never goes back: the clock of the deadlines that the shop gets.
    let monotonicMilliseconds: @Sendable () -> Int64
    let metrics: HTTPMetrics

    /// Makes a service; the meaning of the parameters is that of the properties.
    public init(
        shop: (any RequestPort)?, isAdminOpen: Bool = true, served: Set<GroupKey.Kind> = Set(GroupKey.Kind.allCases),
        secret: SharedSecret? = nil, pages: [String: OperatorRoute] = [:],
        maximumConnections: Int = HTTPLimits.connections, isReady: @escaping @Sendable () -> Bool,
        troubles: @escaping @Sendable () -> [String] = { [] },
        monotonicMilliseconds: @escaping @Sendable () -> Int64, metrics: HTTPMetrics = HTTPMetrics()
    ) {
        self.shop = shop
        self.isAdminOpen = isAdminOpen
        self.served = served
        self.secret = secret
        self.pages = pages
        self.maximumConnections = maximumConnections
        self.isReady = isReady
        self.troubles = troubles
        self.monotonicMilliseconds = monotonicMilliseconds
        self.metrics = metrics
    }

    /// What is to be done for a request.
    enum Target: Sendable {
        /// To ask the shop.
        case shop(ShopCall)
        case page(OperatorRoute)
        case ready(Response)
    }

    /// What is to be done for a request with this line. The secret is looked at first, then the operators' pages, then
    /// the table of routes.
    ///
    /// - Parameter authorization: the value of the header; nil if there is none.
    func target(method: HTTPMethod, uri: String, authorization: String?) -> Target {
        if let secret, !uri.hasPrefix("/health/"), !secret.isBorne(by: authorization) {
            return .ready(
                Response(Problem(.secretNeeded, "This listener is for operators: send Authorization: Bearer SECRET.")))
        }
        if !pages.isEmpty, let page = pages[Router.path(of: uri)] {
            let asked = MethodSet(method)
            return asked == .get ? .page(page) : .ready(Response(.wrongMethod(allowed: .get)))
        }
        switch Router.route(method: method, uri: uri, isAdminOpen: isAdminOpen) {
        case .shop(let call): return serves(call.entry.route.tag) ? .shop(call) : .ready(Response(.unknownRoute))
        case .listener(let respond): return .ready(respond(self))
        case .problem(let problem): return .ready(Response(shop == nil ? .unknownRoute : problem))
        }
    }

    private func serves(_ tag: RouteTag) -> Bool {
        guard shop != nil, let service = tag.service else { return false }
        return served.contains(service)
    }
}
