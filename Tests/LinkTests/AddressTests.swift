import KontorCore
import NIOCore
import Testing

@testable import KontorLink

@Suite("The address of a service")
struct LinkURLTests {
    @Test(
        "host and port are read",
        arguments: [
            ("http://stock:8001", "stock", 8001), ("http://10.0.0.1:1/", "10.0.0.1", 1), ("http://[::1]:65535", "::1", 65_535),
        ])
    func good(text: String, host: String, port: Int) throws {
        #expect(try LinkURL(text) == LinkURL(host: host, port: port))
    }

    @Test("https:// asks for TLS, and is another address than http://")
    func encrypted() throws {
        #expect(try LinkURL("https://[::1]:1/") == LinkURL(host: "::1", port: 1, isTLS: true))
        #expect(try LinkURL("https://stock:8001") != LinkURL("http://stock:8001"))
        #expect(try LinkURL("https://stock:8001").description == "https://stock:8001")
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "stock:8001", "https://stock", "httpss://stock:8001", "http://stock", "http://:1", "http://stock:0",
            "http://stock:65536",
            "http://stock:1/path", "http://a b:1", "http://::1:80", "http://u@h:1", "http://h:+1", "http://[]:1",
        ])
    func bad(text: String) { #expect(throws: LinkURLError.self) { try LinkURL(text) } }
}

@Suite("The choice of a replica")
struct RendezvousTests {
    @Test("accounts are spread evenly, and only those of a replica that goes move")
    func spread() {
        let seeds = (1...4).map { Rendezvous.hash("10.0.0.\($0):8001".utf8) }
        func chosen(_ account: GroupKey, _ seeds: [UInt64]) -> UInt64? {
            let hash = Rendezvous.hash(account)
            return seeds.max { Rendezvous.score(hash, $0) < Rendezvous.score(hash, $1) }
        }
        var counts: [UInt64: Int] = [:]
        for number in 0..<10_000 {
            let account = item("\(number)")
            guard let one = chosen(account, seeds) else { continue }
            counts[one, default: 0] += 1
            if one != seeds[3] { #expect(chosen(account, Array(seeds[..<3])) == one) }
        }
        #expect(counts.values.allSatisfy { $0 > 2_300 && $0 < 2_700 })
    }
}

@Suite("The addresses of replicas", .serialized)
struct ReplicaAddressesTests {
    @Test("a name is resolved again after five seconds or on demand; if it cannot be, what it stood for stays")
    func resolving() async throws {
        try await on {
            let names = ScriptedNames()
            names.ports = [1, 2]
            let addresses = ReplicaAddresses([LinkURL(host: "stock", port: 1)], names, testLoop)
            var failures: [String] = []
            addresses.start { _ in
            } failed: {
                failures.append("\($0): \($1)")
            }
            #expect(Set(addresses.found.keys) == ["127.0.0.1:1", "127.0.0.1:2"])
            #expect(addresses.url(of: "127.0.0.1:2") == LinkURL(host: "stock", port: 1))
            let now = LinkClock.nowMilliseconds
            names.ports = nil
            addresses.tick(now: now)
            #expect(failures == [])
            addresses.tick(now: now + LinkLimits.resolveMilliseconds)
            #expect(failures == ["http://stock:1: no such name"])
            #expect(addresses.found.count == 2)
            names.ports = [3]
            addresses.tick(now: now + LinkLimits.resolveMilliseconds + 1)
            #expect(addresses.found.count == 2)
            addresses.resolveSoon()
            addresses.tick(now: now + LinkLimits.resolveMilliseconds + 2)
            #expect(Set(addresses.found.keys) == ["127.0.0.1:3"])
        }
    }

    @Test("an address that several names stand for is connected to once")
    func once() async throws {
        let service = try await Service.start()
        let caller = try await Caller.start([service.port, service.port])
        try await eventually("connected") { caller.client.isConnected }
        try await on { caller.send([read(item("a"))]) }
        try await eventually("a reply") { caller.replies.count == 1 }
        try await on { #expect(service.server.connectionCount == 1) }
        try await caller.stop()
        try await service.stop()
    }

    @Test("the system's resolver finds a name, and says so if there is none")
    func system() async throws {
        let found = try await SystemResolver().resolve(LinkURL(host: "localhost", port: 80), on: testLoop).get()
        #expect(found.contains { $0.ipAddress == "127.0.0.1" && $0.port == 80 })
        let none = SystemResolver().resolve(LinkURL(host: "no-such-host.invalid", port: 80), on: testLoop)
        await #expect(throws: (any Error).self) { try await none.get() }
    }
}

/// One name, which stands for what a test says; nil: it cannot be resolved.
final class ScriptedNames: LinkResolver, @unchecked Sendable {
    var ports: [Int]? = []

    func resolve(_ url: LinkURL, on eventLoop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        eventLoop.makeCompletedFuture { [ports] in
            guard let ports else { throw TestFailure("no such name") }
            return try ports.map { try SocketAddress(ipAddress: "127.0.0.1", port: $0) }
        }
    }
}
