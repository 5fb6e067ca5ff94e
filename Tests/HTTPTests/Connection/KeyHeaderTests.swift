// The Idempotency-Key header: which values are keys, which requests have one, and how a replay is told.

import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct KeyHeaderTests {
    private static let keys: [(header: String, key: String?)] = [
        ("abc", "abc"), (#""abc""#, "abc"), (#""a\"b\\c""#, #"a"b\c"#), (#"a\b"#, #"a\b"#), ("8e03978e-40d5", "8e03978e-40d5"),
        (String(repeating: "k", count: 255), String(repeating: "k", count: 255)),
        (String(repeating: "k", count: 256), nil), (#""abc"#, nil), (#"abc""#, nil), (#"a"b"#, nil), (#""""#, nil),
        (#""a b""#, nil), (#""a"b""#, nil), (#""a\n""#, nil), (#""a\"#, nil), ("", nil), ("a b", nil),
    ]

    @Test(arguments: keys) func `a key is quoted or bare, 1 to 255 visible characters`(header: String, key: String?) {
        #expect(IdempotencyKey(headerValue: header)?.text == key)
    }

    @Test func `the key reaches the shop with a POST and a DELETE, and a bad one changes nothing`() throws {
        try withServer { (server) throws in
            let client = try server.client()
            for method in ["POST", "DELETE"] {
                let path = method == "POST" ? "/stock/add/x/1" : "/orders/remove/o"
                _ = try client.exchange(method, path, headers: [#"Idempotency-Key: "k""#])
                for bad in [["Idempotency-Key: a b"], ["Idempotency-Key: a", "Idempotency-Key: b"], ["Idempotency-Key:"]] {
                    let refused = try client.exchange(method, path, headers: bad)
                    #expect(refused.status == 400)
                    #expect(refused.body.contains("Idempotency-Key"))
                }
            }
            #expect(try client.exchange("GET", "/stock/find/x", headers: ["Idempotency-Key: a b"]).status != 400)
            #expect(server.shop.submissions.map(\.name?.key?.text) == ["k", "k", nil])
        }
    }

    @Test func `a gateway's stamp is three headers or none, and a key of Kontor's own is no client's`() throws {
        let id = String(repeating: "0123456789abcdef", count: 2)
        let stamp = ["Kontor-Request: \(id)", "Kontor-Sent: 1700000000.125", "Kontor-Attempt: 2"]
        try withServer { (server) throws in
            let client = try server.client()
            _ = try client.exchange("POST", "/stock/add/x/1", headers: stamp + ["Idempotency-Key: gw-\(id)"])
            _ = try client.exchange("GET", "/stock/find/x", headers: stamp)
            let expected = RequestStamp(request: id, sent: 1_700_000_000_125, isRepeated: true)
            #expect(server.shop.submissions.map(\.name?.stamp) == [expected, nil])
            #expect(server.shop.submissions.first?.name?.key?.text == "gw-\(id)", "an ordinary key")
            for bad in [
                Array(stamp.dropFirst()), Array(stamp.dropLast()), [stamp[0] + "0"] + stamp.dropFirst(),
                [stamp[0], stamp[1], "Kontor-Attempt: 3"], [stamp[0], "Kontor-Sent: 17", stamp[2]],
                [stamp[0], "Kontor-Sent: -1.000", stamp[2]], ["Idempotency-Key: ~kontor:request:\(id)"],
            ] {
                #expect(try client.exchange("POST", "/stock/add/x/1", headers: bad).status == 400, "\(bad)")
            }
            #expect(server.shop.submissions.count == 2)
        }
    }

    @Test func `a replay has the body of the first answer, and says what it is`() throws {
        let answer = ShopAnswer.created(id("i"))
        let script = Script { request in request == .createUser ? .replayed(answer) : answer }
        try withServer(script: script) { (server) throws in
            let client = try server.client()
            let first = try client.exchange("POST", "/stock/item/create/5")
            #expect(first.headers["idempotent-replayed"] == nil)
            let replay = try client.exchange("POST", "/payment/create_user")
            #expect(replay.status == 200)
            #expect(replay.headers["idempotent-replayed"] == "true")
            #expect(replay.body == #"{"user_id":"i"}"#)
        }
    }
}
