// One event loop with servers and clients on it, as a process has them.
//
// `@unchecked Sendable` here: used within `on` and `eventually` only, which run on that event loop.

import KontorCore
import KontorService
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport
import Testing

@testable import KontorLink

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

let testLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()

/// Does something in one turn of the event loop.
func on<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await testLoop.submit(body).get()
}

/// Waits until something is true, which is looked at on the event loop.
func eventually(_ what: String, _ condition: @escaping @Sendable () -> Bool) async throws {
    let promise = testLoop.makePromise(of: Void.self)
    let end = NIODeadline.now() + .seconds(20)
    @Sendable func look() {
        if condition() { return promise.succeed() }
        if NIODeadline.now() > end { return promise.fail(TestFailure("it never came to this: \(what)")) }
        testLoop.scheduleTask(in: .milliseconds(2)) { look() }
    }
    testLoop.execute { look() }
    try await promise.futureResult.get()
}

func item(_ text: String) -> GroupKey { GroupKey(.item, id(text)) }
func user(_ text: String) -> GroupKey { GroupKey(.user, id(text)) }
func read(_ account: GroupKey) -> LedgerCommand { LedgerCommand(account, .read) }

/// A hold of one unit.
func hold(_ account: GroupKey, mayWait: Bool) -> LedgerCommand {
    LedgerCommand(account, .hold(SagaID(order: id("o"), incarnation: 1, attempt: 1), Amount(1), mayWait: mayWait))
}

let testSecret = "a secret of some length"

final class Logbook: @unchecked Sendable {
    private(set) var entries: [(event: String, details: [String: String])] = []

    func add(_ event: StaticString, _ details: [String: String]) { entries.append(("\(event)", details)) }

    func reasons(_ event: String) -> [String] { entries.filter { $0.event == event }.compactMap { $0.details["reason"] } }
}

final class Dice: RandomSource {
    private var generator = SystemRandomNumberGenerator()
    func next() -> UInt64 { generator.next() }
}

/// A request to a ledger that has come, and may be replied to.
struct Received {
    let origin: Message.Origin
    let command: LedgerCommand
    let deadline: Int64
    let server: LinkServer

    func reply(_ reply: LedgerReply) { server.send(Message(origin, .ledgerReply(reply))) }
}

/// Keeps what comes, and replies what its script says.
final class FakeShop: MessageReceiver, @unchecked Sendable {
    /// To be set before anything comes.
    var server: LinkServer?
    /// How many requests came at once.
    private(set) var batches: [Int] = []
    private(set) var messages: [Received] = []
    private(set) var questions: [OrderCommand] = []
    var script: (Received) -> Void = { $0.reply(.decided(.done)) }

    var accounts: [GroupKey] { messages.map(\.command.account) }

    func receive(_ messages: [Message]) {
        guard let server else { return }
        batches.append(messages.count)
        for message in messages {
            switch message.body {
            case .command(let command, let deadline):
                let received = Received(origin: message.origin, command: command, deadline: deadline, server: server)
                self.messages.append(received)
                script(received)
            case .question(let command):
                questions.append(command)
                server.send(Message(message.origin, .orderReply(.decided(.unknownOrder))))
            case .ledgerReply, .orderReply: Issue.record("a server got a reply")
            }
        }
    }
}

/// A process with an internal listener: links, and HTTP that answers with the path it was asked for.
final class Service: @unchecked Sendable {
    let shop: FakeShop
    let log: Logbook
    let server: LinkServer
    let port: Int
    private let listener: any Channel

    static func start(
        port: Int = 0, secrets: SharedSecrets? = nil, epoch: String? = "shop 1", services: [String] = [],
        status: (@Sendable () -> PeerStatus)? = nil
    ) async throws -> Service {
        let shop = FakeShop()
        let log = Logbook()
        let secrets = try secrets ?? SharedSecrets(testSecret)
        let server = try await on {
            let server = LinkServer(
                secrets: secrets, epoch: { epoch }, services: services, status: status, receiver: shop, on: testLoop
            ) { log.add($0, $1) }
            shop.server = server
            return server
        }
        let listener = try await ServerBootstrap(group: testLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try server.sniff(channel) {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                        try channel.pipeline.syncOperations.addHandler(PathEcho())
                    }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return try await on { Service(server, shop, log, listener) }
    }

    private init(_ server: LinkServer, _ shop: FakeShop, _ log: Logbook, _ listener: any Channel) {
        self.server = server
        self.shop = shop
        self.log = log
        self.listener = listener
        port = listener.localAddress?.port ?? 0
    }

    /// As if the process were killed.
    func stop() async throws {
        try await listener.close().get()
        try await testLoop.flatSubmit { self.server.close() }.get()
    }
}

private final class PathEcho: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private var path = ""

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): path = "\(head.method) \(head.uri)"
        case .body: break
        case .end:
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Length": "\(path.utf8.count)"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: path)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

/// Another process, which sends to services and keeps the replies.
final class Caller: MessageReceiver, @unchecked Sendable {
    private let service: LinkClient.Service
    private let resolver: any LinkResolver
    private(set) lazy var client = LinkClient(service, on: testLoop, random: Dice(), receiver: self, resolver: resolver) {
        [log] in log.add($0, $1)
    }
    let log = Logbook()
    /// Called with each account of which a reply came.
    var replied: (GroupKey) -> Void = { _ in }
    private(set) var replies: [(account: GroupKey, reply: LedgerReply)] = []
    private(set) var answers: [OrderReply] = []
    private var asked: [GroupKey] = []

    static func start(
        _ ports: [Int], secrets: SharedSecrets? = nil, epoch: String = "shop 1",
        resolver: any LinkResolver = SystemResolver()
    ) async throws -> Caller {
        let secrets = try secrets ?? SharedSecrets(testSecret)
        let caller = try await on {
            Caller(ports.map { LinkURL(host: "127.0.0.1", port: $0) }, secrets, epoch, resolver)
        }
        try await on { caller.client.start() }
        return caller
    }

    private init(_ urls: [LinkURL], _ secrets: SharedSecrets, _ epoch: String, _ resolver: any LinkResolver) {
        service = LinkClient.Service(name: "stock", urls: urls, secrets: secrets, epoch: epoch)
        self.resolver = resolver
    }

    /// Within one turn of the event loop.
    func send(_ commands: [LedgerCommand]) {
        for command in commands {
            asked.append(command.account)
            client.send(Message(.read(UInt64(asked.count - 1)), .command(command, deadline: 1_000)))
        }
    }

    func ask(_ commands: [OrderCommand]) { for command in commands { client.send(Message(.nobody, .question(command))) } }

    func receive(_ messages: [Message]) {
        for message in messages {
            switch (message.body, message.origin) {
            case (.ledgerReply(let reply), .read(let number)):
                replies.append((asked[Int(number)], reply))
                replied(asked[Int(number)])
            case (.orderReply(let reply), .nobody): answers.append(reply)
            default: Issue.record("a reply without its origin")
            }
        }
    }

    func stop() async throws { try await testLoop.flatSubmit { self.client.close() }.get() }
}
