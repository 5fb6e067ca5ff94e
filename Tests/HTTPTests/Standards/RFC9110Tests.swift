// RFC 9110 (HTTP semantics), section by section: what it demands of an origin server like ours, and what ours does.
// What is not met has its reason, and what is done instead is tested all the same.

import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

@Suite(.serialized) struct RFC9110Tests {
    private static let secret = "a secret of some length"
    private static let live = request("GET /health/live")

    static let fields: [Requirement] = [
        .init(
            "5.1", "names of fields in any case", "POST /stock/add/x/1 HTTP/1.1\r\nhOsT: h\r\nCONTENT-LENGTH: 2\r\n\r\n{}",
            [200]),
        .init("5.1", "unknown fields are ignored", request("GET /health/live", "X-Y_Z!#$%&'*+-.^`|~9: a"), [200]),
        .init(
            "5.4", "fields that are too large: 4xx", request("GET /health/live", "X: " + String(repeating: "x", count: 20_000)),
            [431], .isClosed),
        .init("5.5", "NUL in a value: refused", request("GET /health/live", "X: a\0b"), [400], .isClosed),
        .init(
            "5.6.1", "empty elements of a list are ignored", request("GET /health/live", "Connection: , ,keep-alive,,"), [200]),
    ]

    /// Each field that is read, with a value that has an effect, and what that effect is.
    private static let blanks: [(field: String, value: String, line: String, body: String, status: Int)] = [
        ("Content-Length", "2", "POST /stock/add/x/1", "{}", 200),
        ("Idempotency-Key", "k", "POST /stock/add/x/1", "", 200),
        ("Idempotency-Key", "\"k\"", "DELETE /orders/remove/o", "", 500),
        ("Request-Timeout-Ms", "100", "POST /stock/add/x/1", "", 200),
        ("Transfer-Encoding", "chunked", "POST /stock/add/x/1", "0\r\n\r\n", 200),
        ("Connection", "keep-alive", "GET /health/live", "", 200),
    ]

    static let whiteSpace: [Requirement] =
        blanks.flatMap { field, value, line, body, status in
            ["\(value) ", "  \(value)", " \(value)  ", "\t\(value)"].map {
                Requirement(
                    "5.5", "white space around \(field) is no part of it", request(line, "\(field):\($0)", body: body), [status]
                )
            }
        }
        + blanks.filter { $0.field != "Content-Length" && $0.field != "Transfer-Encoding" }.map {
            field, value, line, body, status in
            Requirement(
                "5.5", "a tab behind \(field) is no part of it", request(line, "\(field): \(value)\t", body: body), [status])
        }

    static let methods: [Requirement] = [
        .init(
            "9.1", "GET and HEAD are supported", "HEAD /health/live HTTP/1.1\r\nHost: h\r\n\r\n", [200],
            check: { $0.headers["content-length"] == "17" }),
        .init("9.1", "a method that a path does not have: 405", request("PATCH /health/live"), [405]),
        .init("9.3.2", "HEAD of what is not there has no body either", "HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n", [404]),
        .init("9.3.6", "CONNECT to no port: refused", "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", [404], .isClosed),
        .init(
            "9.3.8", "TRACE is not served, so it reflects nothing", request("TRACE /health/live", "X: secret"), [405],
            check: { !$0.body.contains("secret") }),
        .init("10.2.1", "a 405 has Allow", request("PUT /orders/checkout/o"), [405], check: { $0.headers["allow"] == "POST" }),
        .init(
            "14.2", "Range is ignored by who has none", request("GET /health/live", "Range: bytes=0-1"), [200],
            check: { $0.body.count == 17 }),
        .init(
            "13.1.3", "If-Modified-Since is ignored where no date is kept",
            request("GET /health/live", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), [200]),
    ]

    static let expectations: [Requirement] = [
        .init(
            "10.1.1", "100-continue is answered before the body comes",
            request("POST /stock/add/x/1", "Expect: 100-continue", "Content-Length: 2", body: "{}"), [100, 200]),
        .init(
            "10.1.1", "in any case, and with white space",
            request("POST /stock/add/x/1", "Expect: 100-Continue \t", "Content-Length: 2", body: "{}"), [100, 200]),
        .init("10.1.1", "without a body none is asked for", request("POST /stock/add/x/1", "Expect: 100-continue"), [200]),
        .init(
            "10.1.1", "who refuses instead of reading says that the connection ends",
            request("POST /stock/add/x/1", "Expect: 100-continue", "Content-Length: 99999999"), [413], .isClosed,
            check: { $0.headers["connection"] == "close" }),
        .init(
            "15.2", "no 1xx for HTTP/1.0",
            "POST /stock/add/x/1 HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", [200], .isClosed),
    ]

    static let upgrades: [Requirement] = [
        .init(
            "7.8", "an Upgrade that is not wanted is ignored",
            request("GET /health/live", "Connection: Upgrade", "Upgrade: h2c"), [200], .isClosed),
        .init(
            "7.8", "and in HTTP/1.0 always", "GET /health/live HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", [200],
            .isClosed),
    ]

    static let dates: [Requirement] = [("GET /health/live", 200), ("GET /nothing", 404), ("PUT /docs", 405)].map {
        line, status in
        .init(
            "6.6.1", "2xx, 3xx and 4xx have a Date", request(line), [status],
            check: { $0.headers["date"]?.hasSuffix(" GMT") == true })
    }

