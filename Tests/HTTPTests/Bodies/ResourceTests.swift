import Foundation
import KontorAccess
import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct ResourceTests {
    private static let json = "Content-Type: application/json"

    /// One request with a body to a shop that answers by a script.
    private func send(
        _ method: String, _ path: String, _ body: String, headers: [String] = [json], access: AccessControl = AccessControl(),
        _ script: @escaping @Sendable (ShopRequest) -> ShopAnswer? = { _ in .unknown }
    ) throws -> (response: RawResponse, asked: [ShopRequest], names: [WriteName?]) {
        var result: (RawResponse, [ShopRequest], [WriteName?])?
        try withServer(access: access, script: Script(script)) { (server) throws in
            let client = try server.client()
            client.sendRequest(
                method, path, headers: headers + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"]), body: body)
            result = (try client.readResponse(), server.shop.submissions.map(\.request), server.shop.submissions.map(\.name))
        }
        return try #require(result)
    }

    private static let lines = #"[{"item_id":"a","units":2},{"item_id":"b","units":1}]"#
    private static let wanted = [ItemUnits(item: id("a"), units: Amount(2)), ItemUnits(item: id("b"), units: Amount(1))]

    private static let good: [(String, String, String, ShopRequest)] = [
        ("POST", "/v1/items", #"{"price":7.25}"#, .newAccount(.item, price: Amount(725), balance: .zero)),
        ("POST", "/v1/items", #" {"stock": 3, "price": "7.2"} "#, .newAccount(.item, price: Amount(720), balance: Amount(3))),
        (
            "POST", "/v1/items/a/adjustments", #"{"units":-3,"reason":"broken"}"#,
            .ledger(LedgerCommand(GroupKey(.item, id("a")), .withdraw(Amount(3))))
        ),
        (
            "POST", "/v1/items", #"{"price":12.5e1,"stock":30e-1}"#,
            .newAccount(.item, price: Amount(12_500), balance: Amount(3))
        ),
        (
            "PUT", "/v1/orders/o/lines", #"{"lines":[{"item_id":"a","units":1},{"item_id":"a","units":2.0}]}"#,
            .shown(.setLines(order: id("o"), [ItemUnits(item: id("a"), units: Amount(3))], tags: nil))
        ),
        ("POST", "/v1/users", "", .newAccount(.user, price: .zero, balance: .zero)),
        ("POST", "/v1/users", #"{"credit":"100"}"#, .newAccount(.user, price: .zero, balance: Amount(10_000))),
        (
            "POST", "/v1/users/u/adjustments", #"{"amount":"-0.01"}"#,
            .ledger(LedgerCommand(GroupKey(.user, id("u")), .withdraw(Amount(1))))
        ),
        (
            "POST", "/v1/users/u/adjustments", #"{"amount":12}"#,
            .ledger(LedgerCommand(GroupKey(.user, id("u")), .deposit(Amount(1_200))))
        ),
        (
            "POST", "/v1/orders", #"{"user_id":"u","lines":\#(lines)}"#,
            .shown(.newOrder(NewOrder(user: id("u"), lines: wanted, checksOut: false)))
        ),
        (
            "POST", "/v1/orders", #"{"user_id":"u","lines":[]}"#,
            .shown(.newOrder(NewOrder(user: id("u"), lines: [], checksOut: false)))
        ),
        ("PUT", "/v1/orders/o/lines", #"{"lines":\#(lines)}"#, .shown(.setLines(order: id("o"), wanted, tags: nil))),
        ("POST", "/v1/orders/o/checkout", "", .shown(.checkout(order: id("o")))),
        ("POST", "/v1/orders/o/checkout", "{}", .shown(.checkout(order: id("o")))),
        ("DELETE", "/v1/orders/o", "", .shown(.order(OrderCommand(id("o"), .remove)))),
        (
            "POST", "/v1/orders/o/reservation", #"{"seconds":86400}"#,
            .shown(.reserve(order: id("o"), seconds: Limits.reservationSeconds))
        ),
        ("DELETE", "/v1/orders/o/reservation", "", .shown(.giveBack(order: id("o")))),
    ]

    @Test(arguments: good) func `a body says what the shop is asked`(
        method: String, path: String, body: String, expected: ShopRequest
    ) throws {
        #expect(try send(method, path, body).asked == [expected])
    }

    private static let bad: [(String, String, String, String?)] = [
        ("POST", "/v1/items", "", ""), ("POST", "/v1/items", "{", ""), ("POST", "/v1/items", "[]", ""),
        ("POST", "/v1/items", "{}", "/price"), ("POST", "/v1/items", #"{"price":-1}"#, "/price"),
        ("POST", "/v1/items", #"{"price":1.001}"#, "/price"), ("POST", "/v1/items", #"{"price":1e-3}"#, "/price"),
        ("POST", "/v1/items", #"{"price":1e99}"#, "/price"),
        ("POST", "/v1/items", #"{"price":"x"}"#, "/price"), ("POST", "/v1/items", #"{"price":null}"#, "/price"),
        ("POST", "/v1/items", #"{"price":1,"stok":5}"#, "/stok"), ("POST", "/v1/items", #"{"price":1,"a/b~":5}"#, "/a~1b~0"),
        ("POST", "/v1/items", #"{"price":1,"price":2}"#, ""), ("POST", "/v1/items", #"{"price":1,"stock":-1}"#, "/stock"),
        ("POST", "/v1/items", #"{"price":1,"stock":1.5}"#, "/stock"),
        ("POST", "/v1/items", #"{"price":1,"stock":"1"}"#, "/stock"),
        ("POST", "/v1/items/a/adjustments", #"{"units":0}"#, "/units"),
        ("POST", "/v1/users/u/adjustments", #"{"amount":0}"#, "/amount"),
        ("POST", "/v1/users/u/adjustments", #"{"amount":1,"reason":5}"#, "/reason"),
        ("POST", "/v1/orders", #"{"user_id":7,"lines":[]}"#, "/user_id"), ("POST", "/v1/orders", #"{"user_id":"u"}"#, "/lines"),
        ("POST", "/v1/orders", #"{"user_id":"u","lines":{}}"#, "/lines"),
        ("POST", "/v1/orders", #"{"user_id":"u","lines":[{"item_id":"a"}]}"#, "/lines/0/units"),
        ("POST", "/v1/orders", #"{"user_id":"u","lines":[{"item_id":"a","units":1,"price":0}]}"#, "/lines/0/price"),
        ("POST", "/v1/orders", #"{"user_id":"u","lines":[],"checkout":true}"#, "/checkout"),
        ("POST", "/v1/orders", #"{"user_id":"u","lines":[],"checkout":"yes"}"#, "/checkout"),
        ("POST", "/v1/orders/o/reservation", "{}", "/seconds"),
        ("POST", "/v1/orders/o/reservation", #"{"seconds":0}"#, "/seconds"),
        ("POST", "/v1/orders/o/reservation", #"{"seconds":86401}"#, "/seconds"),
        ("POST", "/v1/orders/o/reservation", #"{"seconds":"60"}"#, "/seconds"),
        ("POST", "/v1/orders/o/reservation", #"{"seconds":60,"minutes":1}"#, "/minutes"),
        ("POST", "/v1/orders/o/checkout", #"{"fast":true}"#, "/fast"), ("POST", "/v1/orders/o%20/checkout", "", nil),
    ]

    @Test(arguments: bad) func `a body that is not as it should be asks for nothing, and the answer points to what is wrong`(
        method: String, path: String, body: String, pointer: String?
    ) throws {
        let (response, asked, _) = try send(method, path, body)
        #expect(response.status == 400)
        #expect(asked.isEmpty)
        let problem = try #require(try JSONSerialization.jsonObject(with: Data(response.body.utf8)) as? [String: Any])
        #expect(problem["pointer"] as? String == pointer)
    }

    @Test(arguments: [(-5, 1...1), (30, 27...30), (86_000, 60...60)])
    func `who wants what is reserved is told when to come back`(seconds: Int64, expected: ClosedRange<Int>) throws {
        let item = GroupKey(.item, id("a"))
        let until = (Int64(Date().timeIntervalSince1970) + seconds) * 1_000
        for (path, answer) in [
            ("/v1/orders/o/checkout", ShopAnswer.checkout(.refused(.reserved(account: item, until: until)))),
            ("/stock/subtract/a/1", .ledger(.reserved(until: until))),
        ] {
            let response = try send("POST", path, "", headers: []) { _ in answer }.response
            #expect(response.status == 409)
            #expect(response.body.contains("/problems/contended") && response.body.contains("reserved"))
            #expect(expected.contains(Int(response.headers["retry-after"] ?? "") ?? 0))
        }
    }

    @Test func `a reserved order says until when, and what may not be done says why`() throws {
        var order = Order(user: id("u"), incarnation: 1, created: 1_700_000_000_000)
        order.lines = [OrderLine(item: id("a"), units: Amount(2), price: Amount(725))]
        order.total = Amount(1_450)
        (order.status, order.reservation) = (.reserved, Reservation(attempt: 1, until: 1_700_000_600_000, grants: [1]))
        let shown = try send("POST", "/v1/orders/o/reservation", #"{"seconds":600}"#) { [order] _ in
            .shown(id("o"), order, .checkout(.reserved))
        }.response
        #expect(shown.status == 200)
        #expect(shown.body.contains(#""state":"reserved""#))
        #expect(shown.body.contains(#""reserved_until":"2023-11-14T22:23:20.000Z""#))
        let refused = try send("POST", "/orders/addItem/o/a/1", "", headers: []) { _ in
            .order(.isReserved(until: 1_700_000_600_000))
        }.response
        #expect(refused.status == 409 && refused.body.contains("/problems/order-reserved"))
    }

    @Test func `a body is JSON by its type, and another type is refused`() throws {
        for type in ["application/json; charset=utf-8", "Application/JSON", " application/json\t"] {
            #expect(try send("POST", "/v1/items", #"{"price":1}"#, headers: ["Content-Type: \(type)"]).asked.count == 1)
        }
        for type in ["text/plain", "application/jsonx", "application/x-www-form-urlencoded", "json"] {
            #expect(try send("POST", "/v1/items", #"{"price":1}"#, headers: ["Content-Type: \(type)"]).response.status == 415)
        }
        #expect(try send("POST", "/v1/items", #"{"price":1}"#, headers: []).response.status == 415)
        #expect(try send("POST", "/orders/checkout/o", "what?", headers: []).asked == [.checkout(order: id("o"))])
    }

    @Test func `methods of one path are several routes`() throws {
        #expect(try send("PATCH", "/v1/orders/o", "").response.headers["allow"] == "GET, HEAD, DELETE")
        #expect(try send("GET", "/v1/orders/o", "").asked == [.order(OrderCommand(id("o"), .inspect))])
        #expect(try send("PUT", "/v1/items", "").response.headers["allow"] == "GET, HEAD, POST")
    }

    @Test func `If-Match is a list of tags, and no other route takes it`() throws {
        var order = Order(user: id("u"), incarnation: 5)
        let tag = EntityTag.text(order.tag)
        func tags(_ value: String) throws -> [UInt64]? {
            let asked = try send("PUT", "/v1/orders/o/lines", #"{"lines":[]}"#, headers: [Self.json, "If-Match: \(value)"])
                .asked
            guard case .shown(.setLines(_, _, let tags, _))? = asked.first else { return [0] }
            return tags
        }
        #expect(try tags(tag) == [order.tag])
        #expect(try tags("\"x\", \(tag)") == [order.tag])
        #expect(try tags("*") == nil)
        #expect(try tags("W/\(tag)") == [])
        #expect(
            try send("DELETE", "/v1/orders/o", "", headers: ["If-Match: \(tag)"]).asked == [
                .shown(.order(OrderCommand(id("o"), .remove, tags: [order.tag])))
            ])
        #expect(try send("POST", "/v1/orders/o/checkout", "", headers: ["If-Match: \(tag)"]).response.status == 400)
        order.status = .paid
        #expect(EntityTag.text(order.tag) != tag)
    }

    @Test func `an order is shown with its tag, with money as text, and whatever became of its checkout`() throws {
        var order = Order(user: id("u"), incarnation: 5, created: 1_700_000_000_000)
        _ = order.add(OrderLine(item: id("a"), units: Amount(2), price: Amount(725)))
        let made = order
        let body = #"{"user_id":"u","lines":[{"item_id":"a","units":2}],"checkout":true}"#
        let keyed = [Self.json, "Idempotency-Key: k"]
        let shown = try send("POST", "/v1/orders", body, headers: keyed) { _ in
            .shown(
                id("o"), made,
                .placed(
                    id("o"),
                    .checkout(.refused(.insufficient(account: GroupKey(.item, id("a")), wanted: Amount(2), left: Amount(1))))))
        }.response
        #expect(shown.status == 201)
        #expect(shown.headers["location"] == "/v1/orders/o")
        #expect(shown.headers["etag"] == EntityTag.text(order.tag))
        let json = try #require(try JSONSerialization.jsonObject(with: Data(shown.body.utf8)) as? [String: Any])
        #expect(json["state"] as? String == "open" && json["total"] as? String == "14.50")
        #expect(json["created_at"] as? String == "2023-11-14T22:13:20.000Z")
        #expect((json["checkout_problem"] as? [String: Any])?["type"] as? String == "/problems/out-of-stock")
        let unknown = try send("POST", "/v1/orders", body, headers: keyed) { _ in .placed(id("o"), .unknown) }.response
        #expect(unknown.status == 504 && unknown.headers["location"] == "/v1/orders/o")
        let replayed = try send("POST", "/v1/orders", body, headers: keyed) { _ in
            .shown(id("o"), made, .replayed(.placed(id("o"), .checkout(.paid))))
        }.response
        #expect(replayed.status == 201 && replayed.headers["idempotent-replayed"] == "true")
        #expect(!replayed.body.contains("checkout_problem"))
    }

    @Test func `credit from the start is for admins`() throws {
        var random = SystemRandomNumberGenerator()
        let (clerk, admin) = (BearerToken(random: &random), BearerToken(random: &random))
        let file = try TokenFile(
            "clerk payments sha256:\(clerk.digest) never\nboss payments,admin sha256:\(admin.digest) never\n")
        let access = AccessControl(credentials: Credentials(Credentials.Rules(file)))
        func send(_ token: BearerToken, _ body: String) throws -> (status: Int, note: TrailNote?) {
            let sent = try self.send(
                "POST", "/v1/users", body, headers: [Self.json, "Authorization: Bearer \(token.text)"], access: access
            ) { _ in .created(id("u")) }
            return (sent.response.status, sent.names.first??.note)
        }
        #expect(try send(clerk, "{}").status == 201)
        #expect(try send(clerk, #"{"credit":5}"#).status == 403)
        let made = try send(admin, #"{"credit":5}"#)
        #expect(made.status == 201)
        #expect(made.note?.arguments == [TrailNote.Argument(name: "credit", value: "5")])
        #expect(try send(admin, "{}").note == nil)
    }

    @Test func `pages of named origins may use /v1, and nothing else`() throws {
        let origins = try #require(AllowedOrigins(["https://shop.example"]))
        let access = AccessControl(origins: origins)
        let own = ["Origin: https://shop.example", "Sec-Fetch-Site: cross-site", Self.json]
        let made = try send("POST", "/v1/items", #"{"price":1}"#, headers: own, access: access) { _ in .created(id("a")) }
        #expect(made.response.status == 201)
        #expect(made.response.headers["access-control-allow-origin"] == "https://shop.example")
        #expect(made.response.headers["vary"] == "Origin")
        let asked = try send("OPTIONS", "/v1/items", "", headers: own, access: access)
        #expect(asked.response.status == 200 && asked.asked.isEmpty)
        #expect(asked.response.headers["access-control-allow-methods"]?.contains("PUT") == true)
        let old = try send("POST", "/stock/add/a/1", "", headers: own, access: access)
        #expect(old.response.status == 403 && old.response.headers["access-control-allow-origin"] == nil)
        for origin in ["https://shop.example.evil", "http://shop.example", "null", "https://shop.example:444"] {
            let foreign = try send(
                "POST", "/v1/items", #"{"price":1}"#, headers: ["Origin: \(origin)", Self.json], access: access)
            #expect(
                foreign.response.status == 403 && foreign.response.headers["access-control-allow-origin"] == nil, "\(origin)")
            #expect(try send("OPTIONS", "/v1/items", "", headers: ["Origin: \(origin)"], access: access).response.status == 403)
        }
        for wrong in ["*", "shop.example", "https://", "https://Shop.example", "https://a/b", "ftp://a"] {
            #expect(AllowedOrigins([wrong]) == nil, "\(wrong)")
        }
    }
}
