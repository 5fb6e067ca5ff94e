// The state machines without I/O: which replies belong to which request, when a connection times out, when one is made.

import NIOCore
import Testing

@testable import RedisClient

private func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }

private func request(
    _ count: Int = 1, then trailer: RedisCommand? = nil, deadline: NIODeadline = .distantFuture
) -> RedisRequest {
    RedisRequest(
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
    @Test func `replies belong to requests in order, those to ASKING to nobody`() {
        var pipeline = RedisPipeline()
        let requests = [request(2), request(1)]
        pipeline.append(requests[0], isAsking: true, now: time(0))
        pipeline.append(requests[1], isAsking: false, now: time(0))
        pipeline.end()
        var finished: [RedisRequest] = []
        for number in 1...5 {
            if case .finished(let requests) = pipeline.receive(.integer(Int64(number)), now: time(1)) { finished += requests }
        }
        #expect(finished.map { $0 === requests[0] } == [true, false])
        #expect(requests.map(\.replies) == [[.integer(2), .integer(4)], [.integer(5)]])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
        guard case .unasked = pipeline.receive(.null, now: time(1)) else {
            Issue.record("a reply that nobody asked for is taken")
            return
        }
    }

    @Test func `one trailer ends all requests of a turn that bear one, and is nobody's else`() {
        var pipeline = RedisPipeline()
        let wait = RedisCommand("WAIT", "1", "100")
        let requests = [request(then: wait), request(), request(then: wait)]
        let later = request(then: wait)
        for request in requests { pipeline.append(request, isAsking: false, now: time(0)) }
        let trailers = [pipeline.endTurn(now: time(0)), pipeline.endTurn(now: time(0))]
        #expect(trailers.map { $0?.encoded } == [wait.encoded, nil])
        pipeline.append(later, isAsking: false, now: time(0))
        var finished: [[RedisRequest]] = []
        for number in 1...4 {
            if case .finished(let requests) = pipeline.receive(.integer(Int64(number)), now: time(1)) {
                finished.append(requests)
            }
        }
        #expect(finished.map(\.count) == [1, 2])
        #expect(requests.map(\.replies) == [[.integer(1), .integer(4)], [.integer(2)], [.integer(3), .integer(4)]])
        #expect(pipeline.count == 1 && later.replies.isEmpty)
    }

    @Test func `requests whose trailer was not answered are lost with their connection`() {
        var pipeline = RedisPipeline()
        let wait = RedisCommand("WAIT", "1", "100")
        let requests = [request(then: wait), request(then: wait), request(then: wait)]
        for request in requests.prefix(2) { pipeline.append(request, isAsking: false, now: time(0)) }
        _ = pipeline.endTurn(now: time(0))
        pipeline.append(requests[2], isAsking: false, now: time(0))
        _ = pipeline.receive(.integer(1), now: time(1))
        let (sent, unsent) = pipeline.drain()
        #expect(sent.map { request in requests.firstIndex { $0 === request } } == [0, 1])
        #expect(unsent.map { request in requests.firstIndex { $0 === request } } == [2])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
    }

    @Test func `what was not written is not counted as sent, and cannot be answered`() {
        var pipeline = RedisPipeline()
        let requests = [request(), request(), request()]
        pipeline.append(requests[0], isAsking: false, now: time(0))
        pipeline.end()
        pipeline.append(requests[1], isAsking: false, now: time(0))
        pipeline.append(requests[2], isAsking: false, now: time(0))
        _ = pipeline.receive(.null, now: time(0))
        guard case .unasked = pipeline.receive(.null, now: time(0)) else {
            Issue.record("a request that was not written is answered")
            return
        }
        let (sent, unsent) = pipeline.drain()
        #expect(sent.isEmpty && unsent.count == 2 && unsent[0] === requests[1] && unsent[1] === requests[2])
        #expect(pipeline.count == 0 && pipeline.byteCount == 0)
    }

    @Test func `the timeout begins anew with each answer, but not for ever`() {
        var pipeline = RedisPipeline()
        let timeout = TimeAmount.milliseconds(100)
        #expect(pipeline.timesOut(after: timeout) == nil)
        for _ in 0..<3 { pipeline.append(request(), isAsking: false, now: time(1_000)) }
        pipeline.end()
        #expect(pipeline.timesOut(after: timeout) == time(1_100))
        _ = pipeline.receive(.null, now: time(1_090))
        #expect(pipeline.timesOut(after: timeout) == time(1_190))
        _ = pipeline.receive(.null, now: time(1_390))
        #expect(pipeline.timesOut(after: timeout) == time(1_400))
    }
}

@Suite struct ReconnectingConnectionTests {
    private let backoff = Backoff(baseMilliseconds: 10, capMilliseconds: 40) { $0 }

    private func state() -> ReconnectingConnection.StateMachine {
        ReconnectingConnection.StateMachine(maximumRequests: 3, maximumBytes: 1_000)
    }

    @Test func `the first request connects, the others wait, and too many are refused`() {
        var state = state()
        var seen: [String] = []
        for _ in 0..<4 {
            switch state.submit(request(), sentRequests: 0, sentBytes: 0) {
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
        guard case .send = state.submit(request(), sentRequests: 2, sentBytes: 0),
            case .refuse = state.submit(request(), sentRequests: 3, sentBytes: 0),
            case .refuse = state.submit(request(), sentRequests: 0, sentBytes: 999)
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

    @Test func `requests that are taken out leave the others in order`() {
        var state = state()
        let requests = [request(deadline: time(1)), request(), request(deadline: time(2))]
        for request in requests { _ = state.submit(request, sentRequests: 0, sentBytes: 0) }
        let late = state.takeWaiting { $0.deadline <= time(1) }
        #expect(late.count == 1 && late[0] === requests[0])
        let left = state.takeWaiting()
        #expect(left.count == 2 && left[0] === requests[1] && left[1] === requests[2] && !state.hasWaiting)
    }
}
