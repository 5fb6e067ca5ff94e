// What a client sees on one connection: order, keep-alive, HTTP/1.0, HEAD, bodies, deadlines, late answers.

import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

/// Answers a read of an item with its id as the stock.
@Sendable private func echoStock(_ request: ShopRequest) -> ShopAnswer? {
    guard case .ledger(let command) = request, command.operation == .read else { return nil }
    var account = Account()
    account.balance = Amount(Int64(command.account.id.text) ?? -1)
    return .ledger(.account(account))
}

@Suite struct ConnectionTests {
    @Test func `a request reaches the shop with its deadline, and its answer the client`() throws {
        try withServer(script: Script { _ in .checkout(.paid) }) { (server) throws in
            let before = server.clock.monotonicMilliseconds
            let response = try server.exchange("POST", "/orders/checkout/o")
            #expect(response.status == 200)
            #expect(response.headers["content-type"] == "application/json")
            #expect(response.headers["connection"] == nil)
            #expect(response.body == #"{"order_id":"o","status":"paid"}"#)
            let submission = try #require(server.shop.submissions.first)
            #expect(submission.request == .checkout(order: id("o")))
            #expect(submission.deadline == before + 5_000)
        }
    }

    @Test func `pipelined requests are answered in order`() throws {
        try withServer(script: Script(echoStock)) { (server) throws in
            let client = try server.client()
            let paths = (0..<200).map { $0 % 7 == 3 ? "/nothing" : "/stock/find/\($0)" }
            client.send(paths.map { "GET \($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined())
            for number in 0..<200 {
                let response = try client.readResponse()
                if number % 7 == 3 {
                    #expect(response.status == 404)
                } else {
                    #expect(response.body == #"{"stock":\#(number),"price":0}"#)
                }
            }
        }
    }

    @Test func `of pipelined requests only one is with the shop, and few are held`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.send(String(repeating: "POST /orders/checkout/o HTTP/1.1\r\nHost: h\r\n\r\n", count: 500))
            for number in 0..<500 {
                let submissions = try server.shop.waitForSubmissions(number + 1)
                #expect(submissions.count == number + 1)
                server.shop.sink.deliver([(submissions[number].caller, .checkout(.paid))])
                #expect(try client.readResponse().status == 200)
            }
        }
    }

