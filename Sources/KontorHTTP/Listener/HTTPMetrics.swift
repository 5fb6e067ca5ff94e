// What the HTTP layer counts: how long each route took, by status, and the connections. Two clock readings and two atomic additions a
// request. Paths are not labels: ids are in them, and there is no end of those.

import CoreMetrics
import KontorCore
import KontorService
import NIOCore

/// The instruments of one listener. Without a factory they count nothing.
public final class HTTPMetrics: Sendable {
    private let factory: any MetricsFactory
    private let refusals: Refusals
    let connections: Meter
    let dropped: Counter

    /// - Parameters:
    ///   - listener: its name in the metrics.
    ///   - refusals: where connections over the bound are counted.
    public init(
        factory: any MetricsFactory = NOOPMetricsHandler.instance, listener: String = "", refusals: Refusals = Refusals()
    ) {
        self.factory = factory
        self.refusals = refusals
        connections = Meter(label: "kontor_http_connections", dimensions: [("listener", listener)], factory: factory)
        dropped = Counter(
            label: "kontor_http_connections_dropped", dimensions: [("listener", listener)], factory: factory)
    }

    func refusedConnection() { refusals.count(.connections) }

    fileprivate func timer(_ route: RequestRoute, status: String) -> CoreMetrics.Timer {
        CoreMetrics.Timer(
            label: "kontor_http_request_seconds", dimensions: [("route", route.label), ("status", status)],
            factory: factory)
    }
}

/// The timers that one event loop has used. A timer is made at the first answer of its route and status, and kept.
struct RequestTimers {
    /// The statuses that have a place of their own; the rest shares one.
    private static let statuses = [
        200, 400, 404, 405, 408, 409, 413, 414, 422, 424, 429, 431, 500, 503, 504,
    ]

    private let metrics: HTTPMetrics
    private var timers: [CoreMetrics.Timer?]

    init(_ metrics: HTTPMetrics) {
        self.metrics = metrics
        timers = Array(repeating: nil, count: RequestRoute.allCases.count * (Self.statuses.count + 1))
    }

    /// Nanoseconds of a clock that never goes back.
    static var now: UInt64 { NIODeadline.now().uptimeNanoseconds }

    /// An answer leaves.
    ///
    /// - Parameter began: when it was its request's turn on its connection, on the clock of ``now``.
    mutating func answered(_ target: HTTPService.Target, _ status: Int, since began: UInt64) {
        let route = RequestRoute(target)
        let place = Self.statuses.firstIndex(of: status) ?? Self.statuses.count
        let index = route.rawValue * (Self.statuses.count + 1) + place
        let timer: CoreMetrics.Timer
        if let known = timers[index] {
            timer = known
        } else {
            timer = metrics.timer(route, status: place < Self.statuses.count ? String(status) : "other")
            timers[index] = timer
        }
        timer.recordNanoseconds(Int64(clamping: Self.now &- began))
    }
}

/// A route as a label: the path without its arguments.
enum RequestRoute: Int, CaseIterable {
    case createItem, findItem, addStock, subtractStock, initItems
    case createUser, findUser, addFunds, pay, cancelPayment, paymentStatus, initUsers
    case createOrder, addItem, removeItem, removeOrder, findOrder, checkout, explainOrder, initOrders
    /// A page for operators.
    case page
    /// Answered without asking the shop: health checks, unknown routes, malformed requests.
    case none

    var label: String {
        switch self {
        case .createItem: return "/stock/item/create"
        case .findItem: return "/stock/find"
        case .addStock: return "/stock/add"
        case .subtractStock: return "/stock/subtract"
        case .initItems: return "/stock/batch_init"
        case .createUser: return "/payment/create_user"
        case .findUser: return "/payment/find_user"
        case .addFunds: return "/payment/add_funds"
        case .pay: return "/payment/pay"
        case .cancelPayment: return "/payment/cancel"
        case .paymentStatus: return "/payment/status"
        case .initUsers: return "/payment/batch_init"
        case .createOrder: return "/orders/create"
        case .addItem: return "/orders/addItem"
        case .removeItem: return "/orders/removeItem"
        case .removeOrder: return "/orders/remove"
        case .findOrder: return "/orders/find"
        case .checkout: return "/orders/checkout"
        case .explainOrder: return "/orders/explain"
        case .initOrders: return "/orders/batch_init"
        case .page: return "page"
        case .none: return "none"
        }
    }

    init(_ target: HTTPService.Target) {
        switch target {
        case .shop(let request): self.init(request)
        case .page: self = .page
        case .ready: self = .none
        }
    }

    private init(_ request: ShopRequest) {
        switch request {
        case .createItem: self = .createItem
        case .createUser: self = .createUser
        case .ledger(let command): self.init(command)
        case .cancelPayment: self = .cancelPayment
        case .paymentStatus: self = .paymentStatus
        case .initItems: self = .initItems
        case .initUsers: self = .initUsers
        case .createOrder: self = .createOrder
        case .addItem: self = .addItem
        case .order(let command):
            switch command.operation {
            case .removeItem: self = .removeItem
            case .remove: self = .removeOrder
            default: self = .findOrder
            }
        case .checkout: self = .checkout
        case .explain: self = .explainOrder
        case .initOrders: self = .initOrders
        }
    }

    private init(_ command: LedgerCommand) {
        let isItem = command.account.kind == .item
        switch command.operation {
        case .deposit: self = isItem ? .addStock : .addFunds
        case .withdraw: self = isItem ? .subtractStock : .pay
        case .payDirectly: self = .pay
        default: self = isItem ? .findItem : .findUser
        }
    }
}
