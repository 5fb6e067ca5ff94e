import KontorCore
import KontorService
import NIOCore
import Testing

@testable import KontorLink

@Suite("Opening a link", .serialized)
struct HandshakeTests {
    private let secrets: SharedSecrets

    init() throws { secrets = try SharedSecrets(testSecret) }

    private func head(
        secret: String = testSecret, protocol: String = "kontor-link/1", epoch: String = "shop 1"
    ) -> String {
        "GET /internal/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \(`protocol`)\r\n"
            + "Authorization: Bearer \(secret)\r\nKontor-Epoch: \(epoch)\r\n\r\n"
    }

    @Test(
        "a client with another secret, protocol or epoch is refused, told so, and tried again",
        arguments: [
            ("a secret of same length", "shop 1", "the secret is another one"),
            ("a secret of some length", "shop 2", "the store belongs to another shop"),
        ])
    func refusedClient(secret: String, epoch: String, reason: String) async throws {
        let service = try await Service.start()
        let caller = try await Caller.start([service.port], secrets: SharedSecrets(secret), epoch: epoch)
        try await eventually("several attempts") { caller.client.counts.lost > 3 }
        try await on {
            #expect(caller.client.counts.opened == 0)
            // Now and then, not each time: on a busy machine this looks only after a long while.
            for told in [caller.log.reasons("A link is closed"), service.log.reasons("A link is refused")] {
                #expect(Set(told) == [reason])
                #expect(told.count < caller.client.counts.lost)
            }
        }
        try await caller.stop()
        try await eventually("no connection is left") { service.server.connectionCount == 0 }
        try await service.stop()
    }

    @Test("the scheme of the secret has any case, and who has another secret is told how to prove it")
    func schemes() {
        for scheme in ["Bearer", "bearer", "BEARER  "] {
            let asked = Array(head().replacing("Bearer", with: scheme).utf8)[...]
            #expect(LinkHandshake.judge(asked, secrets: secrets, epoch: "shop 1") == .opened)
        }
        for scheme in ["Basic", "Bearers", ""] {
            let asked = Array(head().replacing("Bearer", with: scheme).utf8)[...]
            #expect(LinkHandshake.judge(asked, secrets: secrets, epoch: "shop 1") == .wrongSecret)
        }
        #expect(LinkHandshake.response(.wrongSecret).contains("\r\nWWW-Authenticate: Bearer realm=\"kontor\"\r\n"))
    }

    @Test("an address that leads to another service is refused, both logs name both, and it is tried again (F10)")
    func otherService() async throws {
        let service = try await Service.start(services: ["payment"])
        let caller = try await Caller.start([service.port])
        try await eventually("several attempts") { caller.client.counts.lost > 3 }
        try await on {
            #expect(caller.client.counts.opened == 0 && !caller.client.isConnected)
            #expect(Set(caller.log.reasons("A link is closed")) == ["stock is wanted there, and the server is payment"])
            #expect(Set(service.log.reasons("A link is refused")) == ["stock is wanted here, and this is payment"])
        }
        try await caller.stop()
        try await service.stop()
        let right = try await Service.start(services: ["stock"])
        let again = try await Caller.start([right.port])
        try await eventually("a link") { again.client.isConnected }
        try await again.stop()
        try await right.stop()
    }

    @Test("peers of the first release, which say nothing of services or status, get links as before (F10, F17)")
    func firstRelease() async throws {
        let service = try await Service.start(
            services: ["stock"], status: { PeerStatus(wallMilliseconds: 0, admission: .diskFull) })
        let client = try await RawClient.connect(port: service.port)
        var frames = FrameWriter()
        frames.add(.ping)
        let lists = head(protocol: "kontor-link/2").replacing(
            "Upgrade: kontor-link/2", with: "Upgrade: kontor-link/3\r\nUpgrade: kontor-link/1")
        try await client.send(Array(lists.utf8) + frames.take())
        try await eventually("a pong") { (try? client.collector.frames().count) == 1 }
        let kinds = try await on { try client.collector.frames().map { $0.kind } }
        #expect(kinds == [.pong])
        try await client.close()
        try await service.stop()

        let old = try await FakeServer.start(answer: LinkHandshake.response(.opened))
        let caller = try await Caller.start([old.port])
        try await eventually("a link") { caller.client.isConnected }
        try await caller.stop()
        try await old.stop()
    }

