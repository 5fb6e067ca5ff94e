// Each answer is timed once, under its route and status; connections are counted.

import KontorCore
import KontorMetrics
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct HTTPMetricsTests {
    private let registry = MetricsRegistry([])

    private var lines: [String] {
        var page = Exposition()
        registry.write(into: &page)
        return page.text.split(separator: "\n").map(String.init)
    }

    private func count(_ route: String, _ status: Int) -> String? {
        let series = #"kontor_http_request_seconds_count{route="\#(route)",status="\#(status)"} "#
        return lines.first { $0.hasPrefix(series) }.map { String($0.dropFirst(series.count)) }
    }

    @Test func `requests are counted by route and status, never by path`() throws {
        let script = Script { request in
            switch request {
            case .checkout(order: id("o2"), owner: nil): .checkout(.refused(.contended(account: GroupKey(.item, id("i")))))
            case .checkout: .checkout(.paid)
            default: .ledger(.done)
            }
        }
        try withServer(script: script, metrics: HTTPMetrics(factory: registry, listener: "public")) { (server) throws in
            let client = try server.client()
            for path in ["o1", "o2", "o3"] { _ = try client.exchange("POST", "/orders/checkout/\(path)") }
            for number in 0..<5 { _ = try client.exchange("POST", "/stock/add/item\(number)/1") }
            _ = try client.exchange("POST", "/payment/add_funds/u/1")
            _ = try client.exchange("GET", "/health/live")
            _ = try client.exchange("GET", "/no/such/route")
            #expect(lines.contains(#"kontor_http_connections{listener="public"} 1"#))
        }
        #expect(count("/orders/checkout", 200) == "2")
        #expect(count("/orders/checkout", 409) == "1")
        #expect(count("/stock/add", 200) == "5")
        #expect(count("/payment/add_funds", 200) == "1")
        #expect(count("none", 200) == "1")
        #expect(count("none", 404) == "1")
        #expect(lines.contains(#"kontor_http_connections{listener="public"} 0"#))
        #expect(!lines.contains { $0.contains("item1") || $0.contains("o1") })
    }

    @Test func `an answer that took long lies in a high bucket`() throws {
        try withServer(script: Script { _ in nil }, metrics: HTTPMetrics(factory: registry)) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o")
            let submission = try server.shop.waitForSubmissions(1)[0]
            // More than the bucket below.
            sleepMilliseconds(30)
            server.shop.sink.deliver([(submission.caller, .checkout(.paid))])
            _ = try client.readResponse()
        }
        let bucket = #"kontor_http_request_seconds_bucket{route="/orders/checkout",status="200",le="#
        #expect(lines.contains(bucket + #""0.025"} 0"#))
        #expect(lines.contains(bucket + #""30"} 1"#))
    }

    @Test func `a connection over the bound counts as a refusal`() throws {
        let refusals = Refusals()
        let metrics = HTTPMetrics(factory: registry, listener: "public", refusals: refusals)
        try withServer(maximumConnections: 2, metrics: metrics) { (server) throws in
            var clients: [RawClient] = []
            for _ in 0..<12 { clients.append(try server.client()) }
            var statuses: [Int] = []
            for client in clients { statuses.append((try? client.exchange("GET", "/stock/find/x").status) ?? 0) }
            #expect(statuses.contains(429))
            #expect(refusals.total(.connections) == statuses.count { $0 == 429 })
        }
    }

    @Test func `a route's label is its path without arguments, and stays the same from release to release`() {
        let labels = Set(RouteTable.all.routes.filter { $0.tag != .operations }.map(\.label))
        #expect(
            labels == [
                "/stock/item/create", "/stock/find", "/stock/add", "/stock/subtract", "/stock/batch_init",
                "/payment/create_user", "/payment/find_user", "/payment/add_funds", "/payment/pay", "/payment/cancel",
                "/payment/status", "/payment/batch_init", "/orders/create", "/orders/addItem", "/orders/removeItem",
                "/orders/remove", "/orders/find", "/orders/checkout", "/orders/explain", "/orders/batch_init",
                "/v1/items", "/v1/items/adjustments", "/v1/users", "/v1/users/adjustments", "/v1/orders",
                "/v1/orders/lines", "/v1/orders/checkout", "/v1/orders/timeline",
                "/v1/orders/refunds", "/v1/orders/reservation",
            ])
    }
}
