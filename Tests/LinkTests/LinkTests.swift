import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorLink

/// What a server says of itself. `@unchecked Sendable`: used on the loop of the tests.
private final class Status: @unchecked Sendable {
    var admission: StoreError? = .diskFull
    let offset: Int64
    init(offset: Int64) { self.offset = offset }
    var now: PeerStatus { PeerStatus(wallMilliseconds: LinkClock.wallMilliseconds + offset, admission: admission) }
}

@Suite("What a process tells the others of itself", .serialized)
struct PeerStatusTests {
    @Test(
        "its clock, from which the skew follows, and that its store fills up and has room again (F12, A6)",
        arguments: [0, 70_000, -6_000] as [Int64])
    func isTold(offset: Int64) async throws {
        let status = Status(offset: offset)
        let service = try await Service.start(status: { status.now })
        let caller = try await Caller.start([service.port])
        try await eventually("a status") { caller.client.peers.clockSkewMilliseconds != nil }
        try await on {
            let peers = caller.client.peers
            #expect(peers.isReachable && peers.admission == .diskFull)
            #expect(abs((peers.clockSkewMilliseconds ?? 0) - offset) < 400)
            status.admission = nil
        }
        try await eventually("room that is back") { caller.client.peers.admission == nil }
        try await caller.stop()
        try await on { #expect(!caller.client.peers.isReachable) }
        try await service.stop()
    }
}

@Suite("A link between processes", .serialized)
struct LinkTests {
    /// One service and one caller that is connected.
    private func pair() async throws -> (Service, Caller) {
        let service = try await Service.start()
        let caller = try await Caller.start([service.port])
        try await eventually("connected") { caller.client.isConnected }
        return (service, caller)
    }

    @Test("messages arrive with their deadlines, and replies find their senders")
    func exchange() async throws {
        let (service, caller) = try await pair()
        try await on {
            service.shop.script = { message in
                let isForItem = message.command.account == item("a")
                message.reply(isForItem ? .decided(.held(grant: 7)) : .refused(.unreachable("store")))
            }
            caller.send([hold(item("a"), mayWait: false), read(user("u"))])
            caller.ask([OrderCommand(id("o"), .read), OrderCommand(id("p"), .inspect)])
        }
        try await eventually("replies") { caller.replies.count == 2 && caller.answers.count == 2 }
        try await on {
            #expect(service.shop.accounts == [item("a"), user("u")])
            #expect(service.shop.messages.map(\.deadline) == [1_000, 1_000])
            #expect(service.shop.messages[0].command == hold(item("a"), mayWait: false))
            #expect(caller.replies.map(\.account) == [item("a"), user("u")])
            #expect(caller.replies.map(\.reply) == [.decided(.held(grant: 7)), .refused(.unreachable("store"))])
            #expect(service.shop.questions.map(\.operation) == [.read, .inspect])
            #expect(caller.answers == [.decided(.unknownOrder), .decided(.unknownOrder)])
        }
        try await caller.stop()
        try await service.stop()
    }

    @Test("what is sent in one turn of the event loop comes as one batch")
    func batches() async throws {
        let (service, caller) = try await pair()
        try await on {
            for number in 0..<500 { caller.send([read(item("i\(number)")), read(user("u\(number)"))]) }
        }
        try await eventually("replies") { caller.replies.count == 1_000 }
        try await on {
            #expect(service.shop.batches == [1_000])
        }
        try await caller.stop()
        try await service.stop()
    }

    @Test("more than a frame may hold comes in several, and nothing is lost")
    func manyMessages() async throws {
        let (service, caller) = try await pair()
        let count = 3 * Limits.frameMessages + 1
        try await on { caller.send((0..<count).map { read(item("i\($0)")) }) }
        try await eventually("replies") { caller.replies.count == count }
        try await on {
            #expect(service.shop.accounts == (0..<count).map { item("i\($0)") })
            #expect(service.shop.batches.allSatisfy { $0 <= Limits.frameMessages })
            #expect(caller.client.counts.sent == UInt64(count))
        }
        try await caller.stop()
        try await service.stop()
    }

    @Test("a hold that may wait is replied to twice: contended at once, and its grant later")
    func twoReplies() async throws {
        let (service, caller) = try await pair()
        try await on {
            service.shop.script = { $0.reply(.decided(.contended(balance: Amount(5)))) }
            caller.send([hold(item("a"), mayWait: true), hold(item("b"), mayWait: false)])
        }
        try await eventually("contended") { caller.replies.count == 2 }
        try await on {
            // Whatever else is replied to the hold that does not wait finds nobody.
            for message in service.shop.messages { message.reply(.decided(.held(grant: 3))) }
            for message in service.shop.messages { message.reply(.decided(.held(grant: 4))) }
            service.shop.script = { $0.reply(.decided(.done)) }
            caller.send([read(item("c"))])
        }
        try await eventually("the last reply") { caller.replies.last?.account == item("c") }
        try await on {
            #expect(caller.replies.map(\.account) == [item("a"), item("b"), item("a"), item("c")])
            #expect(caller.replies[2].reply == .decided(.held(grant: 3)))
        }
        try await caller.stop()
        try await service.stop()
    }

