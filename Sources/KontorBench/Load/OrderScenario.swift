// Orders as a shop that integrates `/v1` places them: created with two lines, and checked out, in one request.

/// Asks one request for each order, each under a key of its own. A refusal for want of room is asked again.
public final class OrderScenario: Scenario {
    private let items: Int
    private let users: Int
    /// Tells the keys of this run from those of others.
    private let run: Int
    private var started = 0
    /// Numbers of orders that were refused with 429.
    private var refused: [Int] = []
    public private(set) var contradictions: [String] = []

    /// - Parameters:
    ///   - items: how many items there are, "0" to "n-1"; likewise users.
    ///   - run: a number that no other run on this shop had.
    public init(items: Int, users: Int, run: Int) {
        self.items = max(1, items)
        self.users = max(1, users)
        self.run = run
    }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        let number: Int
        if let again = refused.popLast() {
            number = again
        } else {
            started += 1
            number = started
        }
        var body = RequestBuffer()
        body.append(#"{"user_id":""#)
        body.append(number: number &* 7_919 % users)
        body.append(#"","lines":[{"item_id":""#)
        let first = number &* 104_729 % items
        body.append(number: first)
        body.append(#"","units":1}"#)
        let second = (first &+ 1 &+ number % max(1, items - 1)) % items
        if second != first {
            body.append(#",{"item_id":""#)
            body.append(number: second)
            body.append(#"","units":1}"#)
        }
        body.append(#"],"checkout":true}"#)
        request.append(
            "POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nIdempotency-Key: bench-")
        request.append(number: run)
        request.append("-")
        request.append(number: number)
        request.append("\r\nContent-Length: ")
        request.append(number: body.bytes.count)
        request.append("\r\n\r\n")
        request.append(body.bytes)
        return Ticket(number)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {
        if status == 429 { refused.append(ticket.number) }
        // All that is wanted is there.
        guard status == 201, contradictions.count < 5, !String(decoding: body, as: UTF8.self).contains(#""state":"paid""#)
        else {
            return
        }
        contradictions.append("order \(ticket.number) was not paid: \(String(decoding: body.prefix(300), as: UTF8.self))")
    }
}
