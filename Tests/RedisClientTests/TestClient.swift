// A client under test: what tests say to it from their own threads, and hear back by waiting.

import NIOCore
import NIOPosix
import Synchronization

@testable import RedisClient

/// The loops outlive their tests: starting threads for each would be most of the work.
let testLoops = MultiThreadedEventLoopGroup(numberOfThreads: 2)

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

typealias Outcome = Result<[RESPValue], RedisClientError>

/// Sends from any thread to a client on a loop.
struct TestClient: Sendable {
    let loop: any EventLoop
    let client: NIOLoopBound<RedisClient>
    /// How often the client said that something changed.
    let changes: Changes

    final class Changes: Sendable {
        private let value = Mutex(0)
        func count() { value.withLock { $0 += 1 } }
        var counted: Int { value.withLock { $0 } }
    }

    /// A client that has not started.
    init(_ options: RedisOptions, log: @escaping @Sendable (String, [String: String]) -> Void = { _, _ in }) throws {
        let loop = testLoops.next()
        let changes = Changes()
        self.loop = loop
        self.changes = changes
        client = try loop.submit {
            let client = RedisClient(options, on: loop, log: log)
            client.didChange = { _ in changes.count() }
            return NIOLoopBound(client, eventLoop: loop)
        }.wait()
    }

    func start(seconds: Int64 = 10) throws {
        let started = loop.makePromise(of: Void.self)
        loop.execute {
            client.value.start(deadline: .now() + .seconds(seconds)) { started.completeWith($0.mapError { $0 as any Error }) }
        }
        try started.futureResult.within(seconds: seconds + 10).wait()
    }

    /// Sends requests in one turn of the event loop.
    func sendAll(
        _ requests: [[RedisCommand]], then trailer: RedisCommand? = nil, key: String = "", lane: RedisLane = .writes,
        seconds: Double = 10
    ) throws -> [Outcome] {
        try begin(requests, then: trailer, key: key, lane: lane, seconds: seconds).within(seconds: 30).wait()
    }

    func begin(
        _ requests: [[RedisCommand]], then trailer: RedisCommand? = nil, key: String = "", lane: RedisLane = .writes,
        seconds: Double = 10
    ) -> EventLoopFuture<[Outcome]> {
        let promises = requests.map { _ in loop.makePromise(of: Outcome.self) }
        loop.execute {
            let client = client.value
            let deadline = NIODeadline.now() + .milliseconds(Int64(seconds * 1_000))
            for (request, promise) in zip(requests, promises) {
                client.send(request, then: trailer, slot: HashSlot.of(key.utf8), lane: lane, deadline: deadline) {
                    promise.succeed($0)
                }
            }
        }
        return EventLoopFuture.whenAllSucceed(promises.map(\.futureResult), on: loop)
    }

    /// Sends one command as a request.
    func send(_ words: String..., lane: RedisLane = .writes, seconds: Double = 10) throws -> Outcome {
        let command = RedisCommand(words[0], arguments: Array(words.dropFirst()))
        return try sendAll([[command]], key: words.count > 1 ? words[1] : "", lane: lane, seconds: seconds)[0]
    }

    func sendToAllMasters(_ words: String..., seconds: Int64 = 10) throws -> [(RedisAddress, Outcome)] {
        let command = RedisCommand(words[0], arguments: Array(words.dropFirst()))
        let promise = loop.makePromise(of: [(RedisAddress, Outcome)].self)
        loop.execute {
            client.value.sendToAllMasters([command], deadline: .now() + .seconds(seconds)) { promise.succeed($0) }
        }
        return try promise.futureResult.within(seconds: 30).wait()
    }

    func close() throws {
        let closed = loop.makePromise(of: Void.self)
        loop.execute { client.value.close { closed.succeed() } }
        try closed.futureResult.within(seconds: 10).wait()
    }
}

/// Runs a test with a client that has started, and closes it.
func withClient(
    _ options: RedisOptions, log: @escaping @Sendable (String, [String: String]) -> Void = { _, _ in },
    _ body: (TestClient) throws -> Void
) throws {
    let client = try TestClient(options, log: log)
    let outcome = Result {
        try client.start()
        try body(client)
    }
    try client.close()
    try outcome.get()
}

extension EventLoopFuture where Value: Sendable {
    /// Fails if it takes longer: a test that hangs says so.
    func within(seconds: Int64) -> EventLoopFuture<Value> {
        let promise = eventLoop.makePromise(of: Value.self)
        let timer = eventLoop.scheduleTask(in: .seconds(seconds)) {
            promise.fail(TestFailure("nothing happened for \(seconds) s"))
        }
        whenComplete { result in
            timer.cancel()
            promise.completeWith(result)
        }
        return promise.futureResult
    }
}

extension Result where Success == [RESPValue], Failure == RedisClientError {
    var replies: [RESPValue]? { try? get() }

    var isUnknown: Bool {
        if case .failure(.unknown) = self { return true }
        return false
    }

    var isNotSent: Bool {
        if case .failure(.notSent) = self { return true }
        return false
    }
}

/// What a server answers that has nothing to say.
func ok(_ count: Int = 1) -> [RESPValue] { Array(repeating: .simple("OK"), count: count) }

/// Units on the key `a`.
let write = [RedisCommand("SET", "a", "1"), RedisCommand("WAIT", "1", "100")]
let read = [RedisCommand("GET", "a")]
