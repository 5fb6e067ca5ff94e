// `/orders/explain` in words.

import Foundation
import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct ExplanationTests {
    private struct Page: Decodable {
        struct Attempt: Decodable {
            struct Step: Decodable {
                let step: String
                let account: String?
                let amount: Double?
                let at: String?
                let outcome: String
                let reason: String?
                let next_retry: String?
            }
            let attempt: Int
            let began, outcome: String
            let reason: String?
            let steps: [Step]
        }
        struct Payment: Decodable {
            let state: String
            let amount: Double?
        }
        let order_id, state, user_id, summary: String
        let direct_payment: Payment
        let total_cost: Double
        let to_succeed: [String]
        let forgotten_attempts: Int
        let attempts: [Attempt]
        struct Refund: Decodable {
            let number: Int
            let amount: Double
            let reason: String
            let finished: String?
        }
        let refunds: [Refund]
    }

    private let item = GroupKey(.item, id("x"))
    private let lack = AbortReason.insufficient(account: GroupKey(.item, id("x")), wanted: Amount(2), left: Amount(1))

    private var order: Order {
        var order = Order(user: id("u"), incarnation: 1)
        order.lines = [OrderLine(item: id("x"), units: Amount(2), price: Amount(350))]
        order.total = Amount(700)
        return order
    }

    private func trace(_ hold: LegTrace.Hold, settledAfter: UInt32? = nil) -> LegTrace {
        var trace = LegTrace()
        trace.hold = hold
        trace.holdAfter = 4
        trace.settledAfter = settledAfter
        return trace
    }

    private func page(_ explanation: Explanation) throws -> Page {
        try JSONDecoder().decode(Page.self, from: Data(ExplanationJSON(explanation).bytes))
    }

    @Test func `a failed order says why, step by step, and what would make it succeed`() throws {
        var order = order
        order.attempt = 11
        let attempt = Attempt(
            number: 11, begun: 1_700_000_000_000,
            legs: [Leg(account: item, amount: Amount(2)), Leg(account: GroupKey(.user, id("u")), amount: Amount(700))],
            traces: [trace(.refused, settledAfter: 6), trace(.held, settledAfter: 7)], decision: .abort(lack),
            decidedAfter: 5, finishedAfter: 9)
        let page = try page(
            Explanation(id: id("o"), order: order, attempts: [attempt], saga: nil, retries: [], obstacles: [lack]))
        #expect(page.state == "open" && page.total_cost == 7)
        #expect(page.summary == "The last checkout failed: item x: 2 wanted, 1 left.")
        #expect(page.to_succeed == ["item x: 2 wanted, 1 left: add at least 1 of stock."])
        #expect(page.forgotten_attempts == 10)
        #expect(page.attempts.map(\.outcome) == ["refused"])
        let steps = page.attempts[0].steps
        #expect(steps.map(\.step) == ["begin", "hold", "hold", "decide", "release", "release", "finish"])
        #expect(steps.map(\.amount) == [nil, 2, 7, nil, 2, 7, nil])
        #expect(steps[1].at == "2023-11-14T22:13:20.004Z")
        #expect(steps[3].reason == "item x: 2 wanted, 1 left")
        #expect(steps[6].at == "2023-11-14T22:13:20.009Z")
    }

    @Test func `a running checkout tells what it waits for, and when that is asked again`() throws {
        var order = order
        order.attempt = 1
        order.status = .checkingOut
        let attempt = Attempt(
            number: 1, begun: 0, legs: order.legs, traces: [trace(.contended), trace(.held)], decision: nil)
        let saga = SagaRecord(
            id: SagaID(order: id("o"), incarnation: 1, attempt: 1), legs: order.legs, phase: .holdingInOrder, begun: 0,
            deadline: 5_000)
        let page = try page(
            Explanation(id: id("o"), order: order, attempts: [attempt], saga: saga, retries: [504, nil], obstacles: []))
        #expect(page.state == "checking_out")
        #expect(page.summary.contains("waits for its locks"))
        #expect(page.attempts[0].outcome == "running")
        #expect(page.attempts[0].steps.map(\.next_retry) == [nil, "1970-01-01T00:00:00.504Z", nil])
    }

    @Test func `a reserved order says until when, how it came to it, and why it is over`() throws {
        var order = order
        (order.attempt, order.status) = (1, .reserved)
        order.reservation = Reservation(attempt: 1, until: 1_700_000_600_000, grants: [1])
        let reserved = Attempt(
            number: 1, begun: 1_700_000_000_000, legs: order.stockLegs, traces: [trace(.held, settledAfter: 6)],
            decision: .reserve(until: 1_700_000_600_000), decidedAfter: 5, finishedAfter: 7)
        var page = try page(
            Explanation(id: id("o"), order: order, attempts: [reserved], saga: nil, retries: [], obstacles: []))
        #expect(page.state == "reserved" && page.summary == "What it needs is reserved until 2023-11-14T22:23:20.000Z.")
        #expect(page.attempts.map(\.outcome) == ["reserved"])
        #expect(page.attempts[0].steps.map(\.step) == ["begin", "hold", "decide", "reserve", "finish"])
        (order.attempt, order.status, order.reservation) = (2, .open, nil)
        let over = Attempt(
            number: 2, begun: 1_700_000_600_100, legs: order.stockLegs, traces: [trace(.held, settledAfter: 1)],
            decision: .abort(.reservationEnded(isExpired: true)), finishedAfter: 2)
        page = try self.page(
            Explanation(id: id("o"), order: order, attempts: [reserved, over], saga: nil, retries: [], obstacles: []))
        #expect(page.summary == "Its reservation is over.")
        #expect(page.attempts.map(\.outcome) == ["reserved", "given_back"])
    }

    @Test func `refunds are told, those that are open among them`() throws {
        var order = order
        (order.status, order.refunds) = (.paid, 2)
        let refunds = [Int64(5_000), nil].enumerated().map { index, finished in
            Refund(
                id: RefundID(order: id("o"), incarnation: 1, number: UInt32(index + 1)), user: id("u"),
                lines: [OrderLine(item: id("x"), units: Amount(1), price: Amount(350))], amount: Amount(350), restock: true,
                reason: "broken", begun: 4_000, finished: finished)
        }
        let page = try page(
            Explanation(
                id: id("o"), order: order, attempts: [], saga: nil, retries: [], obstacles: [], refunds: refunds))
        #expect(page.refunds.map(\.number) == [1, 2] && page.refunds.map(\.amount) == [3.5, 3.5])
        #expect(page.refunds.map(\.finished) == ["1970-01-01T00:00:05.000Z", nil])
    }

    @Test func `a direct payment is named, and nobody is asked for more`() throws {
        func page(_ amount: Int64, isCancelled: Bool = false, incarnation: UInt64? = 1) throws -> Page {
            let payment = DirectPayment(
                amount: Amount(amount), isCancelled: isCancelled, generation: 0, earlier: .zero, incarnation: incarnation)
            return try self.page(
                Explanation(
                    id: id("o"), order: order, attempts: [], saga: nil, retries: [],
                    obstacles: [.paidDirectly(order: id("o"))], payment: .made(payment)))
        }
        let part = try page(1)
        #expect(part.direct_payment.state == "standing" && part.direct_payment.amount == 0.01)
        #expect(part.summary.contains("A direct payment of 0.01 stands for it, less than its total of 7."))
        #expect(part.to_succeed == ["A direct payment stands for the order: cancel it, or leave it at that."])
        #expect(try page(700).summary.contains("so it is paid, without a checkout"))
        #expect(try page(700, isCancelled: true).direct_payment.state == "cancelled")
        #expect(try page(700, incarnation: 2).direct_payment.state == "none", "it was for another order of this id")
    }

    @Test func `an order without items, and one that was never checked out, say so`() throws {
        let empty = Order(user: id("u"), incarnation: 1)
        let nothing = try page(Explanation(id: id("o"), order: empty, attempts: [], saga: nil, retries: [], obstacles: []))
        #expect(nothing.to_succeed == ["Add an item."])
        let fresh = try page(Explanation(id: id("o"), order: order, attempts: [], saga: nil, retries: [], obstacles: []))
        #expect(fresh.summary == "The order was not checked out yet." && fresh.to_succeed == [])
    }

    @Test func `moments are those of the calendar`() {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var moments: [Int64] = [0, 951_782_399_999, 951_782_400_000, 1_709_251_199_001, 4_102_444_800_000, -1]
        moments += (0..<400).map { $0 * 39_916_801_117 - 3_000_000_000_000 }
        for moment in moments {
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(moment) / 1_000))
            #expect(Timestamp(moment).text == expected)
        }
    }
}
