// The state machines without I/O: which replies belong to whom, when patience ends, when is connected.

import NIOCore
import Testing

@testable import KontorRedis

private func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }

private func unit(
    _ count: Int = 1, then trailer: RedisCommand? = nil, deadline: NIODeadline = .distantFuture
) -> RedisUnit {
    RedisUnit(
        Array(repeating: RedisCommand("PING"), count: count), then: trailer, slot: 0, lane: .writes, deadline: deadline
    ) { _ in }
}

extension RedisPipeline {
    fileprivate mutating func end() {
        let trailer = endTurn(now: time(0))
        #expect(trailer == nil)
    }
}

@Suite struct PipelineTests {
    @Test func `replies belong to units in order, those to ASKING to nobody`() {
        var pipeline = RedisPipeline()
        let units = [unit(2), unit(1)]
        pipeline.append(units[0], isAsking: true, now: time(0))
        pipeline.append(units[1], isAsking: false, now: time(0))
        pipeline.end()
        var finished: [RedisUnit] = []
        for number in 1...5 {
            if case .finished(let units) = pipeline.receive(.integer(Int64(number)), now: time(1)) { finished += units }
        }
        #expect(finished.map { $0 === units[0] } == [true, false])
        #expect(units.map(\.replies) == [[.integer(2), .integer(4)], [.integer(5)]])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
        guard case .unasked = pipeline.receive(.null, now: time(1)) else {
            Issue.record("a reply that nobody asked for is taken")
            return
        }
    }

    @Test func `one trailer ends all units of a turn that bear one, and is nobody's else`() {
        var pipeline = RedisPipeline()
        let wait = RedisCommand("WAIT", "1", "100")
        let units = [unit(then: wait), unit(), unit(then: wait)]
        let later = unit(then: wait)
        for unit in units { pipeline.append(unit, isAsking: false, now: time(0)) }
        let trailers = [pipeline.endTurn(now: time(0)), pipeline.endTurn(now: time(0))]
        #expect(trailers.map { $0?.encoded } == [wait.encoded, nil])
        pipeline.append(later, isAsking: false, now: time(0))
        var finished: [[RedisUnit]] = []
        for number in 1...4 {
            if case .finished(let units) = pipeline.receive(.integer(Int64(number)), now: time(1)) { finished.append(units) }
        }
        #expect(finished.map(\.count) == [1, 2])
        #expect(units.map(\.replies) == [[.integer(1), .integer(4)], [.integer(2)], [.integer(3), .integer(4)]])
        #expect(pipeline.count == 1 && later.replies.isEmpty)
    }

    @Test func `units whose trailer was not answered are lost with their connection`() {
        var pipeline = RedisPipeline()
        let wait = RedisCommand("WAIT", "1", "100")
        let units = [unit(then: wait), unit(then: wait), unit(then: wait)]
        for unit in units.prefix(2) { pipeline.append(unit, isAsking: false, now: time(0)) }
        _ = pipeline.endTurn(now: time(0))
        pipeline.append(units[2], isAsking: false, now: time(0))
        _ = pipeline.receive(.integer(1), now: time(1))
        let (sent, unsent) = pipeline.drain()
        #expect(sent.map { unit in units.firstIndex { $0 === unit } } == [0, 1])
        #expect(unsent.map { unit in units.firstIndex { $0 === unit } } == [2])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
    }

    @Test func `what was not written is not counted as sent, and cannot be answered`() {
        var pipeline = RedisPipeline()
        let units = [unit(), unit(), unit()]
        pipeline.append(units[0], isAsking: false, now: time(0))
        pipeline.end()
        pipeline.append(units[1], isAsking: false, now: time(0))
        pipeline.append(units[2], isAsking: false, now: time(0))
        _ = pipeline.receive(.null, now: time(0))
        guard case .unasked = pipeline.receive(.null, now: time(0)) else {
            Issue.record("a unit that was not written is answered")
            return
        }
        let (sent, unsent) = pipeline.drain()
        #expect(sent.isEmpty && unsent.count == 2 && unsent[0] === units[1] && unsent[1] === units[2])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
    }

    @Test func `patience begins anew with each answer, but not for ever`() {
        var pipeline = RedisPipeline()
        let patience = TimeAmount.milliseconds(100)
        #expect(pipeline.patienceEnds(patience) == nil)
        for _ in 0..<3 { pipeline.append(unit(), isAsking: false, now: time(1_000)) }
        pipeline.end()
        #expect(pipeline.patienceEnds(patience) == time(1_100))
        _ = pipeline.receive(.null, now: time(1_090))
        #expect(pipeline.patienceEnds(patience) == time(1_190))
        _ = pipeline.receive(.null, now: time(1_390))
        #expect(pipeline.patienceEnds(patience) == time(1_400))
    }
}

@Suite struct LinkStateTests {
    private let backoff = RedisBackoff(baseMilliseconds: 10, capMilliseconds: 40) { $0 }

    private func state() -> RedisLinkState { RedisLinkState(maximumUnits: 3, maximumBytes: 1_000) }

    @Test func `the first unit connects, the others wait, and too many are refused`() {
        var state = state()
        var seen: [String] = []
        for _ in 0..<4 {
            switch state.submit(unit(), sentUnits: 0, sentBytes: 0) {
            case .connect: seen.append("connect")
            case .wait: seen.append("wait")
            case .send: seen.append("send")
            case .refuse: seen.append("refuse")
            }
        }
        #expect(seen == ["connect", "wait", "wait", "refuse"])
        let isAnother = state.didConnect()
        #expect(!isAnother)
        #expect(state.takeWaiting().count == 3)
        guard case .send = state.submit(unit(), sentUnits: 2, sentBytes: 0),
            case .refuse = state.submit(unit(), sentUnits: 3, sentBytes: 0),
            case .refuse = state.submit(unit(), sentUnits: 0, sentBytes: 999)
        else {
            Issue.record("what was sent does not count")
            return
        }
    }

    @Test func `pauses grow while it fails, and a connection after a failure is another`() {
        var state = state()
        let pauses = (0..<4).map { _ in state.didLose(backoff) }
        #expect(pauses == [10, 20, 40, 40])
        #expect(state.isFailing && !state.hasBegunToFail)
        let connects = [state.didPause(), state.didPause()]
        #expect(connects == [true, false])
        let isAnother = state.didConnect()
        #expect(isAnother && !state.isFailing)
        state.retire()
        let pause = state.didLose(backoff)
        #expect(pause == nil)
    }

    @Test func `units that are taken out leave the others in order`() {
        var state = state()
        let units = [unit(deadline: time(1)), unit(), unit(deadline: time(2))]
        for unit in units { _ = state.submit(unit, sentUnits: 0, sentBytes: 0) }
        let late = state.takeWaiting { $0.deadline <= time(1) }
        #expect(late.count == 1 && late[0] === units[0])
        let left = state.takeWaiting()
        #expect(left.count == 2 && left[0] === units[1] && left[1] === units[2] && !state.hasWaiting)
    }
}