    /// Also if the first one past the bound was to be the last: it once got no answer.
    @Test(arguments: ["", "Connection: close\r\n"])
    func `more requests than are held, sent before hanging up, end in a 429`(header: String) throws {
        try withServer(script: Script { $0.isRead ? .ledger(.unknownAccount) : nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o")
            let request = "GET /stock/find/1 HTTP/1.1\r\nHost: h\r\n"
            client.send(String(repeating: request + "\r\n", count: HTTPLimits.heldRequests))
            client.send(String(repeating: request + header + "\r\n", count: 400))
            client.closeOutput()
            let first = try server.shop.waitForSubmissions(1)[0]
            try server.settle()
            server.shop.sink.deliver([(first.caller, .checkout(.paid))])
            #expect(try client.readResponse().status == 200)
            var answered = 0
            var last = try client.readResponse()
            while last.status == 404 {
                answered += 1
                last = try client.readResponse()
            }
            #expect(last.status == 429 && last.body.contains("requests of this connection"))
            #expect(answered == HTTPLimits.heldRequests)
            #expect(client.isClosedByServer())
        }
    }

    @Test func `a body that is sent is ignored`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            for body in ["{}", "", String(repeating: "x", count: HTTPLimits.bodyBytes)] {
                client.sendRequest(
                    "POST", "/stock/add/x/1", headers: ["Content-Length: \(body.utf8.count)"], body: body)
                #expect(try client.readResponse().status == 200)
            }
            let chunks = "5\r\nGET /\r\n0\r\n\r\n"
            client.sendRequest("POST", "/stock/add/x/1", headers: ["Transfer-Encoding: chunked"], body: chunks)
            #expect(try client.readResponse().status == 200)
            #expect(server.shop.submissions.count == 4)
        }
    }

    @Test func `a client that waits for 100 Continue gets it`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/stock/add/x/1", headers: ["Expect: 100-continue", "Content-Length: 2"])
            #expect(try client.readResponse().status == 100)
            #expect(server.shop.submissions.isEmpty)
            client.send("{}")
            #expect(try client.readResponse().status == 200)
        }
    }

    @Test func `100 Continue does not overtake an earlier answer`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o")
            client.sendRequest("POST", "/stock/add/x/1", headers: ["Expect: 100-continue", "Content-Length: 2"])
            let first = try server.shop.waitForSubmissions(1)[0]
            try server.settle()
            server.shop.sink.deliver([(first.caller, .checkout(.paid))])
            #expect(try client.readResponse().status == 200)
            #expect(try client.readResponse().status == 100)
        }
    }

    @Test func `HEAD gets the head of a GET`() throws {
        try withServer(script: Script(echoStock)) { (server) throws in
            let client = try server.client()
            let head = try client.exchange("HEAD", "/stock/find/7")
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "21")
            #expect(try client.exchange("HEAD", "/orders/checkout/o").status == 405)
            #expect(try client.exchange("GET", "/stock/find/7").body == #"{"stock":7,"price":0}"#)
        }
    }

    @Test func `a wrong method is told the right one`() throws {
        try withServer { (server) throws in
            let response = try server.exchange("GET", "/orders/checkout/o")
            #expect(response.status == 405)
            #expect(response.headers["allow"] == "POST")
            #expect(try server.exchange("POST", "/stock/find/x").headers["allow"] == "GET, HEAD")
            #expect(try server.exchange("DELETE", "/payment/status/u/o").headers["allow"] == "GET, HEAD, POST")
        }
    }

    @Test func `HTTP 1.0 connections are closed unless they are to be kept`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            client.send("POST /stock/add/x/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try client.readResponse().headers["connection"] == "keep-alive")
            client.send("POST /stock/add/x/1 HTTP/1.0\r\n\r\n")
            #expect(try client.readResponse().headers["connection"] == "close")
            #expect(client.isClosedByServer())
        }
    }

    @Test(arguments: ["Connection: close", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c"])
    func `a connection that is to be closed is closed after its answer`(header: String) throws {
        try withServer { (server) throws in
            let client = try server.client()
            let response = try client.exchange("POST", "/stock/add/x/1", headers: [header])
            #expect(response.status == 200)
            #expect(response.headers["connection"] == "close")
            #expect(client.isClosedByServer())
        }
    }

    @Test func `a client that closes its side still gets its answers`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o")
            client.sendRequest("POST", "/orders/checkout/p")
            client.closeOutput()
            for number in 0..<2 {
                let submission = try server.shop.waitForSubmissions(number + 1)[number]
                server.shop.sink.deliver([(submission.caller, .checkout(.paid))])
                #expect(try client.readResponse().status == 200)
            }
            #expect(client.isClosedByServer())
        }
    }

    @Test func `a request that the shop does not take is a 429 with Retry-After`() throws {
        try withServer { (server) throws in
            server.shop.refuseEverything()
            let client = try server.client()
            for _ in 0..<2 {
                let response = try client.exchange("POST", "/orders/checkout/o")
                #expect(response.status == 429)
                #expect(response.headers["retry-after"] == "1")
                #expect(response.headers["content-type"] == "application/problem+json")
            }
        }
    }

    @Test func `connections beyond the bound are told so`() throws {
        try withServer(maximumConnections: 2) { (server) throws in
            let first = try server.client()
            let second = try server.client()
            #expect(try first.exchange("POST", "/stock/add/x/1").status == 200)
            #expect(try second.exchange("POST", "/stock/add/x/1").status == 200)
            let third = try server.client()
            let response = try third.exchange("POST", "/stock/add/x/1")
            #expect(response.status == 429)
            #expect(response.headers["connection"] == "close")
            #expect(third.isClosedByServer())
            #expect(server.shop.submissions.count == 2)
        }
    }

    @Test func `a health check is answered when all connections are taken`() throws {
        try withServer(maximumConnections: 2, script: Script { _ in nil }) { (server) throws in
            let busy = try (0..<2).map { _ in try server.client() }
            for client in busy { client.sendRequest("POST", "/orders/checkout/o") }
            _ = try server.shop.waitForSubmissions(2)
            // More than the reserve, and silent: the oldest of them are turned away.
            var silent: [RawClient] = []
            for number in 0..<4 * HTTPLimits.reservedConnections {
                silent.append(try server.client())
                guard number % 32 == 0 else { continue }
                for path in ["/health/live", "/health/ready"] {
                    let response = try server.exchange("GET", path)
                    #expect(response.status == 200)
                    #expect(response.headers["connection"] == "close")
                }
            }
            #expect(try silent[0].readResponse().status == 429)
            #expect(silent[0].isClosedByServer())
            // And who says nothing is not kept for long. Connections are accepted in their order: the last one is, too.
            #expect(try server.exchange("GET", "/health/live").status == 200)
            try server.pass(milliseconds: HTTPLimits.reservedMilliseconds + 1_000)
            let last = try #require(silent.last)
            #expect(try last.readResponse().status == 429)
            #expect(last.isClosedByServer())
        }
    }

    @Test func `when all connections are taken, one that is idle makes room, and none that was just answered`() throws {
        try withServer(maximumConnections: 2) { (server) throws in
            let idle = try (0..<2).map { _ in try server.client() }
            for client in idle { #expect(try client.exchange("POST", "/stock/add/x/1").status == 200) }
            #expect(try server.exchange("POST", "/stock/add/x/1").status == 429)
            try server.pass(milliseconds: HTTPLimits.evictableMilliseconds + 1_000)
            let next = try (0..<2).map { _ in try server.client() }
            for client in next { #expect(try client.exchange("POST", "/stock/add/x/1").status == 200) }
            for client in idle { #expect(client.isClosedByServer()) }
        }
    }

    @Test func `requests that arrive in part are bounded, and the oldest is refused`() throws {
        try withServer(maximumConnections: 2 * HTTPLimits.halfSentRequests) { (server) throws in
            let clients = try (0...HTTPLimits.halfSentRequests).map { _ in
                let client = try server.client()
                client.send("GET /health/live HTT")
                return client
            }
            let refusal = try clients[0].readResponse()
            #expect(refusal.status == 408)
            #expect(refusal.body.contains("have arrived in part"))
            #expect(clients[0].isClosedByServer())
            let last = try #require(clients.last)
            last.send("P/1.1\r\nHost: h\r\n\r\n")
            #expect(try last.readResponse().status == 200)
        }
    }

    @Test func `a shop that starts or ends says so, to reads otherwise than to writes`() throws {
        try withServer { (server) throws in
            for (intake, word) in [(Intake.starting, "is starting"), (.ending, "shuts down")] {
                server.shop.refuse(as: intake)
                for (method, path, status) in [
                    ("GET", "/stock/find/x", 503), ("POST", "/stock/add/x/1", 429), ("POST", "/orders/checkout/o", 429),
                ] {
                    let response = try server.exchange(method, path)
                    #expect(response.status == status)
                    #expect(response.headers["retry-after"] == "1")
                    #expect(response.body.contains(word), "\(response.body)")
                    #expect(!response.body.contains("too much"))
                }
            }
        }
    }
}

@Suite struct DeadlineTests {
    @Test func `Request-Timeout-Ms sets the deadline, within its bound`() throws {
        let longest = Limits.longestDeadlineMilliseconds
        try withServer { (server) throws in
            for (header, expected) in [("250", 250), ("\(longest - 1)", longest - 1), ("99999999", longest)] {
                let before = server.clock.monotonicMilliseconds
                let response = try server.exchange("POST", "/stock/add/x/1", headers: ["request-TIMEOUT-ms: \(header)"])
                #expect(response.status == 200)
                let submission = try #require(server.shop.submissions.last)
                #expect(submission.deadline == before + expected)
            }
            let client = try server.client()
            for header in ["0", "-1", "x", "1.5", "99999999999999999999"] {
                let response = try client.exchange("POST", "/stock/add/x/1", headers: ["Request-Timeout-Ms: \(header)"])
                #expect(response.status == 400)
            }
        }
    }

    @Test func `batch_init has no deadline`() throws {
        try withServer(script: Script { _ in .initialized }) { (server) throws in
            #expect(try server.exchange("POST", "/payment/batch_init/10/5").status == 200)
            #expect(server.shop.submissions.first?.deadline == .max)
        }
    }

    @Test func `a late answer after a 504 is ignored, and the next request gets its own`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("POST", "/orders/checkout/o", headers: ["Request-Timeout-Ms: 60"])
            _ = try server.shop.waitForSubmissions(1)
            try server.pass(milliseconds: 1_000)
            #expect(try client.readResponse().status == 504)
            client.sendRequest("POST", "/orders/checkout/p")
            let submissions = try server.shop.waitForSubmissions(2)
            server.shop.sink.deliver([(submissions[0].caller, .checkout(.paid))])
            server.shop.sink.deliver([
                (submissions[1].caller, .order(.isEmpty)), (submissions[1].caller, .checkout(.paid)),
            ])
            let own = try client.readResponse()
            #expect(own.status == 409)
            #expect(own.body.contains(#""order_id":"p""#))
            client.sendRequest("GET", "/nothing")
            #expect(try client.readResponse().status == 404)
        }
    }

    @Test func `a read that is not answered in time is a 503`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            let client = try server.client()
            client.sendRequest("GET", "/stock/find/x", headers: ["Request-Timeout-Ms: 60"])
            _ = try server.shop.waitForSubmissions(1)
            try server.pass(milliseconds: 1_000)
            let response = try client.readResponse()
            #expect(response.status == 503)
            #expect(response.headers["retry-after"] == "1")
        }
    }

    @Test func `an answer for a connection that is gone does no harm`() throws {
        try withServer(script: Script { _ in nil }) { (server) throws in
            var client: RawClient? = try server.client()
            client?.sendRequest("POST", "/orders/checkout/o")
            let submission = try server.shop.waitForSubmissions(1)[0]
            client = nil
            try server.settle()
            server.shop.sink.deliver([(submission.caller, .checkout(.paid))])
            #expect(try server.exchange("GET", "/health/live").status == 200)
        }
    }
}
