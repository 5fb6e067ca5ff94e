// Oversized, slow and malformed clients: a clear answer, then the end of the connection.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct BoundsTests {
    private func expectRefusal(_ client: RawClient, _ status: Int) throws {
        let response = try client.readResponse()
        #expect(response.status == status)
        #expect(response.headers["connection"] == "close")
        #expect(response.headers["content-type"] == "application/problem+json")
        #expect(client.isClosedByServer())
    }

    @Test(arguments: [2_049, 8_000, 16_000])
    func `a path beyond its bound is a 414`(length: Int) throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.sendRequest("GET", "/" + String(repeating: "x", count: length - 1))
            try expectRefusal(client, 414)
        }
    }

    @Test func `a path at its bound is read`() throws {
        try withServer { (server) throws in
            let path = "/stock/find/x?"
            let padding = String(repeating: "y", count: HTTPLimits.pathBytes - path.utf8.count)
            #expect(try server.exchange("GET", path + padding).status == 500)
            #expect(server.shop.submissions.count == 1)
        }
    }

    @Test(arguments: [16_384, 17_000, 200_000])
    func `headers beyond their bound are a 431`(length: Int) throws {
        try withServer { (server) throws in
            for headers in [
                ["X: " + String(repeating: "x", count: length)],
                (0..<50).map { "X\($0): " + String(repeating: "x", count: length / 50) },
            ] {
                let client = try server.client()
                client.sendRequest("GET", "/stock/find/x", headers: headers)
                try expectRefusal(client, 431)
            }
        }
    }

    @Test func `too many headers are a 431`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.sendRequest("GET", "/stock/find/x", headers: (0..<200).map { "X\($0): 1" })
            try expectRefusal(client, 431)
        }
    }

    @Test func `a body beyond its bound is a 413, announced or not, and nothing is begun`() throws {
        try withServer { (server) throws in
            let announced = try server.client()
            announced.sendRequest("POST", "/stock/add/x/1", headers: ["Content-Length: 65537", "Expect: 100-continue"])
            try expectRefusal(announced, 413)
            let chunked = try server.client()
            let chunk = "4000\r\n" + String(repeating: "x", count: 0x4000) + "\r\n"
            chunked.sendRequest("POST", "/stock/add/x/1", headers: ["Transfer-Encoding: chunked"])
            chunked.send(String(repeating: chunk, count: 20))
            try expectRefusal(chunked, 413)
            #expect(server.shop.submissions.isEmpty)
        }
    }

    @Test func `a client that sends a large body gets to read the refusal`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/stock/add/x/1", headers: ["Content-Length: 3000000"])
            client.send(String(repeating: "x", count: 3_000_000))
            try expectRefusal(client, 413)
        }
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
    func `garbage is a 400, and closes`(bytes: String) throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.send(bytes)
            try expectRefusal(client, 400)
            #expect(server.shop.submissions.isEmpty)
        }
    }

    @Test func `garbage behind a good request does not cost that one its answer`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o")
            client.send("garbage\r\n\r\n")
            let submission = try server.shop.waitForSubmissions(1)[0]
            try server.settle()
            server.shop.sink.deliver([(submission.caller, .checkout(.paid))])
            #expect(try client.readResponse().status == 200)
            try expectRefusal(client, 400)
        }
    }

    @Test(arguments: ["GET /stock/find/x HTTP/1.1\r\nHo", "G"])
    func `a client that is slow with its headers is closed`(start: String) throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.send(start)
            try server.pass(milliseconds: HTTPLimits.headMilliseconds - 1_000)
            client.send(start.count > 1 ? "st: " : "E")
            try server.pass(milliseconds: 1_001)
            try expectRefusal(client, 408)
        }
    }

    @Test func `a client that is slow with its body is closed, and nothing is begun`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/stock/add/x/1", headers: ["Content-Length: 2"], body: "{")
            try server.pass(milliseconds: HTTPLimits.bodyMilliseconds + 1)
            try expectRefusal(client, 408)
            #expect(server.shop.submissions.isEmpty)
        }
    }

    @Test func `an idle connection is closed without a word, a busy one is not`() throws {
        try withServer(script: Script { $0 == .createUser ? .created(id("u")) : nil }) { (server) throws in
            let idle = try server.client()
            #expect(try idle.exchange("POST", "/payment/create_user").status == 200)
            let busy = try server.client()
            busy.sendRequest("POST", "/payment/batch_init/1000000/1")
            let submission = try server.shop.waitForSubmissions(2)[1]
            try server.pass(milliseconds: HTTPLimits.idleMilliseconds + 1_000)
            #expect(idle.isClosedByServer())
            server.shop.sink.deliver([(submission.caller, .initialized)])
            #expect(try busy.readResponse().status == 200)
        }
    }

    @Test func `a client that does not read its answers is not read either, and closed`() throws {
        let answer = ShopAnswer.order(.order(Order.large))
        try withServer(script: Script { _ in answer }) { (server) throws in
            let client = try server.client()
            let asked = 3_000
            client.send(String(repeating: "GET /orders/find/o HTTP/1.1\r\nHost: h\r\n\r\n", count: asked))
            var served = -1
            // Until the buffers of both sides are full.
            while served != server.shop.submissions.count {
                served = server.shop.submissions.count
                try server.settle()
            }
            #expect(served < asked)
            try server.pass(milliseconds: HTTPLimits.unreadAnswerMilliseconds + 1_000)
            #expect(client.isClosedByServer(afterReadingAll: true))
            #expect(server.shop.submissions.count == served)
        }
    }

    @Test func `1,000 random requests never crash the server: each is answered or closed`() throws {
        try withServer(script: Script { _ in .unknown }) { (server) throws in
            let random = SeededRandom(seed: 20_240_607)
            for _ in 0..<1_000 {
                let client = try server.client()
                client.send(random.garbage())
                client.closeOutput()
                while let response = try? client.readResponse() {
                    #expect((200...599).contains(response.status))
                }
                #expect(client.isClosedByServer())
            }
            #expect(try server.exchange("GET", "/health/live").status == 200)
        }
    }
}

