// The listener as a whole: health, operators' pages, graceful shutdown.

import KontorCore
import KontorService
import NIOCore
import Synchronization
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
        let pages: [String: OperatorEndpoint] = [
            "/audit": OperatorEndpoint([]) { $1(OperatorPage(status: 200, contentType: "text/plain", body: "balanced")) },
            "/teapot": OperatorEndpoint([]) { $1(OperatorPage(status: 418, body: "{}")) },
            "/busy": OperatorEndpoint([]) { $1(.busy("One at a time.")) },
            "/broken": OperatorEndpoint([]) { $1(nil) },
        ]
        try withServer(pages: pages, hasShop: false) { (server) throws in
            let client = try server.client()
            let audit = try client.exchange("GET", "/audit?full=1")
            #expect(audit.status == 200)
            #expect(audit.headers["content-type"] == "text/plain")
            #expect(audit.body == "balanced")
            #expect(try client.exchange("GET", "/teapot").status == 418)
            #expect(try client.exchange("GET", "/broken").status == 500)
            let busy = try client.exchange("GET", "/busy")
            #expect(busy.status == 429)
            #expect(busy.headers["retry-after"] == "1")
            #expect(busy.headers["content-type"] == "application/problem+json")
            #expect(busy.body.contains("One at a time."))
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

    @Test func `shutting down does not wait for half a request, a client that does not read, or a page`() throws {
        let answer = ShopAnswer.order(.order(Order.large))
        let never: [String: OperatorEndpoint] = ["/slow": OperatorEndpoint([]) { _, _ in }]
        try withServer(pages: never, script: Script { _ in answer }) { (server) throws in
            let half = try server.client()
            half.sendRequest("POST", "/stock/add/x/1", headers: ["Content-Length: 2"], body: "{")
            let page = try server.client()
            page.sendRequest("GET", "/slow")
            let deaf = try server.client()
            deaf.send(String(repeating: "GET /orders/find/o HTTP/1.1\r\nHost: h\r\n\r\n", count: 3_000))
            // Until the system's buffers are full, and none of its requests is begun any more.
            var answered = try server.shop.waitForSubmissions(1).count
            repeat {
                answered = server.shop.submissions.count
                try server.settle()
            } while server.shop.submissions.count > answered
            #expect(answered < 3_000)
            let end = server.listener.shutdown(withinMilliseconds: 30_000)
            let isOver = Mutex(false)
            end.whenComplete { _ in isOver.withLock { $0 = true } }
            for patience in [HTTPLimits.shutdownPatienceMilliseconds + 1, HTTPLimits.lingerMilliseconds + 1, 0] {
                try server.pass(milliseconds: patience)
            }
            #expect(isOver.withLock { $0 }, "nobody is waited for longer than that")
            try end.wait()
            let refusal = try half.readResponse()
            #expect(refusal.status == 429)
            #expect(refusal.body.contains("shuts down"))
            #expect(page.isClosedByServer())
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
