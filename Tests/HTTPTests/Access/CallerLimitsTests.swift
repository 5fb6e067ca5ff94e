// What one caller may ask for, who he is behind a proxy, and that the others do not suffer.

import KontorAccess
import KontorCore
import KontorService
import NIOCore
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct CallerLimitsTests {
    private func limits(requests: Int = 0, creations: Int = 0) -> CallerLimits {
        var rates = CallerRates()
        (rates.requests, rates.creations) = (requests, creations)
        return CallerLimits(rates)
    }

    private func call(_ request: ShopRequest, by name: String? = nil) throws -> ShopCall {
        let entry = try #require(RouteTable.all.entry(of: request))
        return ShopCall(request, at: entry, by: name.map { Principal(name: $0, scopes: .read, expires: .max) })
    }

    private func isTaken(
        _ limits: CallerLimits, _ call: ShopCall, from address: String = "10.0.0.1", at now: Int64
    ) -> Bool {
        do throws(Problem) {
            let caller = CallerLimits.Caller(call.principal, NetworkAddress(address)?.caller)
            try limits.takeRequest(of: caller, now: now)
            try limits.takeCreation(call, of: caller, now: now)
            return true
        } catch {
            return error.kind.status != 429
        }
    }

    @Test func `a caller gets his requests a second, after a pause two seconds' worth, and the next caller has his own`() throws
    {
        let limits = limits(requests: 100)
        let call = try call(.createUser)
        #expect((0..<1_000).filter { _ in isTaken(limits, call, at: 0) }.count == 200)
        #expect((1...1_000).filter { isTaken(limits, call, at: $0) }.count == 100)
        #expect(isTaken(limits, call, from: "10.0.0.2", at: 1_000))
        #expect((0..<1_000).filter { _ in isTaken(limits, call, at: 3_600_000) }.count == 200)
    }

    @Test func `a caller who is known is one wherever he asks from, and those of one address are several`() throws {
        let limits = limits(requests: 1)
        let (a, b) = (try call(.createUser, by: "a"), try call(.createUser, by: "b"))
        #expect((0..<9).filter { isTaken(limits, a, from: "10.0.0.\($0)", at: 0) }.count == 2)
        #expect((0..<9).filter { _ in isTaken(limits, b, at: 0) }.count == 2)
    }

    @Test func `creations have a limit of their own`() throws {
        let (creation, checkout) = (try call(.createUser), try call(.checkout(order: id("o"))))
        let creating = limits(creations: 1)
        #expect((0..<9).filter { _ in isTaken(creating, creation, at: 0) }.count == 2)
        #expect(isTaken(creating, checkout, at: 0))
    }

    @Test func `a machine's IPv6 addresses are one caller, and no number of callers takes more memory`() throws {
        #expect(NetworkAddress("2001:db8::1")?.caller == NetworkAddress("2001:db8:0:0:ffff::2")?.caller)
        #expect(NetworkAddress("2001:db8::1")?.caller != NetworkAddress("2001:db8:0:1::1")?.caller)
        #expect(NetworkAddress("10.0.0.1") == NetworkAddress("::ffff:10.0.0.1"))
        let limits = limits(requests: 1)
        let call = try call(.createUser)
        for number in 0..<20_000 {
            _ = isTaken(limits, call, from: "10.\(number >> 16).\(number >> 8 & 255).\(number & 255)", at: 0)
        }
    }

    @Test func `of a caller so many keys are kept; then a new one is refused, and a kept one gets its answer`() throws {
        var rates = CallerRates()
        rates.keys = 3
        try withServer(access: AccessControl(rates: rates)) { (server) throws in
            let client = try server.client()
            func mayKeep(_ key: String?) throws -> Bool? {
                _ = try client.exchange("POST", "/stock/add/x/1", headers: key.map { ["Idempotency-Key: \($0)"] } ?? [])
                return server.shop.submissions.last?.name?.mayKeepKey
            }
            #expect(try (0..<5).map { try mayKeep("k\($0)") } == [true, true, true, false, false])
            #expect(try mayKeep(nil) == nil, "what bears no key is not limited")
        }
        // A replay and a refusal keep none.
        for answer in [ShopAnswer.replayed(.ledger(.done)), .ledger(.insufficient(balance: .zero))] {
            try withServer(access: AccessControl(rates: rates), script: Script { _ in answer }) { (server) throws in
                let client = try server.client()
                for number in 0..<5 {
                    _ = try client.exchange("POST", "/stock/add/x/1", headers: ["Idempotency-Key: \(number)"])
                }
                #expect(server.shop.submissions.allSatisfy { $0.name?.mayKeepKey == true })
            }
        }
    }

    @Test func `places for keys come back as keys expire`() throws {
        var rates = CallerRates()
        rates.keys = 10
        rates.keyMilliseconds = 1_000_000
        let limits = CallerLimits(rates)
        let one = CallerLimits.Caller(nil, NetworkAddress("10.0.0.1"))
        let other = CallerLimits.Caller(nil, NetworkAddress("10.0.0.2"))
        for _ in 0..<10 {
            #expect(limits.hasRoomForKey(of: one, now: 0))
            limits.didKeepKey(of: one, now: 0)
        }
        #expect(!limits.hasRoomForKey(of: one, now: 99_999) && limits.hasRoomForKey(of: other, now: 0))
        #expect(limits.hasRoomForKey(of: one, now: 100_000))
        // Those that were kept beyond the limit, since they ran at once, are paid back.
        for _ in 0..<3 { limits.didKeepKey(of: one, now: 100_000) }
        #expect(!limits.hasRoomForKey(of: one, now: 399_999) && limits.hasRoomForKey(of: one, now: 400_000))
        #expect(limits.hasRoomForKey(of: one, now: .max / 4))
    }

    @Test func `a list of proxies is addresses and networks, or is refused`() throws {
        let proxies = try #require(TrustedProxies(["10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1"]))
        for inside in ["10.255.0.1", "192.168.1.7", "fdab::1", "::1", "::ffff:10.0.0.1"] {
            #expect(proxies.contains(try #require(NetworkAddress(inside))), "\(inside)")
        }
        for outside in ["11.0.0.1", "192.168.1.8", "fe00::1", "::2", "127.0.0.1"] {
            #expect(!proxies.contains(try #require(NetworkAddress(outside))), "\(outside)")
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "proxy", "::/129", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/x"] {
            #expect(TrustedProxies([wrong]) == nil, "\(wrong)")
        }
    }

    @Test func `the client is the last address that no proxy has, whatever a client writes before it`() throws {
        let proxies = try #require(TrustedProxies(["10.0.0.0/8"]))
        let peer = try #require(NetworkAddress("10.0.0.1"))
        for (list, client) in [
            ("203.0.113.5", "203.0.113.5"), ("1.1.1.1, 203.0.113.5", "203.0.113.5"),
            ("1.1.1.1,203.0.113.5, 10.0.0.2", "203.0.113.5"),
            ("10.0.0.9", "10.0.0.9"), ("", "10.0.0.1"), ("nonsense", "10.0.0.1"), ("nonsense, 10.0.0.2", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            #expect(proxies.client(list, peer: peer) == NetworkAddress(client), "\(list)")
        }
    }

    @Test func `behind a trusted proxy its client is limited, and nobody else may name one, or stamp`() throws {
        var rates = CallerRates()
        rates.requests = 1
        let id = String(repeating: "0123456789abcdef", count: 2)
        let stamp = ["Kontor-Request: \(id)", "Kontor-Sent: 1700000000.125", "Kontor-Attempt: 1"]
        for isTrusted in [true, false] {
            let proxies = TrustedProxies([isTrusted ? "127.0.0.1" : "10.0.0.1"])
            try withServer(access: AccessControl(hosts: AllowedHosts(), proxies: proxies, rates: rates)) { (server) throws in
                let client = try server.client()
                func statuses(_ headers: [String]) throws -> [Int] {
                    try (0..<6).map { number in
                        let from = "X-Forwarded-For: 203.0.113.\(number)"
                        return try client.exchange("POST", "/stock/add/x/1", headers: headers + [from]).status
                    }
                }
                #expect(try statuses(stamp) == (isTrusted ? Array(repeating: 200, count: 6) : [403, 403, 430, 430, 430, 430]))
                try server.pass(milliseconds: isTrusted ? 0 : 4_000)
                #expect(server.shop.submissions.count == (isTrusted ? 6 : 0))
                #expect(server.shop.submissions.allSatisfy { $0.name?.stamp != nil })
                #expect(try statuses([]).filter { $0 == 200 }.count == (isTrusted ? 6 : 2))
                try server.pass(milliseconds: isTrusted ? 0 : 4_000)
                let named = try server.exchange(
                    "POST", "/stock/add/x/1", headers: ["X-Forwarded-For: 203.0.113.77"], host: "shop.example")
                #expect(named.status == (isTrusted ? 200 : 403), "a proxy knows the shop's names")
            }
        }
    }

    @Test func `who is refused for want of a token or of a scope has made a request, and takes nobody else's`() throws {
        var rates = CallerRates()
        rates.requests = 1
        var random = SystemRandomNumberGenerator()
        let (token, other) = (BearerToken(random: &random), BearerToken(random: &random))
        let file = try TokenFile(
            ["a", "b"].enumerated().map {
                "\($1) read sha256:\([token, other][$0].digest) never\n"
            }.joined())
        let access = AccessControl(
            credentials: Credentials(Credentials.Rules(file)), proxies: TrustedProxies(["127.0.0.1"]), rates: rates)
        try withServer(access: access) { (server) throws in
            let client = try server.client()
            func statuses(_ path: String, _ authorization: String?) throws -> [Int] {
                try (0..<5).map { _ in
                    try client.exchange("POST", path, headers: authorization.map { ["Authorization: \($0)"] } ?? []).status
                }
            }
            let tooMany = Array(repeating: 429, count: 3)
            #expect(try statuses("/stock/add/x/1", nil) == Array(repeating: 401, count: 2) + tooMany)
            #expect(try statuses("/stock/add/x/1", "Bearer kontor_wrong") == Array(repeating: 429, count: 5))
            #expect(try statuses("/stock/add/x/1", "Bearer \(token.text)") == Array(repeating: 403, count: 2) + tooMany)
            #expect(try client.exchange("GET", "/stock/find/x", headers: ["Authorization: Bearer \(token.text)"]).status == 429)
            #expect(try client.exchange("GET", "/stock/find/x", headers: ["Authorization: Bearer \(other.text)"]).status != 429)
            #expect(try client.exchange("GET", "/health/live").status == 200)
            let stamp = [
                "Kontor-Request: \(String(repeating: "0123456789abcdef", count: 2))", "Kontor-Sent: 1700000000.125",
            ]
            func status(attempt: Int) throws -> Int {
                try client.exchange("POST", "/stock/add/x/1", headers: stamp + ["Kontor-Attempt: \(attempt)"]).status
            }
            #expect(try status(attempt: 1) == 430, "of a 429 the gateway would ask another replica")
            #expect(try status(attempt: 2) == 504, "a copy is not counted, and nobody knows what became of the first one")
        }
    }

    @Test(arguments: [
        ("GET", "/nowhere", 404, ""), ("GET", "/stock/add/x/1", 405, ""), ("GET", "/stock/find/%20", 400, ""),
        ("POST", "/stock/add/x/1", 403, "Origin: http://elsewhere.example"),
        ("POST", "/stock/add/x/1", 400, "Request-Timeout-Ms: soon"),
    ])
    func `whoever is refused has made a request, whatever the reason`(
        method: String, path: String, status: Int, header: String
    ) throws {
        var rates = CallerRates()
        rates.requests = 1
        try withServer(access: AccessControl(rates: rates)) { (server) throws in
            let client = try server.client()
            let statuses = try (0..<4).map { _ in
                try client.exchange(method, path, headers: header.isEmpty ? [] : [header]).status
            }
            #expect(statuses == [status, status, 429, 429])
            #expect(try client.exchange("GET", "/stock/find/x").status == 429)
            #expect(try client.exchange("GET", "/health/live").status == 200)
            // Nobody has said that he is a trusted proxy.
            let copy = [
                "Kontor-Request: \(String(repeating: "0123456789abcdef", count: 2))", "Kontor-Sent: 1700000000.125",
                "Kontor-Attempt: 2",
            ]
            #expect(try client.exchange("POST", "/stock/add/x/1", headers: copy).status == 504)
            #expect(server.shop.submissions.isEmpty)
        }
    }

    @Test func `an address has its connections, and beyond them health is answered all the same`() throws {
        var rates = CallerRates()
        rates.connections = 3
        try withServer(access: AccessControl(rates: rates)) { (server) throws in
            let clients = try (0..<7).map { _ in try server.client() }
            let statuses = try clients.map { try $0.exchange("POST", "/stock/add/x/1").status }
            #expect(statuses == [200, 200, 200, 429, 429, 429, 429])
            #expect(try server.exchange("GET", "/health/live").status == 200)
        }
        try withServer(access: AccessControl(rates: rates)) { (server) throws in
            for _ in 0..<20 {
                #expect(try server.exchange("POST", "/stock/add/x/1", headers: ["Connection: close"]).status == 200)
            }
        }
    }
}
