// What is asked: the requests of a run, one after the other, and what becomes of their answers.

/// The source of a run's requests, which also learns what they were answered. Used by one thread.
public protocol Scenario: AnyObject {
    /// Writes the next request into an empty buffer.
    ///
    /// - Returns: the ticket with which its answer will come; nil if there is no request left.
    func next(into request: inout RequestBuffer) -> Ticket?
    /// Takes an answer. A request that gets none is not repeated: it may have had its effect.
    func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer)
    /// The first few answers that the contract does not allow, in words. A run with such answers has no result.
    var contradictions: [String] { get }
}

extension Scenario {
    public var contradictions: [String] { [] }
}

/// What scenarios read from the bodies of answers.
enum AnswerBody {
    /// The id in `{"order_id":"..."}` and its like.
    static func createdID(in body: UnsafeRawBufferPointer) -> [UInt8]? {
        guard body.first == UInt8(ascii: "{"), let colon = body.firstIndex(of: UInt8(ascii: ":")),
            let start = body[(colon + 1)...].firstIndex(of: UInt8(ascii: "\"")),
            let end = body[(start + 1)...].firstIndex(of: UInt8(ascii: "\"")), end > start + 1
        else { return nil }
        return Array(body[(start + 1)..<end])
    }
}

/// Connects an answer with its request.
public struct Ticket: Equatable, Sendable {
    /// What it means is the scenario's business.
    public let number: Int
    public init(_ number: Int) { self.number = number }
}

/// The bytes of one request, in memory that is used again for the next one.
public struct RequestBuffer {
    private(set) var bytes: [UInt8] = []

    public init() { bytes.reserveCapacity(256) }

    /// Removes all bytes, and keeps the memory.
    public mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    public mutating func append(number: Int) {
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }

    /// Writes all that follows the path of a request without a body.
    public mutating func endHead() { append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") }
}

/// Checks out unpaid orders, each until it is paid: one that was refused with 429 is offered again.
public final class CheckoutScenario: Scenario {
    private let last: Int
    private var fresh: Int
    /// Orders that were refused with 429, and so are still unpaid.
    private var refused: [Int] = []
    /// Orders that were answered with 2xx, also during the warm-up.
    public private(set) var paid = 0
    /// Orders that were answered with 4xx other than 429: nothing happened to them.
    public private(set) var unpaid = 0
    private let start: Int

    /// - Parameter orders: the numbers of orders that are unpaid.
    public init(orders: Range<Int>) {
        fresh = orders.lowerBound
        start = orders.lowerBound
        last = orders.upperBound
    }

    /// The first order that was not asked for yet.
    public var firstUnused: Int { fresh }

    /// How many of the orders may be paid: at least those that were answered with 2xx, and at most those that were
    /// asked for and not refused.
    public var possiblyPaid: ClosedRange<Int> { paid...max(paid, fresh - start - refused.count - unpaid) }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        let order: Int
        if let again = refused.popLast() {
            order = again
        } else if fresh < last {
            order = fresh
            fresh += 1
        } else {
            return nil
        }
        request.append("POST /orders/checkout/")
        request.append(number: order)
        request.endHead()
        return Ticket(order)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {
        switch status {
        case 200..<300: paid += 1
        case 429: refused.append(ticket.number)
        case 400..<500: unpaid += 1
        default: break
        }
    }
}

/// Fills the baskets of orders that `batch_init` made, each with the same number of further items.
public final class BasketScenario: Scenario {
    private let first: Int
    private let items: Int
    private let additions: Int
    private let count: Int
    private var next = 0
    /// Additions that were answered with anything but 200.
    public private(set) var failed = 0

    /// - Parameters:
    ///   - orders: the numbers of the orders.
    ///   - additions: how many items each of them gets.
    ///   - items: how many items there are, "0" to "n-1".
    public init(orders: Range<Int>, additions: Int, items: Int) {
        first = orders.lowerBound
        count = orders.count * additions
        self.additions = additions
        self.items = max(1, items)
    }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        guard next < count else { return nil }
        // Round by round, so that no two requests at a time want the same order.
        let order = first + next % (count / additions)
        request.append("POST /orders/addItem/")
        request.append(number: order)
        request.append("/")
        request.append(number: (order &* 7 &+ next / (count / additions) &* 53) % items)
        request.append("/1")
        request.endHead()
        next += 1
        return Ticket(next)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {
        if status != 200 { failed += 1 }
    }
}

/// Reads one thing after the other, of those that have the numbers from 0 on.
public final class ReadScenario: Scenario {
    private let path: StaticString
    private let things: Int
    private var count = 0

    /// - Parameters:
    ///   - path: what is read, up to the number.
    ///   - things: how many there are.
    public init(_ path: StaticString, of things: Int) {
        self.path = path
        self.things = max(1, things)
    }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        // A step that has no common factor with most counts: things that are read one after the other do not lie side
        // by side in the store.
        let thing = count &* 7_919 % things
        count += 1
        request.append("GET ")
        request.append(path)
        request.append(number: thing)
        request.endHead()
        return Ticket(thing)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {}
}
