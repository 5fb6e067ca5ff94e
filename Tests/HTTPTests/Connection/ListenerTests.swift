// The listener as a whole: health, operators' pages, graceful shutdown.

import KontorCore
import KontorService
import NIOCore
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct ListenerTests {
    @Test func `health tells whether the process lives, and whether it can serve`() throws {
        try withServer { (server) throws in
            #expect(try server.exchange("GET", "/health/live").status == 200)
            #expect(try server.exchange("GET", "/health/ready").status == 200)
        }
        try withServer(isReady: false) { (server) throws in
            #expect(try server.exchange("GET", "/health/live").status == 200)
            let response = try server.exchange("GET", "/health/ready")
            #expect(response.status == 503)
            #expect(response.headers["content-type"] == "application/problem+json")
        }
    }

    @Test func `an internal listener serves its pages and health, and no shop`() throws {
        let pages: [String: OperatorRoute] = [
            "/audit": { OperatorPage(status: 200, contentType: "text/plain", body: "balanced") },
            "/teapot": { OperatorPage(status: 418, body: "{}") },
            "/broken": { throw TestFailure("secret") },
        ]
        try withServer(pages: pages, hasShop: false) { (server) throws in
            let client = try server.client()
            let audit = try client.exchange("GET", "/audit?full=1")
            #expect(audit.status == 200)
            #expect(audit.headers["content-type"] == "text/plain")
            #expect(audit.body == "balanced")
            #expect(try client.exchange("GET", "/teapot").status == 418)
            let broken = try client.exchange("GET", "/broken")
            #expect(broken.status == 500)
            #expect(!broken.body.contains("secret"))
            #expect(try client.exchange("POST", "/audit").status == 405)
            #expect(try client.exchange("GET", "/health/ready").status == 200)
            #expect(try client.exchange("GET", "/stock/find/x").status == 404)
            #expect(server.shop.submissions.isEmpty)
        }
    }

    @Test func `shutting down lets the requests in flight end, and closes the rest`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let idle = try server.client()
            #expect(try idle.exchange("GET", "/health/live").status == 200)
            let busy = try server.client()
            busy.sendRequest("POST", "/orders/checkout/o")
            busy.sendRequest("POST", "/orders/checkout/p")
            let submission = try server.shop.waitForSubmissions(1)[0]
            let down = server.listener.shutdown(withinMilliseconds: 10_000)
            #expect(idle.isClosedByServer())
            #expect(throws: (any Error).self) { try server.client() }
            server.shop.sink.deliver([(submission.caller, .checkout(.paid))])
            let response = try busy.readResponse()
            #expect(response.status == 200)
            #expect(response.headers["connection"] == "close")
            #expect(busy.isClosedByServer())
            try down.wait()
            #expect(server.shop.submissions.count == 1)
        }
    }

    @Test func `shutting down does not wait longer than it may, and says what it does not know`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let busy = try server.client()
            busy.sendRequest("POST", "/orders/checkout/o")
            _ = try server.shop.waitForSubmissions(1)
            try server.listener.shutdown(withinMilliseconds: 50).wait()
            #expect(try busy.readResponse().status == 504)
            #expect(busy.isClosedByServer())
        }
    }

    @Test func `an address that is taken fails to bind`() throws {
        try withServer { (server) throws in
            #expect(throws: (any Error).self) {
                try HTTPListener.bind(
                    host: "127.0.0.1", port: server.listener.port, group: NIOSingletons.posixEventLoopGroup,
                    service: HTTPService(shop: nil, isReady: { true }, monotonicMilliseconds: { 0 })
                ).wait()
            }
        }
    }
}
