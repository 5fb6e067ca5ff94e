// What `kontor bench --basket` asks for, before it measures.

import Testing

@testable import KontorBench

@Suite("Filling the baskets")
struct BasketTests {
    @Test("each order gets its further items, none twice at a time, and all of them exist")
    func eachOrderGetsItsItems() throws {
        let scenario = BasketScenario(orders: 5..<8, additions: 10, items: 3)
        var request = RequestBuffer()
        var orders: [Substring] = []
        while scenario.next(into: &request) != nil {
            let text = String(decoding: request.bytes, as: UTF8.self)
            let match = try #require(text.prefixMatch(of: /POST \/orders\/addItem\/(\d+)\/([012])\/1 HTTP\/1.1/))
            orders.append(match.1)
            request.clear()
        }
        // A round of all orders before the next one: requests at a time want different ones.
        #expect(orders == Array(repeating: ["5", "6", "7"], count: 10).flatMap { $0 })
    }

    @Test("an addition that was refused is counted")
    func countsRefusals() throws {
        let scenario = BasketScenario(orders: 0..<1, additions: 2, items: 1)
        var request = RequestBuffer()
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        scenario.answered(try #require(scenario.next(into: &request)), status: 200, body: none)
        #expect(scenario.failed == 0)
        scenario.answered(try #require(scenario.next(into: &request)), status: 429, body: none)
        #expect(scenario.failed == 1)
    }
}
