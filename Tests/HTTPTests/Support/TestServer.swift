// A listener on an ephemeral port, in front of a shop that answers from a script, with a clock that tests can move.

import KontorCore
import KontorService
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import KontorHTTP

/// What a shop answers; nil holds the request back until the test answers.
struct Script: Sendable {
    let answer: @Sendable (ShopRequest) -> ShopAnswer?
    init(_ answer: @escaping @Sendable (ShopRequest) -> ShopAnswer?) { self.answer = answer }
}

/// Answers each request with what its script says, or holds it until the test answers.
final class ScriptedShop: RequestPort {
    struct Submission: Sendable {
        let request: ShopRequest
        let name: WriteName?
        let deadline: Int64
        let caller: any Caller
    }

    private struct State {
        var submissions: [Submission] = []
        let script: Script
        /// Requests that it takes.
        var room = 1_000_000
        var refusals = 0
        /// What it says to every request; nil: it takes those that it has room for.
        var refusal: Intake?
        var gone = 0
    }

    let sink = HTTPAnswerSink()
    private let state: Mutex<State>

    init(_ script: Script) { state = Mutex(State(script: script)) }

    var room: Int { state.withLock { $0.room } }

    var submissions: [Submission] { state.withLock { $0.submissions } }

    func refuseEverything() { setRoom(0) }

    /// Refuses every request, as a shop that starts or ends does.
    func refuse(as refusal: Intake) { state.withLock { $0.refusal = refusal } }

    func setRoom(_ room: Int) { state.withLock { $0.room = room } }

    func didShedCheckout() {}

    /// Callers that gave up.
    var gone: Int { state.withLock { $0.gone } }

    func didGiveUp(_ caller: any Caller) {
        state.withLock {
            $0.gone += 1
            $0.room += 1
        }
    }

    /// Requests that came and were not taken.
    var refusals: Int { state.withLock { $0.refusals } }

    func submit(_ request: ShopRequest, name: WriteName?, deadline: Int64, caller: any Caller) -> Intake {
        let (intake, answer) = state.withLock { state -> (Intake, ShopAnswer?) in
            if let refusal = state.refusal { return (refusal, nil) }
            if state.room == 0 {
                state.refusals += 1
                return (.full, nil)
            }
            state.room -= 1
            state.submissions.append(Submission(request: request, name: name, deadline: deadline, caller: caller))
            return (.taken, state.script.answer(request))
        }
        if let answer { sink.deliver([(caller, answer)]) }
        return intake
    }

    /// Waits until so many requests have come, and returns them.
    func waitForSubmissions(_ count: Int) throws -> [Submission] {
        for _ in 0..<2_000 {
            let submissions = submissions
            if submissions.count >= count { return submissions }
            // Until the next look.
            sleepMilliseconds(2)
        }
        throw TestFailure("\(count) requests did not come")
    }
}

/// Stands still until a test moves it, so that no test depends on how busy the machine is.
final class TestClock: Sendable {
    private let time = Mutex<Int64>(1_000_000)

    var monotonicMilliseconds: Int64 { time.withLock { $0 } }

    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

struct TestServer {
    let shop: ScriptedShop
    let clock: TestClock
    let listener: HTTPListener
    let loop: any EventLoop

    func client() throws -> RawClient { try RawClient(port: listener.port) }

    /// Waits until the server has read what was sent to it, and has looked at its clock and its connections since.
    ///
    /// The event loop runs its tasks in the order of their times, and reads its sockets between them. The look that was
    /// due when this began comes before a task that is due later than one period.
    func settle() throws {
        // On a busy machine all may be due at once: a connection is accepted between the first two, and read after.
        for milliseconds in [HTTPLimits.sweepMilliseconds + 1, 1, 1] {
            try loop.flatSubmit { [loop] in loop.scheduleTask(in: .milliseconds(milliseconds)) {}.futureResult }.wait()
        }
    }

    /// Time passes behind what was sent, and the server has noticed.
    func pass(milliseconds: Int64) throws {
        try settle()
        clock.advance(milliseconds: milliseconds)
        try settle()
    }

    /// One request on a connection of its own.
    func exchange(_ method: String, _ path: String, headers: [String] = [], host: String = "test") throws -> RawResponse {
        let client = try client()
        return try client.exchange(method, path, headers: headers, host: host)
    }
}

/// The group outlives its tests: starting threads for each would be most of the work.
private let testGroup = MultiThreadedEventLoopGroup(numberOfThreads: 2)

func withServer(
    access: AccessControl = AccessControl(), pages: [String: OperatorEndpoint] = [:], hasShop: Bool = true,
    maximumConnections: Int = 1_000, isReady: Bool = true,
    script: Script = Script { _ in .ledger(.done) }, metrics: HTTPMetrics = HTTPMetrics(),
    _ body: (TestServer) throws -> Void
) throws {
    let shop = ScriptedShop(script)
    let clock = TestClock()
    let service = HTTPService(
        shop: hasShop ? shop : nil, access: access, pages: pages, maximumConnections: maximumConnections, isReady: { isReady },
        monotonicMilliseconds: { clock.monotonicMilliseconds }, metrics: metrics)
    // One event loop: bounds are shared out among those that a listener has.
    let loop = testGroup.next()
    let listener = try HTTPListener.bind(host: "127.0.0.1", port: 0, group: loop, service: service).wait()
    let outcome = Result { try body(TestServer(shop: shop, clock: clock, listener: listener, loop: loop)) }
    try listener.shutdown(withinMilliseconds: 0).wait()
    try outcome.get()
}
