// What the HTTP layer counts: how long each route took, by status, and the connections. A request costs two readings of
// the clock and two atomic additions. Paths are not labels, because ids are in them and their number has no bound.

import CoreMetrics
import KontorService
import NIOCore

/// The instruments of one listener. Without a factory they count nothing.
public final class HTTPMetrics: Sendable {
    private let factory: any MetricsFactory
    private let refusals: Refusals
    /// Connections that are open.
    let connections: Meter
    /// Connections that were closed because their clients did not read their answers.
    let dropped: Counter
    /// Idle connections that were closed because others needed their place.
    let evicted: Counter

    /// Makes the instruments of a listener.
    ///
    /// - Parameters:
    ///   - listener: the listener's name in the metrics.
    ///   - refusals: counts the connections that are turned away.
    public init(
        factory: any MetricsFactory = NOOPMetricsHandler.instance, listener: String = "", refusals: Refusals = Refusals()
    ) {
        self.factory = factory
        self.refusals = refusals
        connections = Meter(label: "kontor_http_connections", dimensions: [("listener", listener)], factory: factory)
        dropped = Counter(
            label: "kontor_http_connections_dropped", dimensions: [("listener", listener)], factory: factory)
        evicted = Counter(
            label: "kontor_http_connections_evicted", dimensions: [("listener", listener)], factory: factory)
    }

    /// Counts a connection that was turned away.
    func refusedConnection() { refusals.count(.connections) }

    fileprivate func timer(_ route: String, status: String) -> CoreMetrics.Timer {
        CoreMetrics.Timer(
            label: "kontor_http_request_seconds", dimensions: [("route", route), ("status", status)], factory: factory)
    }
}

/// The timers that one event loop has used. A timer is made at the first answer of its route and status, and kept.
struct RequestTimers {
    /// The statuses with timers of their own; the others share one, `other`.
    private static let statuses = [
        200, 201, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 422, 424, 429, 431, 500, 503, 504,
    ]

    private let metrics: HTTPMetrics
    /// By route and status; nil until the first answer.
    private var timers: [CoreMetrics.Timer?]

    init(_ metrics: HTTPMetrics) {
        self.metrics = metrics
        timers = Array(repeating: nil, count: (RouteTable.all.entries.count + 2) * (Self.statuses.count + 1))
    }

    /// Nanoseconds of a clock that never goes back.
    static var now: UInt64 { NIODeadline.now().uptimeNanoseconds }

    /// Records an answer.
    ///
    /// - Parameter began: when its request's turn came on its connection, on the clock of ``now``.
    mutating func answered(_ target: HTTPService.Target, _ status: Int, since began: UInt64) {
        let place = Self.statuses.firstIndex(of: status) ?? Self.statuses.count
        let index = Self.number(target) * (Self.statuses.count + 1) + place
        let timer: CoreMetrics.Timer
        if let known = timers[index] {
            timer = known
        } else {
            timer = metrics.timer(Self.label(target), status: place < Self.statuses.count ? String(status) : "other")
            timers[index] = timer
        }
        timer.recordNanoseconds(Int64(clamping: Self.now &- began))
    }

    /// The timers' first index: the route's number in the table. Behind the routes come the operators' pages, and the
    /// requests that were answered without asking anybody.
    private static func number(_ target: HTTPService.Target) -> Int {
        switch target {
        case .shop(let call): return call.entry.number
        case .body(let call): return call.entry.number
        case .page: return RouteTable.all.entries.count
        case .ready: return RouteTable.all.entries.count + 1
        }
    }

    private static func label(_ target: HTTPService.Target) -> String {
        switch target {
        case .shop(let call): return call.entry.route.label
        case .body(let call): return call.entry.route.label
        case .page: return "page"
        // Health checks, documentation, unknown routes, malformed requests.
        case .ready: return "none"
        }
    }
}
