// What is refused before it is parsed, and what never is.

import KontorCore
import KontorService
import NIOCore
import Testing

@testable import KontorHTTP

@Suite struct OverloadTests {
    private func isWhole(_ text: String) -> Bool {
        Array(text.utf8).withUnsafeBytes { OverloadGate.isWholeCheckout($0) }
    }

    @Test(arguments: [
        "Host: h\r\n", "", "Host: h\r\nContent-Length: 0\r\nAccept: */*\r\nUser-Agent: x\r\n",
        "host: h\r\ncontent-length:0\r\nIdempotency-Key: \"k\"\r\n", "Content-Type: text/plain\r\nhost: h\r\n",
    ])
    func `a whole checkout without a body is recognised`(headers: String) {
        #expect(isWhole("POST /orders/checkout/a-b_1.~Z HTTP/1.1\r\n\(headers)\r\n"))
        #expect(isWhole("POST /orders/checkout/o HTTP/1.1\r\n\(headers)Connection: Keep-Alive\r\n\r\n"))
    }

    @Test(arguments: [
        "Content-Length: 2\r\n", "Content-Length: 00000000000000000001\r\n", "Content-Length: \r\n", "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n", "transfer-encoding:chunked\r\n", "Expect: 100-continue\r\n",
        "Connection: close\r\n", "CONNECTION: close\r\n", "Connection: keep-alive, close\r\n", "Upgrade: h2c\r\n",
        "no colon\r\n", ": x\r\n", "X: a\nb: c\r\n",
        "X: a\rb\r\n", " X: folded\r\n", "Content-Length : 5\r\n", "\r\nGET / HTTP/1.1\r\n",
    ])
    func `a request whose end or connection a header decides is not`(headers: String) {
        #expect(!isWhole("POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n\(headers)\r\n"))
    }

    @Test(arguments: [
        "GET /orders/checkout/o HTTP/1.1\r\nHost: h\r\n\r\n", "POST /orders/checkout/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /orders/checkout/o%20 HTTP/1.1\r\nHost: h\r\n\r\n", "POST /orders/checkout/o HTTP/1.0\r\nHost: h\r\n\r\n",
        "POST /orders/checkout/o/ HTTP/1.1\r\nHost: h\r\n\r\n", "POST /stock/add/x/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n\r\n ", "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n",
        "POST /orders/checkout/o HTTP/1.1\r\n", "POST /orders/checkout/o", "",
    ])
    func `nor is any other request, nor more or less than one`(text: String) { #expect(!isWhole(text)) }

    @Test func `the path that is recognised is that of the checkout's route`() throws {
        let path = try #require(RouteTable.all.entry(named: "checkout")).route.examplePath
        #expect(isWhole("POST \(path) HTTP/1.1\r\nHost: h\r\n\r\n"))
    }

    @Test func `each beginning of a checkout is not whole`() {
        let text = "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        for count in 0..<text.utf8.count { #expect(!isWhole(String(text.unicodeScalars.prefix(count)))) }
        #expect(isWhole(text))
    }

    @Test func `a full shop refuses a checkout at once: 429, a problem, Retry-After, and the connection stays`() throws {
        try withServer { (server) throws in
            server.shop.refuseEverything()
            let client = try server.client()
            for _ in 0..<3 {
                let response = try client.exchange("POST", "/orders/checkout/o")
                #expect(response.status == 429)
                #expect(response.headers["retry-after"] == "1")
                #expect(response.headers["content-type"] == "application/problem+json")
                #expect(response.headers["connection"] == nil)
                #expect(response.headers["date"]?.hasSuffix(" GMT") == true)
                #expect(response.body.contains("/problems/overloaded"))
            }
            // Refused before anybody asked the shop; the others only by the shop.
            #expect(server.shop.refusals == 0)
            #expect(
                try client.exchange("POST", "/orders/checkout/o", headers: ["X: y", "Connection: x-hop"]).status == 429)
            #expect(server.shop.refusals == 1)
        }
    }

    @Test func `a full shop still reads its requests in order, and in pieces`() throws {
        try withServer { (server) throws in
            server.shop.refuseEverything()
            let client = try server.client()
            // The second piece alone looks like a request; it is the rest of a header.
            client.send("GET /health/live HTTP/1.1\r\nHost: h\r\n\r\nGET /health/live HTTP/1.1\r\nHost: h\r\nX:")
            #expect(try client.readResponse().status == 200)
            try server.settle()
            client.send("POST /orders/checkout/o HTTP/1.1\r\nY: z\r\n\r\n")
            #expect(try client.readResponse().status == 200)
            // And here it is the body.
            let smuggled = "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n\r\n"
            client.sendRequest("GET", "/health/live", headers: ["Content-Length: \(smuggled.utf8.count)"])
            try server.settle()
            client.send(smuggled)
            #expect(try client.readResponse().status == 200)
            #expect(try client.exchange("POST", "/orders/checkout/o").status == 429)
        }
    }

    @Test func `checkouts of one turn are counted against the room before they are handed over`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            server.shop.setRoom(2)
            let clients = try (0..<8).map { _ in try server.client() }
            for client in clients { client.sendRequest("POST", "/orders/checkout/o") }
            let submissions = try server.shop.waitForSubmissions(2)
            try server.settle()
            #expect(server.shop.submissions.count == 2)
            server.shop.sink.deliver(submissions.map { ($0.caller, .checkout(.paid)) })
            let statuses = try clients.map { try $0.readResponse().status }.sorted()
            #expect(statuses == [200, 200, 429, 429, 429, 429, 429, 429])
        }
    }

    @Test func `a request that is told 504 gives its place back, and its late answer finds nobody`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let patient = try server.client()
            patient.sendRequest("POST", "/orders/checkout/o")
            let submissions = try server.shop.waitForSubmissions(1)
            try server.pass(milliseconds: Limits.deadlineMilliseconds + 1_000)
            #expect(try patient.readResponse().status == 504)
            #expect(server.shop.gone == 1)
            server.shop.sink.deliver(submissions.map { ($0.caller, .checkout(.paid)) })
            #expect(try patient.exchange("GET", "/health/live").status == 200)
        }
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ])
    func `a date is written as RFC 9110 asks`(seconds: Int, text: String) {
        #expect(String(decoding: DateHeader.text(secondsSince1970: seconds), as: UTF8.self) == text)
    }
}
