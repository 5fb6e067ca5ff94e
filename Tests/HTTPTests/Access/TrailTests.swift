// What the audit trail says of a request, and how operators read it.

import KontorAccess
import KontorCore
import KontorService
import Synchronization
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct TrailTests {
    private static let all = Scopes.named.map(\.name).joined(separator: ",")

    /// Credentials that know one token with all scopes, and its header.
    private func credentials() throws -> (Credentials, String) {
        var random = SystemRandomNumberGenerator()
        let token = BearerToken(random: &random)
        let file = try TokenFile("back-office \(Self.all) sha256:\(token.digest) never\n")
        return (Credentials(Credentials.Rules(file)), "Authorization: Bearer \(token.text)")
    }

    @Test func `what admins write is noted, and nothing else`() throws {
        let (credentials, authorization) = try credentials()
        try withServer(access: AccessControl(credentials: credentials)) { (server) throws in
            for route in RouteTable.all.routes where route.effect != .none {
                let before = server.shop.submissions.count
                let body = route.body?.schema.map { String(decoding: $0.example.bytes, as: UTF8.self) } ?? ""
                let client = try server.client()
                client.sendRequest(
                    route.methods.names[0], route.examplePath,
                    headers: [
                        authorization, "Idempotency-Key: k", "Content-Type: application/json",
                        "Content-Length: \(body.utf8.count)",
                    ], body: body)
                _ = try client.readResponse()
                let submissions = try server.shop.waitForSubmissions(before + 1)
                let note = submissions[before].name?.note
                // A user with credit from the start, as the example has it, is money from nothing.
                #expect((note != nil) == (route.access == .admin || route.name == "newUser"), "\(route.name)")
                guard let note else { continue }
                #expect(note.principal == "back-office" && note.address == "127.0.0.1" && note.operation == route.name)
                let named = route.parameters.map(\.rawValue).filter { !["order", "item", "user"].contains($0) }
                if route.body != nil {
                    #expect(note.arguments.allSatisfy { body.contains($0.value) } && !note.arguments.isEmpty)
                    #expect(note.reason.isEmpty == !body.contains("reason"))
                    continue
                }
                #expect(note.arguments.map(\.name) == named, "\(route.name)")
                #expect(note.arguments.allSatisfy { route.examplePath.contains("/" + $0.value) })
            }
        }
    }

    @Test func `in an open shop nobody is known, and nothing is noted`() throws {
        try withServer { (server) throws in
            _ = try server.exchange("POST", "/stock/add/x/5")
            #expect(server.shop.submissions.map { $0.name == nil } == [true])
        }
    }

    @Test func `behind a trusted proxy the client's address is noted`() throws {
        let (credentials, authorization) = try credentials()
        let access = AccessControl(credentials: credentials, proxies: TrustedProxies(["127.0.0.1"]))
        try withServer(access: access) { (server) throws in
            for (client, expected) in [("203.0.113.7", "203.0.113.7"), ("2001:db8::1:2", "2001:db8:0:0:0:0:1:2")] {
                _ = try server.exchange("POST", "/stock/add/x/5", headers: [authorization, "X-Forwarded-For: \(client)"])
                #expect(server.shop.submissions.last?.name?.note?.address == expected)
            }
        }
    }

    // MARK: The page

    private func entry(_ number: Int, _ group: GroupKey) -> FoundTrailEntry {
        let note = TrailNote(
            principal: "back-office", address: "10.0.0.7", operation: "addStock",
            arguments: [TrailNote.Argument(name: "units", value: "5")], reason: "a \"reason\"")
        return FoundTrailEntry(group, TrailEntry(id: TrailID(time: 1_700_000_000_000, number: UInt64(number)), note: note))
    }

    /// The page for a query, of a trail with these entries, and what was asked for.
    private func page(
        _ query: String, _ found: Result<TrailPart, StoreError>
    ) -> (page: OperatorPage?, asked: (id: TrailID?, bound: Int)?) {
        let asked = Mutex<(id: TrailID?, bound: Int)?>(nil)
        let page = Mutex<OperatorPage?>(nil)
        let route = TrailPage.route { id, bound, completion in
            asked.withLock { $0 = (id, bound) }
            completion(found)
        }
        route(query) { answer in page.withLock { $0 = answer } }
        return (page.withLock { $0 }, asked.withLock { $0 })
    }

    @Test func `an entry says when, who, from where, what, and why`() {
        let item = GroupKey(.item, id("x"))
        let (page, asked) = page(
            "", .success(TrailPart(entries: [entry(255, item), entry(256, GroupKey(.user, .batchInit))], next: nil)))
        #expect(asked?.id == nil && asked?.bound == 100)
        let start = #"{"id":"0000018bcfe568000000000000000"#
        let rest = #""arguments":{"units":"5"},"reason":"a \"reason\""}"#
        let who = #""time":"2023-11-14T22:13:20.000Z","principal":"back-office","address":"10.0.0.7","operation":"addStock","#
        #expect(
            page?.body == #"{"data":["# + start + #"0ff","# + who + #""item_id":"x","# + rest + "," + start + #"100","# + who
                + rest
                + #"],"next_cursor":null}"#)
    }

    @Test func `a full page has a cursor, which leads on`() throws {
        let last = TrailID(time: 1_700_000_000_000, number: 2)
        let entries = [entry(1, GroupKey(.item, id("x"))), entry(2, GroupKey(.item, id("y")))]
        let (page, _) = page("limit=2", .success(TrailPart(entries: entries, next: last)))
        let cursor = last.text
        #expect(page?.body.hasSuffix(#""next_cursor":"\#(cursor)"}"#) == true)
        let (_, asked) = self.page("cursor=\(cursor)&limit=200", .success(TrailPart(entries: [], next: nil)))
        #expect(asked?.id == TrailID(time: 1_700_000_000_000, number: 2) && asked?.bound == 200)
    }

    @Test(arguments: [
        "limit=0", "limit=201", "limit=x", "limit", "cursor=", "cursor=12", "cursor=000001ZZCFE5680000000000000000FF",
        "color=red",
        "cursor=ffffffffffffffff0000000000000000",
    ])
    func `a query that makes no sense is refused`(query: String) {
        let (page, asked) = page(query, .success(TrailPart(entries: [], next: nil)))
        #expect(page?.status == 400 && page?.contentType == "application/problem+json")
        #expect(asked == nil)
    }

    @Test func `a trail that cannot be read is no empty one`() {
        #expect(page("", .failure(.unreachable("a shard"))).page?.status == 503)
    }
}