    @Test("whoever gets a reply may send, or close the link, at once")
    func reentrant() async throws {
        let (service, caller) = try await pair()
        try await on {
            caller.replied = { account in
                if account == item("i0") { caller.send([read(item("next"))]) }
                if account == item("i1") { _ = caller.client.close() }
            }
            caller.send((0..<3).map { read(item("i\($0)")) })
        }
        try await eventually("closed") { !caller.client.isConnected && service.server.connectionCount == 0 }
        try await on { #expect(caller.replies.map(\.account) == (0..<3).map { item("i\($0)") }, "these came at once") }
        try await service.stop()
    }

    @Test("without a connection messages are dropped silently, and counted")
    func unconnected() async throws {
        let service = try await Service.start()
        let port = service.port
        try await service.stop()
        let caller = try await Caller.start([port])
        try await eventually("a failed attempt") { caller.client.counts.lost > 0 }
        try await on {
            caller.send([read(item("a")), read(item("b"))])
            caller.ask([OrderCommand(id("o"), .read)])
            #expect(!caller.client.isConnected)
            #expect(caller.client.counts.dropped == 3)
            #expect(caller.replies.isEmpty && caller.answers.isEmpty)
        }
        try await caller.stop()
    }

    @Test("a server that was killed is connected to again when it is back on its port, and what it owed is forgotten")
    func restart() async throws {
        let (service, caller) = try await pair()
        try await on {
            service.shop.script = { _ in }
            caller.send([read(item("lost"))])
        }
        try await eventually("the message came") { service.shop.messages.count == 1 }
        try await service.stop()
        try await eventually("disconnected") { !caller.client.isConnected }
        let next = try await Service.start(port: service.port)
        try await eventually("connected again") { caller.client.isConnected }
        try await on { caller.send([read(item("a"))]) }
        try await eventually("a reply") { !caller.replies.isEmpty }
        try await on {
            #expect(caller.replies.map(\.account) == [item("a")])
            // A reply over a connection that is gone goes nowhere.
            for message in service.shop.messages { message.reply(.decided(.done)) }
        }
        try await caller.stop()
        try await next.stop()
    }

    @Test("one account's messages meet at one replica, and move when it goes")
    func affinity() async throws {
        let services = [try await Service.start(), try await Service.start()]
        let callers = [try await Caller.start(services.map(\.port)), try await Caller.start(services.reversed().map(\.port))]
        for caller in callers { try await eventually("both connected") { caller.client.counts.opened == 2 } }
        let accounts = (0..<100).map { item("i\($0)") }
        try await on {
            for caller in callers { for account in accounts + accounts { caller.send([read(account)]) } }
        }
        for caller in callers { try await eventually("replies") { caller.replies.count == 200 } }
        try await on {
            let seen = services.map { Set($0.shop.accounts) }
            #expect(seen[0].isDisjoint(with: seen[1]))
            #expect(seen.allSatisfy { $0.count > 25 })
            #expect(services.allSatisfy { service in service.shop.messages.count == 4 * Set(service.shop.accounts).count })
        }
        let left = services[1]
        let stayed = try await on { Set(left.shop.accounts) }
        try await services[0].stop()
        try await eventually("one is gone") { callers[0].client.counts.lost > 0 }
        try await on { callers[0].send(accounts.map { read($0) }) }
        try await eventually("the other one replies to all") { callers[0].replies.count == 300 }
        try await on { #expect(Set(left.shop.accounts).isSuperset(of: stayed) && Set(left.shop.accounts) == Set(accounts)) }
        for caller in callers { try await caller.stop() }
        try await left.stop()
    }

    @Test("a server that leaves gets no more messages, and its replies still come")
    func leaving() async throws {
        let services = [try await Service.start(), try await Service.start()]
        let caller = try await Caller.start(services.map(\.port))
        try await eventually("both connected") { caller.client.counts.opened == 2 }
        let accounts = (0..<50).map { item("i\($0)") }
        try await on {
            services[0].shop.script = { _ in }
            caller.send(accounts.map { read($0) })
        }
        try await eventually("all came") { services[0].shop.messages.count + services[1].shop.messages.count == 50 }
        try await on { services[0].server.leave() }
        try await eventually("it is known") { caller.log.entries.contains { $0.event == "A replica leaves" } }
        try await on {
            caller.send(accounts.map { read($0) })
            for message in services[0].shop.messages { message.reply(.decided(.done)) }
        }
        try await eventually("replies") { caller.replies.count == 100 }
        try await on { #expect(Set(services[1].shop.accounts) == Set(accounts)) }
        try await caller.stop()
        for service in services { try await service.stop() }
    }
}
