// What a listener serves: the shop's routes, pages for operators, or both, and the health checks.
// Connections are ConnectionHandler's business; where the shop's routes lead is the Router's.

import KontorCore
import KontorService
import NIOHTTP1

/// What an operator's page says.
public struct OperatorPage: Hashable, Sendable {
    public let status: Int
    public let contentType: String
    public let body: String

    public init(status: Int = 200, contentType: String = "application/json", body: String) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// Computes a page. It runs on a thread pool and may block. If it throws, the answer is a 500 that does not tell the
/// error: whoever gives the route logs it.
public typealias OperatorRoute = @Sendable () throws -> OperatorPage

/// What one listener serves, and the little that it needs for that.
public struct HTTPService: Sendable {
    /// Where the shop's requests go; nil: its routes are unknown here.
    let shop: (any RequestPort)?
    /// Whether the routes are served that make stock and credit out of nothing.
    let isAdminOpen: Bool
    /// The services whose routes are served; the others' are unknown here.
    let served: Set<GroupKey.Kind>
    /// What requests other than the health checks must bear, as `Authorization: Bearer SECRET`; nil: nothing.
    let secret: SharedSecret?
    /// Exact paths, for GET and HEAD. Here is where `/metrics`, `/audit` and other computed pages go.
    let pages: [String: OperatorRoute]
    /// Open connections, over all event loops together.
    let maximumConnections: Int
    /// For `/health/ready`: whether requests can be served now. Called on event loops, so it must be quick.
    let isReady: @Sendable () -> Bool
    /// Monotonic milliseconds: the clock of the deadlines that the shop gets.
    let monotonicMilliseconds: @Sendable () -> Int64
    let metrics: HTTPMetrics

    public init(
        shop: (any RequestPort)?, isAdminOpen: Bool = true, served: Set<GroupKey.Kind> = Set(GroupKey.Kind.allCases),
        secret: SharedSecret? = nil, pages: [String: OperatorRoute] = [:],
        maximumConnections: Int = HTTPLimits.connections, isReady: @escaping @Sendable () -> Bool,
        monotonicMilliseconds: @escaping @Sendable () -> Int64, metrics: HTTPMetrics = HTTPMetrics()
    ) {
        self.shop = shop
        self.isAdminOpen = isAdminOpen
        self.served = served
        self.secret = secret
        self.pages = pages
        self.maximumConnections = maximumConnections
        self.isReady = isReady
        self.monotonicMilliseconds = monotonicMilliseconds
        self.metrics = metrics
    }

    /// What is to be done for a request line.
    enum Target: Sendable {
        case shop(ShopRequest)
        case page(OperatorRoute)
        case ready(Response)
    }

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
        case .shop(let request):
            return shop == nil || !served.contains(request.service) ? .ready(Response(.unknownRoute)) : .shop(request)
        case .isLive: return .ready(.json(#"{"status":"live"}"#))
        case .isReady: return .ready(isReady() ? .json(#"{"status":"ready"}"#) : Response(.notReady))
        case .openAPI: return .ready(OpenAPIDocument.response)
        case .docs: return .ready(DocsPage.response)
        case .problem(let problem): return .ready(Response(shop == nil ? .unknownRoute : problem))
        }
    }
}
