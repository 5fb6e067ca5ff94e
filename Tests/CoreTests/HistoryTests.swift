import TestSupport
import Testing

@testable import KontorCore

@Suite("An order's history")
struct HistoryTests {
    private let lack = AbortReason.insufficient(account: GroupKey(.item, id("a")), wanted: Amount(1), left: .zero)

    private func begin(_ book: inout OrderBook, at now: Int64) throws -> SagaRecord {
        guard case .begun(let saga) = book.do(.begin(now: now, deadline: now + 5_000, nil)) else {
            throw NotBegun()
        }
        return saga
    }

    private struct NotBegun: Error {}

    private func trace(_ after: UInt32, _ holds: [LegTrace.Hold], settledAfter: UInt32? = nil) -> SagaTrace {
        SagaTrace(
            after: after,
            legs: holds.map { hold in
                var trace = LegTrace()
                trace.hold = hold
                trace.holdAfter = 2
                trace.settledAfter = settledAfter
                return trace
            })
    }

    @Test("it says when each attempt began, was decided and ended, how its holds went and what it wanted")
    func story() throws {
        var book = OrderBook(items: ["a"])
        let first = try begin(&book, at: 1_000)
        book.do(.decide(first.id, .abort(lack), trace(3, [.refused, .held])))
        book.do(.finish(first.id, trace(5, [.refused, .held], settledAfter: 4)))
        book.do(.addItem(OrderLine(item: id("b"), units: Amount(1), price: Amount(100))))
        let second = try begin(&book, at: 2_000)
        book.do(.decide(second.id, .commit, trace(1, [.held, .held, .held])))
        book.do(.finish(second.id, trace(2, [.held, .held, .held], settledAfter: 2)))
        let history = try #require(book.state?.history.attempts)
        #expect(history.map(\.number) == [1, 2])
        #expect(history.map(\.begun) == [1_000, 2_000])
        #expect(history.map(\.decision) == [.abort(lack), .commit])
        #expect(history.map(\.decidedAfter) == [3, 1])
        #expect(history.map(\.finishedAfter) == [5, 2])
        #expect(history[0].legs == first.legs, "the order has changed since")
        #expect(history[1].legs == nil, "they are those of the paid order")
        #expect(history[0].traces.map(\.hold) == [.refused, .held])
        #expect(history[0].traces.map(\.holdAfter) == [2, 2])
        #expect(history[0].traces.map(\.settledAfter) == [4, 4])
    }

    @Test("it is bounded, and the oldest attempts go first")
    func bounded() throws {
        var book = OrderBook(items: ["a"])
        for attempt in 1...20 {
            let saga = try begin(&book, at: Int64(attempt))
            book.do(.decide(saga.id, .abort(lack)))
            book.do(.finish(saga.id))
        }
        #expect(book.state?.history.attempts.map(\.number) == Array(13...20))
    }

    @Test("what an attempt wanted is remembered also when it was tried again, and the order was changed after that")
    func retriedThenChanged() throws {
        var book = OrderBook(items: ["a"])
        let first = try begin(&book, at: 1_000)
        book.do(.decide(first.id, .retryInOrder, trace(1, [.contended, .held])))
        guard case .begun(let second) = book.do(.beginAgain(first.id, trace(2, [.contended, .held], settledAfter: 2))) else {
            throw NotBegun()
        }
        book.do(.decide(second.id, .abort(lack), trace(3, [.refused, .held])))
        book.do(.finish(second.id, trace(4, [.refused, .held], settledAfter: 4)))
        book.do(.addItem(OrderLine(item: id("b"), units: Amount(7), price: Amount(100))))
        #expect(book.state?.history.attempts.map(\.legs) == [first.legs, first.legs])
        #expect(book.state?.history.attempts.map(\.finishedAfter) == [2, 4])
    }

    @Test("whoever ends an attempt after a crash does not take away what its decision told")
    func endedByAnother() throws {
        var book = OrderBook(items: ["a"])
        let saga = try begin(&book, at: 1_000)
        book.do(.decide(saga.id, .commit, trace(1, [.held, .held])))
        book.do(.finish(saga.id, trace(900, [.notAsked, .notAsked], settledAfter: 800)))
        let attempt = try #require(book.state?.history.attempts.first)
        #expect(attempt.traces.map(\.hold) == [.held, .held])
        #expect(attempt.traces.map(\.settledAfter) == [800, 800])
    }

    @Test("large attempts are forgotten before they make the order's record heavy, the latest never")
    func bytes() throws {
        var book = OrderBook(items: (0..<200).map { "item-with-a-rather-long-name-\($0)" })
        for attempt in 1...5 {
            let saga = try begin(&book, at: Int64(attempt))
            book.do(.decide(saga.id, .abort(lack), trace(1, Array(repeating: .held, count: saga.legs.count))))
            book.do(.finish(saga.id, trace(2, Array(repeating: .held, count: saga.legs.count), settledAfter: 2)))
            #expect(book.state?.history.attempts.map(\.number) == [UInt32(attempt)])
            #expect(book.state?.history.attempts.first?.legs?.count == 201)
        }
    }

    @Test("it survives its bytes, and bytes that a newer release wrote end the story")
    func coding() throws {
        var book = OrderBook(items: ["a", "b"])
        for decision in [Decision.abort(lack), .abort(.contended(account: GroupKey(.user, id("u")))), .commit] {
            let saga = try begin(&book, at: 1_700_000_000_000)
            try expectWhole(book)
            book.do(.decide(saga.id, decision, trace(300, [.held, .silent, .contended])))
            try expectWhole(book)
            book.do(.finish(saga.id, trace(400, [.held, .notAsked, .contended], settledAfter: 9)))
            try expectWhole(book)
        }
        let whole = try #require(book.state?.history)
        #expect(whole.attempts.count == 3)
        for end in 0..<whole.bytes.count { #expect(History(bytes: Array(whole.bytes[..<end])).attempts.count <= 3) }
        #expect(History(bytes: whole.bytes + [2, 77, 0]).attempts == whole.attempts)
    }

    private func expectWhole(_ book: OrderBook) throws {
        for record in book.records.values {
            var writer = ByteWriter()
            record.encode(into: &writer)
            #expect(try Record(decoding: writer.bytes[...]) == record)
        }
    }

    @Test("records of the format before are read: orders without history, sagas without begin and key")
    func olderFormat() throws {
        var order = ByteWriter()
        order.byte(1)
        order.byte(4)
        order.text("u")
        order.fixed(UInt64(7))
        for varint: UInt64 in [3, 3, 500, 1] { order.varint(varint) }
        order.text("a")
        order.varint(2)
        order.varint(250)
        guard case .order(let read) = try Record(decoding: order.bytes[...]) else { throw NotBegun() }
        #expect(read.status == .paid && read.attempt == 3 && read.total == Amount(500) && read.history.attempts == [])
        #expect(read.lines == [OrderLine(item: id("a"), units: Amount(2), price: Amount(250))])

        var saga = ByteWriter()
        saga.byte(1)
        saga.byte(5)
        saga.text("o")
        saga.fixed(UInt64(7))
        saga.varint(3)
        saga.fixed(Int64(9_000))
        saga.varint(1)
        saga.byte(1)
        saga.text("a")
        saga.varint(2)
        saga.byte(4)
        guard case .saga(let resumed) = try Record(decoding: saga.bytes[...]) else { throw NotBegun() }
        #expect(resumed.phase == .committed && resumed.deadline == 9_000 && resumed.begun == 4_000 && resumed.claim == nil)
        #expect(resumed.legs == [Leg(account: GroupKey(.item, id("a")), amount: Amount(2))])
    }
}