    @Test("what is wrong is told in order: secret, protocol, readiness, epoch")
    func verdicts() {
        func verdict(_ head: String, epoch: String? = "shop 1") -> LinkHandshake.Verdict {
            LinkHandshake.judge(Array(head.utf8)[...], secrets: secrets, epoch: epoch)
        }
        #expect(verdict(head()) == .opened)
        #expect(verdict(head(secret: "a secret of some lengtH", protocol: "x", epoch: "x"), epoch: nil) == .wrongSecret)
        #expect(verdict(head(secret: "a secret of some length and more")) == .wrongSecret)
        #expect(verdict(head(secret: "")) == .wrongSecret)
        #expect(verdict(head(protocol: "kontor-link/2", epoch: "x"), epoch: nil) == .otherProtocol)
        #expect(verdict(head(protocol: "kontor-link/2, kontor-link/1")) == .opened, "a later release offers this one, too")
        #expect(verdict(head(protocol: "kontor-link/1 ,h2c")) == .opened)
        #expect(verdict(head(protocol: "kontor-link/10,kontor-link/2")) == .otherProtocol)
        #expect(verdict(head(epoch: "x"), epoch: nil) == .notReady)
        #expect(verdict(head(epoch: "x")) == .otherEpoch)
        #expect(verdict("GET /internal/link HTTP/1.1\r\n\r\n") == .wrongSecret)
        #expect(verdict("GET /internal/link HTTP/1.0\r\n\r\n") == .malformed)
        #expect(verdict("GET /internal/link HTTP/1.1\r\nno colon\r\n\r\n") == .malformed)
    }

    @Test("a client without the certificate that is demanded is told so, once it has shown the secret")
    func unproven() {
        func verdict(_ head: String) -> LinkHandshake.Verdict {
            LinkHandshake.judge(Array(head.utf8)[...], secrets: secrets, epoch: nil, isProven: false)
        }
        #expect(verdict(head()) == .unproven)
        #expect(verdict(head(protocol: "x")) == .unproven)
        #expect(verdict(head(secret: "")) == .wrongSecret)
    }

    @Test("the request that a client makes is one that a server takes, and each answer is understood")
    func agreement() {
        let request = LinkHandshake.request(host: "stock:81", secret: Array(testSecret.utf8), epoch: "shop 1")
        #expect(LinkHandshake.endOfHead(in: request) == request.count)
        #expect(LinkHandshake.judge(request[...], secrets: secrets, epoch: "shop 1") == .opened)
        for verdict in LinkHandshake.Verdict.allCases {
            let answer = Array(LinkHandshake.response(verdict).utf8)
            #expect(LinkHandshake.endOfHead(in: answer) == answer.count)
            #expect(LinkHandshake.verdict(in: answer[...]) == verdict)
        }
        #expect(LinkHandshake.verdict(in: Array("HTTP/1.1 200 OK\r\n\r\n".utf8)[...]) == nil)
        #expect(LinkHandshake.verdict(in: Array("SSH-2.0\r\n".utf8)[...]) == nil)
    }

