// A server on loopback that answers from a script and remembers what it was asked.

import NIOCore
import NIOPosix
import Synchronization

@testable import RedisClient

/// What the scripted server does about a command.
enum FakeAnswer {
    /// These bytes, as they are.
    case reply(String)
    /// These bytes, then the server closes the connection.
    case replyAndClose(String)
    /// Closes the connection.
    case close
    /// Closes its side, and goes on reading.
    case closeOutput
    /// Says nothing.
    case silence
}

/// A command that came, and on which connection.
struct FakeRequest {
    /// Counted from 0.
    let connection: Int
    let words: [String]
}

/// Counts from one turn of a script to the next.
final class Turns: Sendable {
    private let value = Mutex(0)
    func next() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }
}

/// Answers commands from a script. `HELLO` and `CLUSTER` are answered for a store that is no cluster, unless the script
/// answers them.
final class FakeServer: Sendable {
    typealias Script = @Sendable (FakeRequest) -> FakeAnswer?

    private let channel: any Channel
    private let record: FakeRecord
    let address: RedisAddress

    init(_ script: @escaping Script) throws {
        let record = FakeRecord()
        self.record = record
        channel = try ServerBootstrap(group: testLoops)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FakeHandler(record, script, number: record.number(channel)))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        address = RedisAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)
    }

    var options: RedisOptions { RedisOptions(seeds: [address], name: "test") }

    func stop() throws { try channel.close().wait() }

    /// Closes the connections that are there.
    func dropConnections() {
        for channel in record.channels { try? channel.close().wait() }
    }

    /// Commands other than those of the handshake and of discovery.
    var requests: [FakeRequest] { record.requests.filter { $0.words[0] != "HELLO" && $0.words[0] != "CLUSTER" } }

    /// Their names.
    var names: [String] { requests.map { $0.words[0] } }

    /// Waits until so many commands of that name have come.
    func waitFor(_ count: Int, _ word: String) throws {
        try record.wait(count, word).within(seconds: 10).wait()
    }
}

/// The commands that came, and who waits for more.
private final class FakeRecord: Sendable {
    private struct Waiter {
        let count: Int
        let word: String
        let promise: EventLoopPromise<Void>
    }

    private struct State {
        var requests: [FakeRequest] = []
        var channels: [any Channel] = []
        var waiters: [Waiter] = []

        mutating func takeSatisfied() -> [Waiter] {
            let satisfied = waiters.filter { waiter in
                requests.count { $0.words[0] == waiter.word } >= waiter.count
            }
            waiters.removeAll { waiter in satisfied.contains { $0.promise.futureResult === waiter.promise.futureResult } }
            return satisfied
        }
    }

    private let state = Mutex(State())

    var requests: [FakeRequest] { state.withLock { $0.requests } }

    var channels: [any Channel] { state.withLock { $0.channels } }

    func number(_ channel: any Channel) -> Int {
        state.withLock { state in
            state.channels.append(channel)
            return state.channels.count - 1
        }
    }

    func note(_ request: FakeRequest) {
        let satisfied = state.withLock { state in
            state.requests.append(request)
            return state.takeSatisfied()
        }
        for waiter in satisfied { waiter.promise.succeed() }
    }

    func wait(_ count: Int, _ word: String) -> EventLoopFuture<Void> {
        let promise = testLoops.next().makePromise(of: Void.self)
        let satisfied = state.withLock { state in
            state.waiters.append(Waiter(count: count, word: word, promise: promise))
            return state.takeSatisfied()
        }
        for waiter in satisfied { waiter.promise.succeed() }
        return promise.futureResult
    }
}

private final class FakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let record: FakeRecord
    private let script: FakeServer.Script
    private let number: Int
    private var stream = RESPStream(maximumBytes: 1_000_000)

    init(_ record: FakeRecord, _ script: @escaping FakeServer.Script, number: Int) {
        self.record = record
        self.script = script
        self.number = number
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        stream.append(FakeHandler.unwrapInboundIn(data))
        while let command = try? stream.next() {
            let request = FakeRequest(connection: number, words: (command.elements ?? []).map { $0.string ?? "" })
            record.note(request)
            perform(script(request) ?? FakeHandler.usual(request), context.channel)
        }
    }

    private static func usual(_ request: FakeRequest) -> FakeAnswer {
        switch request.words[0] {
        case "HELLO": .reply("%1\r\n+proto\r\n:3\r\n")
        case "CLUSTER": .reply("-ERR This instance has cluster support disabled\r\n")
        default: .silence
        }
    }

    private func perform(_ answer: FakeAnswer, _ channel: any Channel) {
        switch answer {
        case .silence: break
        case .reply(let text): channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
        case .replyAndClose(let text):
            channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
            channel.close(promise: nil)
        case .close: channel.close(promise: nil)
        case .closeOutput: channel.close(mode: .output, promise: nil)
        }
    }
}
