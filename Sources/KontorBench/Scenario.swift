// What is asked: the requests of a run, one after the other, and what becomes of their answers.

/// The source of a run's requests. One thread uses it.
public protocol Scenario: AnyObject {
    /// Writes the next request, and returns what tells it from others; nil if there is none left.
    func next(into request: inout RequestBuffer) -> Ticket?
    /// An answer has come. Whatever was neither answered nor refused is not asked again: it may have happened.
    func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer)
    /// Answers that the contract does not allow, in words, the first few: such a run has no result.
    var contradictions: [String] { get }
}

extension Scenario {
    public var contradictions: [String] { [] }
}

/// What a scenario reads of answers.
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

/// Tells a request from others; its scenario knows what it means.
public struct Ticket: Equatable, Sendable {
    public let number: Int
    public init(_ number: Int) { self.number = number }
}

/// The bytes of one request, written into memory that is used again.
public struct RequestBuffer {
    private(set) var bytes: [UInt8] = []

    public init() { bytes.reserveCapacity(256) }

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

    /// The rest of a request without a body.
    public mutating func endHead() { append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") }
}

/// Checks out unpaid orders, each until it is paid: one that was refused with 429 is offered again.
public final class CheckoutScenario: Scenario {
    private let last: Int
    private var fresh: Int
    /// Refused, and so still unpaid.
    private var refused: [Int] = []
    /// Answered with 200, in the warm-up too.
    public private(set) var paid = 0
    /// Answered with what means that nothing happened: 4xx, but not 429.
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

    /// How many of the orders may be paid: at least those of which it was said, and at most those that were asked for and not refused.
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
    /// Additions that were not made: anything but a success.
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

/// Reads items, one after the other, for ever.
public final class FindScenario: Scenario {
    private let items: Int
    private var count = 0

    public init(items: Int) { self.items = max(1, items) }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        // A step that has no common factor with most counts: neighbours in time are no neighbours in the store.
        let item = count &* 7_919 % items
        count += 1
        request.append("GET /stock/find/")
        request.append(number: item)
        request.endHead()
        return Ticket(item)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {}
}