    @Test("a secret is replaced in three steps: open links stay, each new one is opened with the secret of its moment (G11)")
    func rotation() async throws {
        let (old, new) = (testSecret, "a secret of another length")
        let (client, server) = (try SharedSecrets(old), try SharedSecrets(old))
        let service = try await Service.start(secrets: server)
        let caller = try await Caller.start([service.port], secrets: client)
        try await eventually("a link") { caller.client.isConnected }
        // Whoever is first: the other one has the text of the step before.
        for (first, second, text) in [
            (server, client, "\(old)\n\(new)"), (client, server, "\(new)\n\(old)"), (server, client, new),
        ] {
            for secrets in [first, second] {
                try secrets.replace(by: text)
                let another = try await Caller.start([service.port], secrets: client)
                try await eventually("a new link") { another.client.isConnected }
                try await on { #expect(caller.client.counts.lost == 0 && another.client.counts.lost == 0) }
                try await another.stop()
            }
        }
        // A client that makes its link anew has learnt the secret, too.
        let port = service.port
        try await service.stop()
        try await eventually("the end of the link") { !caller.client.isConnected }
        let again = try await Service.start(port: port, secrets: SharedSecrets(new))
        try await eventually("a link with the new secret") { caller.client.isConnected }
        try await on { #expect(!caller.log.reasons("A link is closed").contains("the secret is another one")) }
        try await caller.stop()
        try await again.stop()
    }

    @Test("damaged requests and answers never trap", arguments: 0..<1_000)
    func fuzz(round: Int) {
        for text in [head(), LinkHandshake.response(.otherProtocol)] {
            var bytes = Array(text.utf8)
            for _ in 0...Int.random(in: 0...5) {
                bytes[.random(in: bytes.indices)] = [0, 10, 13, 32, 58, 255, .random(in: 0...255)].randomElement() ?? 0
            }
            if Bool.random() { bytes.removeFirst(.random(in: bytes.indices)) }
            let part = bytes[...(LinkHandshake.endOfHead(in: bytes).map { $0 - 1 } ?? bytes.endIndex - 1)]
            _ = LinkHandshake.judge(part, secrets: secrets, epoch: "shop 1")
            _ = LinkHandshake.verdict(in: part)
        }
    }

    @Test("a request byte by byte, with frames right behind it, opens a link that works")
    func byteByByte() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        var frames = FrameWriter()
        frames.mustAdd(NumberedMessage(number: 9, .command(read(item("a")), deadline: 1)))
        frames.add(.ping)
        for byte in Array(head().utf8) + frames.take() { try await client.send([byte]) }
        try await eventually("answers") { (try? client.collector.frames().count) == 2 }
        try await on {
            #expect(client.collector.text.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            let frames = try client.collector.frames()
            #expect(frames.map(\.kind) == [.ledgerReplies, .pong])
            #expect(try frames[0].messages() == [NumberedMessage(number: 9, .ledgerReply(.decided(.done)))])
        }
        try await client.close()
        try await eventually("no connection is left") { service.server.connectionCount == 0 }
        try await service.stop()
    }

    @Test("a server that does not know its epoch yet says so, and closes")
    func notReady() async throws {
        let service = try await Service.start(epoch: nil)
        let client = try await RawClient.connect(port: service.port)
        try await client.send(head())
        try await eventually("closed") { client.collector.isClosed }
        try await on { #expect(client.collector.text.hasPrefix("HTTP/1.1 503 ")) }
        try await service.stop()
    }

    @Test("a request without an end is refused")
    func endless() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        try await client.send("GET /internal/link HTTP/1.1\r\nX: " + String(repeating: "x", count: 10_000))
        try await eventually("closed") { client.collector.isClosed }
        try await on { #expect(client.collector.text.hasPrefix("HTTP/1.1 400 ")) }
        try await service.stop()
    }

    @Test(
        "HTTP passes through untouched, whole or byte by byte",
        arguments: ["/metrics", "/internal/link2", "/internal", "/"], [false, true])
    func http(path: String, isSlow: Bool) async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        for turn in 1...2 {
            let request = "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n"
            if isSlow {
                for byte in request.utf8 { try await client.send([byte]) }
            } else {
                try await client.send(request)
            }
            try await eventually("answer \(turn)") { client.collector.text.components(of: "GET \(path)") == turn }
        }
        try await on { #expect(service.server.connectionCount == 0, "it is HTTP's now") }
        try await client.close()
        try await service.stop()
    }

    @Test("a client that says too little and then nothing more goes to HTTP, too")
    func halfClosed() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        try await client.send("GET /int")
        try await client.closeOutput()
        try await eventually("closed") { client.collector.isClosed }
        try await eventually("forgotten") { service.server.connectionCount == 0 }
        try await service.stop()
    }

    @Test("a closed server closes also connections that have not said what they are")
    func closesUndecided() async throws {
        let service = try await Service.start()
        let client = try await RawClient.connect(port: service.port)
        try await client.send("GET /internal/li")
        try await eventually("accepted") { service.server.connectionCount == 1 }
        try await service.stop()
        try await eventually("closed") { client.collector.isClosed }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