    static let unmet: [Requirement] = [
        .init(
            "13.2.1", "If-Match is evaluated", request("POST /stock/add/x/1", "If-Match: \"x\""), [200],
            unmet:
                "The routes of the course are actions, not resources: they have no representation with an ETag that could match."
        ),
        .init(
            "9.1", "an unknown method is a 501", request("BREW /health/live"), [400], .isClosed,
            unmet:
                "A SHOULD. Whatever has no effect is a 4xx here, because the public load tests take every other status for done."
        ),
        .init(
            "9112 6.1", "an unknown transfer coding is a 501",
            request("POST /stock/add/x/1", "Transfer-Encoding: gzip, chunked", body: "0\r\n\r\n"), [200],
            unmet: "A SHOULD. Bodies are thrown away unread, so it does not matter how they are coded; where they end is known."
        ),
        .init(
            "15.6.6", "an unknown major version is a 505", "GET /health/live HTTP/2.0\r\nHost: h\r\n\r\n", [400], .isClosed,
            unmet: "A SHOULD. Whatever has no effect is a 4xx here."),
        .init(
            "5.5", "a tab behind Content-Length is no part of it",
            request("POST /stock/add/x/1", "Content-Length: 2\t", body: "{}"), [400], .isClosed,
            unmet:
                "The decoder (llhttp) takes spaces there and no tab. It refuses, so nobody takes the request for another one."),
        .init(
            "5.5", "a tab behind Transfer-Encoding is no part of it",
            request("POST /stock/add/x/1", "Transfer-Encoding: chunked\t", body: "0\r\n\r\n"), [400], .isClosed,
            unmet: "As for Content-Length."),
    ]

    @Test(arguments: fields + whiteSpace) func `fields are read as section 5 says`(row: Requirement) throws {
        try row.expectMet()
    }

    @Test(arguments: methods + expectations + upgrades + dates)
    func `methods, expectations and answers are as sections 6 to 15 say`(row: Requirement) throws { try row.expectMet() }

    @Test(arguments: unmet) func `what is not met has a reason, and is a decision`(row: Requirement) throws {
        #expect(row.reason?.hasSuffix(".") == true)
        try row.expectMet()
    }

    @Test func `white space around a key, a deadline and a stamp is no part of them`() throws {
        let stamp = String(repeating: "0123456789abcdef", count: 2)
        let headers = [
            "Idempotency-Key: k \t", "Request-Timeout-Ms:\t 700 ", "Kontor-Request: \(stamp)\t", "Kontor-Sent: 1700000000.125 ",
            "Kontor-Attempt:  2\t ",
        ]
        try withServer { (server) throws in
            let before = server.clock.monotonicMilliseconds
            #expect(try server.exchange("POST", "/stock/add/x/1", headers: headers).status == 200)
            let submission = try #require(server.shop.submissions.first)
            #expect(submission.name?.key?.text == "k")
            #expect(submission.name?.stamp == RequestStamp(request: stamp, sent: 1_700_000_000_125, isRepeated: true))
            #expect(submission.deadline == before + 700)
        }
    }

    @Test(arguments: ["Bearer", "bearer", "BEARER", "bEaReR"])
    func `who proves nothing is told how, and the scheme has any case`(scheme: String) throws {
        let secrets = try SharedSecrets(Self.secret)
        for wrong in [
            nil, "Basic \(Self.secret)", Self.secret, "\(scheme)\(Self.secret)", "\(scheme) \(Self.secret)x", "\(scheme)",
        ] {
            let header = wrong.map { ["Authorization: \($0)"] } ?? []
            let row = Requirement(
                "15.5.2, 11.6.1", "a 401 has WWW-Authenticate",
                (["POST /stock/add/x/1 HTTP/1.1", "Host: h"] + header).joined(separator: "\r\n") + "\r\n\r\n", [401],
                check: { $0.headers["www-authenticate"] == "Bearer realm=\"kontor\"" && $0.line == "HTTP/1.1 401 Unauthorized" }
            )
            try row.expectMet(secrets: secrets)
        }
        for right in ["\(scheme) \(Self.secret)", "\(scheme)   \(Self.secret) \t"] {
            try Requirement("11.1", "the scheme in any case", request("POST /stock/add/x/1", "Authorization: \(right)"), [200])
                .expectMet(secrets: secrets)
        }
    }

    @Test func `only spaces and tabs are white space, whatever is beside them`() {
        for (value, trimmed) in [
            ("a", "a"), (" a\t", "a"), ("\t \t", ""), ("", ""), ("a b", "a b"), (" \u{301}k", "\u{301}k"),
            ("\u{600} ", "\u{600}"),
            ("\u{A0}a\u{A0}", "\u{A0}a\u{A0}"),
        ] {
            #expect(Array(FieldValue.trimmed(value).utf8) == Array(trimmed.utf8), "\(value.debugDescription)")
        }
    }

    @Test func `of two deadlines none is taken`() throws {
        try withServer { (server) throws in
            let two = ["Request-Timeout-Ms: 100", "Request-Timeout-Ms: 30000"]
            let refused = try server.exchange("POST", "/stock/add/x/1", headers: two)
            #expect(refused.status == 400 && refused.body.contains("more than one Request-Timeout-Ms"))
            #expect(server.shop.submissions.isEmpty)
        }
    }
}
