// What the generator reads of answers, and which requests its scenarios make.

import Testing

@testable import KontorBench

@Suite("Answers and requests of a load")
struct ResponseHeadTests {
    private func read(_ text: String) -> ResponseHead.Reading {
        Array(text.utf8).withUnsafeBytes { ResponseHead.read($0) }
    }

    private let refusal =
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: a/b\r\nContent-Length: 12\r\nretry-after: 3\r\n"
        + "connection: close\r\n\r\n"

    @Test("status, lengths, Retry-After and the connection's end are read")
    func reads() {
        var expected = ResponseHead()
        expected.status = 429
        expected.headBytes = refusal.utf8.count
        expected.bodyBytes = 12
        expected.retryAfterSeconds = 3
        expected.closes = true
        #expect(read(refusal + "123456789012") == .head(expected))
        guard case .head(let kept) = read("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n") else {
            Issue.record("it is a head")
            return
        }
        #expect(!kept.closes && kept.retryAfterSeconds == nil && kept.status == 200 && kept.bodyBytes == 0)
    }

    @Test("a head that has not all arrived is incomplete at each byte")
    func incomplete() {
        for count in 0..<refusal.utf8.count { #expect(read(String(refusal.unicodeScalars.prefix(count))) == .incomplete) }
    }

    @Test(
        "what is no answer is malformed",
        arguments: [
            "HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n", "garbage garbage\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ])
    func malformed(text: String) { #expect(read(text) == .malformed) }

    @Test("an answer in pieces is the answer, and goes to its request")
    func pieces() {
        let connection = ClientConnection(-1)
        connection.begin(Ticket(7), due: 0)
        var answers: [Int] = []
        for byte in Array((refusal + "123456789012").utf8) {
            let reading = [byte].withUnsafeBytes {
                connection.received($0) { ticket, head, body in
                    answers += [ticket.number, head.status, body.count]
                }
            }
            #expect(reading != .malformed)
        }
        #expect(answers == [7, 429, 12])
    }

    private func next(_ scenario: any Scenario) -> (ticket: Ticket, line: String)? {
        var buffer = RequestBuffer()
        guard let ticket = scenario.next(into: &buffer) else { return nil }
        return (ticket, String(String(decoding: buffer.bytes, as: UTF8.self).prefix { $0 != "\r\n" }))
    }

    private func answer(_ scenario: any Scenario, _ ticket: Ticket, _ status: Int, _ body: String = "") {
        Array(body.utf8).withUnsafeBytes { scenario.answered(ticket, status: status, body: $0) }
    }

    @Test("each order is checked out once, and again only if it was refused")
    func checkouts() throws {
        let scenario = CheckoutScenario(orders: 10..<12)
        let first = try #require(next(scenario))
        #expect(first.line == "POST /orders/checkout/10 HTTP/1.1")
        answer(scenario, first.ticket, 429)
        #expect(next(scenario)?.line == "POST /orders/checkout/10 HTTP/1.1")
        answer(scenario, first.ticket, 504)
        let second = try #require(next(scenario))
        #expect(second.line == "POST /orders/checkout/11 HTTP/1.1")
        answer(scenario, second.ticket, 200)
        #expect(next(scenario) == nil)
        #expect(scenario.firstUnused == 12)
    }

    @Test("a journey creates an order, adds an item to that one, and checks it out")
    func journey() throws {
        let scenario = JourneyScenario(items: 1, users: 1)
        let create = try #require(next(scenario))
        #expect(create.line == "POST /orders/create/0 HTTP/1.1")
        answer(scenario, create.ticket, 200, #"{"order_id":"a-b"}"#)
        let add = try #require(next(scenario))
        #expect(add.line == "POST /orders/addItem/a-b/0/1 HTTP/1.1")
        answer(scenario, add.ticket, 429)
        #expect(next(scenario)?.line == add.line)
        answer(scenario, add.ticket, 200)
        let checkout = try #require(next(scenario))
        #expect(checkout.line == "POST /orders/checkout/a-b HTTP/1.1")
        answer(scenario, checkout.ticket, 200)
        #expect(next(scenario)?.line == "POST /orders/create/0 HTTP/1.1")
    }
}