extension Order {
    /// An order whose answer has some kilobytes.
    static var large: Order {
        var order = Order(user: id("u"), incarnation: 1)
        order.lines = (0..<64).map {
            OrderLine(item: id(String(repeating: "x", count: 60) + String($0)), units: Amount(1), price: .zero)
        }
        return order
    }
}

extension SeededRandom {
    /// Pieces of requests.
    private static let pieces = [
        "GET ", "POST ", "DELETE ", "HEAD ", "CONNECT ", "OPTIONS ", "/", "*", "/stock/find/", "/orders/checkout/", "%",
        "%2f",
        "/payment/pay/u/", "x", "-1", "9999999999999999999", "?a=b", "#", " HTTP/1.1", " HTTP/1.0", "\r\n", "\n", "\r",
        "\r\n\r\n",
        "Host: h\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
        "Upgrade: h2c\r\n",
        "Connection: Upgrade\r\n", "Expect: 100-continue\r\n", "Request-Timeout-Ms: 5\r\n", ": ", "\u{0}", "é",
        "5\r\nhello\r\n",
        "0\r\n\r\n", "GET /stock/find/x HTTP/1.1\r\nHost: h\r\n\r\n", "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n",
    ]

    /// Pieces of requests, put together wrongly, and damaged.
    fileprivate func garbage() -> [UInt8] {
        var random = self
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            if Int.random(in: 0..<10, using: &random) == 0 {
                for _ in 0..<Int.random(in: 1...300, using: &random) {
                    bytes.append(UInt8.random(in: 0...255, using: &random))
                }
            } else {
                bytes += Array((Self.pieces.randomElement(using: &random) ?? "").utf8)
            }
        }
        return bytes
    }
}
