import KontorCore
import KontorService
import NIOCore
import Testing

@testable import KontorLink

@Suite("Links that fail", .serialized)
struct FailureTests {
    private let opened = LinkHandshake.response(.opened)

    private func frame(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count), 0, 0, 0] + bytes }

    @Test("a server that answers nothing is no replica, and is tried again")
    func neverOpens() async throws {
        let server = try await FakeServer.start(answer: nil)
        let caller = try await Caller.start([server.port])
        try await eventually("a second attempt") { server.count > 1 }
        try await on {
            #expect(!caller.client.isConnected && caller.client.counts.opened == 0)
            #expect(caller.log.reasons("A link is closed") == ["the link was not opened in time"])
        }
        try await caller.stop()
        try await server.stop()
    }

    @Test("a server that falls silent is left soon, also if nothing is waited for, and tried again")
    func fallsSilent() async throws {
        let server = try await FakeServer.start(answer: opened)
        let caller = try await Caller.start([server.port])
        try await eventually("connected") { caller.client.isConnected }
        let began = NIODeadline.now()
        try await eventually("left") { caller.client.counts.lost == 1 }
        #expect(NIODeadline.now() - began < .seconds(4))
        try await on { #expect(caller.log.reasons("A link is closed") == ["the server is silent"]) }
        try await eventually("a second attempt") { server.count > 1 }
        try await caller.stop()
        try await server.stop()
    }

    @Test("a server that was heard, and is silent while a reply is waited for, is left soon")
    func silentWhileWaiting() async throws {
        let server = try await FakeServer.start(answer: opened + String(decoding: frame([1, 6, 0, 0]), as: UTF8.self))
        let caller = try await Caller.start([server.port])
        try await eventually("connected") { caller.client.isConnected }
        let began = NIODeadline.now()
        try await on { caller.send([read(item("a"))]) }
        try await eventually("left") { caller.client.counts.lost == 1 }
        #expect(NIODeadline.now() - began < .seconds(4))
        try await on { #expect(caller.replies.isEmpty) }
        try await caller.stop()
        try await server.stop()
    }

    @Test(
        "a server that says what cannot be read is left",
        arguments: [
            ([2, 6, 0, 0], "a frame has the unknown format 2"),
            ([1, 9, 0, 0], "a frame has a kind that cannot be read"),
            ([1, 3, 1, 0, 0], "a frame ends within an item"),
            ([1, 5, 0, 0], "a server says what only clients say"),
            ([1, 4, 1, 0, 0, 0, 0, 0, 1], "an order's reply to a message for a ledger"),
        ] as [([UInt8], String)])
    func nonsense(bytes: [UInt8], reason: String) async throws {
        let server = try await FakeServer.start(answer: opened)
        let caller = try await Caller.start([server.port])
        try await eventually("connected") { caller.client.isConnected }
        try await on {
            caller.send([read(item("a"))])
            server.say(frame(bytes))
        }
        try await eventually("left") { caller.client.counts.lost == 1 }
        try await on { #expect(caller.log.reasons("A link is closed") == [reason]) }
        try await caller.stop()
        try await server.stop()
    }

    @Test("a client that says what cannot be read is closed, with a line in the log; others go on")
    func nonsenseFromClient() async throws {
        let service = try await Service.start()
        let caller = try await Caller.start([service.port])
        try await eventually("connected") { caller.client.isConnected }
        for bytes in [[2, 1, 0, 0], [1, 1, 1, 0, 0], [1, 3, 0, 0]] as [[UInt8]] {
            let client = try await RawClient.connect(port: service.port)
            try await client.send(
                LinkHandshake.request(host: "x", secret: Array(testSecret.utf8), epoch: "shop 1") + frame(bytes))
            try await eventually("closed") { client.collector.isClosed }
        }
        try await on {
            #expect(
                service.log.reasons("A link of a client is closed") == [
                    "a frame has the unknown format 2", "a frame ends within an item", "a client says what only servers say",
                ])
            #expect(service.server.connectionCount == 1)
            caller.send([read(item("a"))])
        }
        try await eventually("a reply") { caller.replies.count == 1 }
        try await caller.stop()
        try await service.stop()
    }

    @Test("a client to which too much is owed is closed")
    func greedyClient() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        try await client.stopReading()
        try await client.send(LinkHandshake.request(host: "x", secret: Array(testSecret.utf8), epoch: "shop 1"))
        try await client.send(messages(0..<100))
        try await eventually("the messages came") { service.shop.messages.count == 100 }
        try await on {
            let large = LedgerReply.refused(.unreachable(String(repeating: "x", count: 200_000)))
            for message in service.shop.messages { message.reply(large) }
        }
        try await eventually("closed") { service.server.connectionCount == 0 }
        try await on {
            #expect(service.log.reasons("A link of a client is closed") == ["the client does not take its replies"])
        }
        try await client.close()
        try await service.stop()
    }

    @Test("a client that takes no replies is not read, and loses nothing once it does")
    func slowClient() async throws {
        let service = try await Service.start()
        let caller = try await Caller.start([service.port])
        let client = try await RawClient.connect(port: service.port)
        try await client.stopReading()
        try await client.send(LinkHandshake.request(host: "x", secret: Array(testSecret.utf8), epoch: "shop 1"))
        try await client.send(messages(0..<60))
        try await eventually("the messages came") { service.shop.messages.count == 60 && caller.client.isConnected }
        try await on {
            let large = LedgerReply.refused(.unreachable(String(repeating: "x", count: 200_000)))
            for message in service.shop.messages { message.reply(large) }
        }
        // One read was wanted before, and takes what comes next.
        try await client.send(messages(60..<70))
        try await eventually("the last read") { service.shop.messages.count == 70 }
        try await client.send(messages(70..<80))
        // Whatever came before this reply was read before it, if it was read at all.
        try await on { caller.send([read(item("b"))]) }
        try await eventually("a reply to another client") { caller.replies.count == 1 }
        try await on { #expect(service.shop.messages.count == 71) }
        try await client.readAgain()
        try await eventually("the rest came") { service.shop.messages.count == 81 }
        try await eventually("all replies came") {
            let frames = try? client.collector.frames()
            return frames?.filter { $0.kind == .ledgerReplies }.map { (try? $0.messages().count) ?? 0 }.reduce(0, +) == 140
        }
        try await client.close()
        try await caller.stop()
        try await service.stop()
    }

    private func messages(_ numbers: Range<UInt32>) -> [UInt8] {
        var frames = FrameWriter()
        for number in numbers {
            frames.mustAdd(NumberedMessage(number: number, .command(read(item("a")), deadline: 1)))
        }
        return frames.take()
    }

    @Test("messages that a server does not take are dropped, and counted")
    func serverThatReadsNothing() async throws {
        let server = try await FakeServer.start(answer: opened)
        let caller = try await Caller.start([server.port])
        try await eventually("connected") { caller.client.isConnected }
        try await on {
            let account = item(String(repeating: "a", count: 60))
            for _ in 0..<30 { caller.send(Array(repeating: hold(account, mayWait: false), count: 10_000)) }
            #expect(caller.client.counts.dropped > 0)
            #expect(caller.client.counts.sent + caller.client.counts.dropped == 300_000)
        }
        try await caller.stop()
        try await server.stop()
    }

    @Test("a client that pings no more is forgotten, unless it was the server that was away")
    func silentClient() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        try await client.send(LinkHandshake.request(host: "x", secret: Array(testSecret.utf8), epoch: "shop 1"))
        try await eventually("opened") { client.collector.text.hasPrefix("HTTP/1.1 101 ") }
        try await on {
            let now = LinkClock.nowMilliseconds
            service.server.look(at: now + LinkLimits.silentClientMilliseconds + 100, wasAway: true)
            #expect(service.server.connectionCount == 1)
            service.server.look(at: now + 2 * LinkLimits.silentClientMilliseconds, wasAway: false)
            #expect(service.server.connectionCount == 1)
            service.server.look(at: now + 2 * LinkLimits.silentClientMilliseconds + 100, wasAway: false)
            #expect(service.server.connectionCount == 0)
        }
        try await eventually("closed") { client.collector.isClosed }
        try await service.stop()
    }

    @Test("a client that was away itself does not leave its servers")
    func away() async throws {
        let server = try await FakeServer.start(answer: opened)
        let caller = try await Caller.start([server.port])
        try await eventually("connected") { caller.client.isConnected }
        try await on {
            let later = LinkClock.nowMilliseconds + 10_000
            caller.client.look(at: later, wasAway: true)
            caller.client.look(at: later + LinkLimits.pongMilliseconds - 1, wasAway: false)
            #expect(caller.client.isConnected)
            caller.client.look(at: later + LinkLimits.pongMilliseconds, wasAway: false)
            #expect(!caller.client.isConnected)
        }
        var detector = AwayDetector(tickMilliseconds: 100)
        #expect([0, 100, 500, 901, 1_000].map { detector.wasAway(now: $0) } == [false, false, false, true, false])
        try await caller.stop()
        try await server.stop()
    }

    @Test("a replica that a name stands for later is found, and one that it stands for no more is not tried again")
    func resolvedAgain() async throws {
        let services = [try await Service.start(), try await Service.start()]
        let names = ScriptedNames()
        try await on { names.ports = [services[0].port] }
        let caller = try await Caller.start([1], resolver: names)
        try await eventually("connected") { caller.client.isConnected }
        try await on { names.ports = [services[1].port] }
        try await services[0].stop()
        try await eventually("the other one is found") { caller.client.counts.opened == 2 }
        let lost = try await on { caller.client.counts.lost }
        try await on { caller.send([read(item("a"))]) }
        try await eventually("a reply") { caller.replies.count == 1 }
        try await on { #expect(caller.client.counts.lost == lost) }
        try await caller.stop()
        try await services[1].stop()
    }
}
