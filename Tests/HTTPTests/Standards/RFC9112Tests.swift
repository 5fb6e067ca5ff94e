// RFC 9112 (HTTP/1.1), section by section: what it demands of a server like ours, and what ours does. Demands on
// clients, proxies and caches, on TLS, and on bodies that answers here do not have are left out.

import Testing

@testable import KontorHTTP

@Suite(.serialized) struct RFC9112Tests {
    private static let live = request("GET /health/live")
    private static let hello = "5\r\nhello\r\n0\r\n\r\n"
    private static let chunked = "Transfer-Encoding: chunked"

    static let lines: [Requirement] = [
        .init("2.2", "an empty line before the request line is ignored", "\r\n" + live, [200]),
        .init("2.2", "a CR alone makes its element invalid", request("GET /health/live", "X: a\rb"), [400], .isClosed),
        .init(
            "2.2", "a line with white space in front of it, behind the request line, is not used",
            "GET /health/live HTTP/1.1\r\n Host: h\r\n\r\n", [400], .isClosed),
        .init(
            "2.2", "octets, not characters: bytes beyond ASCII are taken where they may be",
            bytes: Array("GET /health/live HTTP/1.1\r\nHost: h\r\nX: ".utf8) + [0xE9, 0xFF] + Array("\r\n\r\n".utf8), [200]),
        .init("2.3", "the version has capitals", "GET /health/live http/1.1\r\nHost: h\r\n\r\n", [400], .isClosed),
        .init(
            "2.3", "an HTTP/1.0 request is answered by the server's own version", "GET /health/live HTTP/1.0\r\n\r\n", [200],
            .isClosed, check: { $0.line.hasPrefix("HTTP/1.1 ") }),
        .init("3", "a malformed request line is a 400", "GET /health/live more HTTP/1.1\r\nHost: h\r\n\r\n", [400], .isClosed),
        .init("3.1", "methods differ by their case", request("get /health/live"), [400], .isClosed),
        .init(
            "3", "a target that is too long is a 414", request("GET /" + String(repeating: "x", count: 5_000)), [414],
            .isClosed),
        .init("3.2", "without Host: 400", "GET /health/live HTTP/1.1\r\n\r\n", [400], .isClosed),
        .init("3.2", "with two Hosts: 400", request("GET /health/live", "Host: h"), [400], .isClosed),
        .init("3.2", "an empty Host is one", "GET /health/live HTTP/1.1\r\nHost:\r\n\r\n", [200]),
        .init("3.2.1", "the query is no part of the path", request("GET /health/live?a=b"), [200]),
        .init("3.2.2", "a whole URL is accepted", request("GET http://h/health/live"), [200]),
        .init(
            "3.2.2", "a whole URL is what counts, not Host",
            "GET http://h:80/health/live HTTP/1.1\r\nHost: other\r\n\r\n", [200]),
        .init(
            "4", "a space is behind the status", request("GET /nothing"), [404], check: { $0.line.hasPrefix("HTTP/1.1 404 ") }),
    ]

    static let hosts: [Requirement] =
        [
            "a b", "a@b", "a/b", "h:x", "h:80:80", "[::1", "[]", "[::1]x", "http://h", "h?", "h#", "%", "%4", "%zz", "\"h\"",
            "h\u{e9}",
        ]
        .map {
            .init(
                "3.2", "a Host that is none: 400: \($0)", "GET /health/live HTTP/1.1\r\nHost: \($0)\r\n\r\n", [400], .isClosed)
        }
        + ["h", "127.0.0.1:8000", "[::1]", "[::1]:80", "[v1.a:b]", "a.b-c_d~e", "h:", "%41", "a,b", "a!$&'()*+;=b", "h \t"]
        .map { .init("3.2", "a Host that is one: \($0)", "GET /health/live HTTP/1.1\r\nHost: \($0)\r\n\r\n", [200]) }

    static let fields: [Requirement] = [
        .init(
            "5.1", "white space before the colon is a 400", "GET /health/live HTTP/1.1\r\nHost : h\r\n\r\n", [400], .isClosed),
        .init("5.1", "a line without a colon is a 400", request("GET /health/live", "X"), [400], .isClosed),
        .init("5.2", "a folded line is a 400", request("GET /health/live", "X: a\r\n b"), [400], .isClosed),
    ]

    static let bodies: [Requirement] =
        [
            .init(
                "6", "a body is read, so that the next request begins behind it",
                request("POST /stock/add/x/1", "Content-Length: 5", body: "GET /") + live, [200, 200]),
            .init(
                "6", "also that of a GET", request("GET /health/live", "Content-Length: 5", body: "GET /") + live, [200, 200]),
            .init(
                "6", "also that of a request that is refused", request("POST /nothing", "Content-Length: 2", body: "{}") + live,
                [404, 200]),
            .init("6.1", "chunks are parsed", request("POST /stock/add/x/1", chunked, body: hello), [200]),
            .init(
                "6.1", "their name in any case", request("POST /stock/add/x/1", "Transfer-Encoding: CHUNKED", body: hello),
                [200]),
            .init(
                "6.1", "Transfer-Encoding in HTTP/1.0: the connection ends",
                "POST /stock/add/x/1 HTTP/1.0\r\n"
                    + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hello, [400], .isClosed),
            .init(
                "6.1", "Transfer-Encoding beside Content-Length: the connection ends",
                request("POST /stock/add/x/1", "Content-Length: 5", chunked, body: hello), [400], .isClosed),
            .init(
                "6.3", "a last coding that is not chunked: 400", request("POST /stock/add/x/1", "Transfer-Encoding: gzip"),
                [400], .isClosed),
            .init(
                "6.3", "chunked that is not the last coding: 400",
                request("POST /stock/add/x/1", "Transfer-Encoding: chunked, gzip", body: hello), [400], .isClosed),
            .init(
                "6.3", "a coding whose name ends with chunked: 400",
                request("POST /stock/add/x/1", "Transfer-Encoding: xchunked"), [400], .isClosed),
            .init(
                "6.3", "two lengths that differ: 400", request("POST /stock/add/x/1", "Content-Length: 1", "Content-Length: 2"),
                [400], .isClosed),
            .init(
                "6.3", "a list of lengths that differ: 400", request("POST /stock/add/x/1", "Content-Length: 1, 2"), [400],
                .isClosed),
            .init(
                "7.1", "unknown extensions of chunks are ignored",
                request("POST /stock/add/x/1", chunked, body: "5;a=b;c\r\nhello\r\n0\r\n\r\n"), [200]),
            .init(
                "7.1", "a chunk without its end is invalid", request("POST /stock/add/x/1", chunked, body: "5\r\nhelloX\r\n"),
                [400], .isClosed),
            .init(
                "7.1", "a chunk's size does not overflow",
                request("POST /stock/add/x/1", chunked, body: "fffffffffffffffff\r\n"), [400], .isClosed),
            .init(
                "7.1.2", "a trailer is no header: its malformed key is not read",
                request("POST /stock/add/x/1", chunked, body: "0\r\nIdempotency-Key: a b\r\n\r\n"), [200]),
        ]
        + ["-1", "+1", "0x1", "1 1", "1.0", "a", "", "99999999999999999999999999"].map {
            .init(
                "6.2", "a length that is none: 400", request("POST /stock/add/x/1", "Content-Length: \($0)"), [400], .isClosed)
        }

    static let connections: [Requirement] =
        [
            .init("9.3", "HTTP/1.1 goes on", live, [200], check: { $0.headers["connection"] == nil }),
            .init("9.3", "HTTP/1.0 does not", "GET /health/live HTTP/1.0\r\n\r\n", [200], .isClosed),
            .init(
                "9.3", "HTTP/1.0 with keep-alive does, and is told so",
                "GET /health/live HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", [200],
                check: { $0.headers["connection"] == "keep-alive" }),
            .init(
                "9.3.2", "answers come in the order of their requests", request("GET /nothing") + live + request("PUT /docs"),
                [404, 200, 405]),
        ]
        + ["close", "Close", "keep-alive, close", "close, x", ", ,close", "close \t", "\t close"].map {
            .init(
                "9.6", "\($0): this answer is the last one, and says so",
                request("GET /health/live", "Connection: \($0)") + live, [200],
                .isClosed, check: { $0.headers["connection"] == "close" })
        }

    @Test(arguments: lines + hosts + fields) func `lines and fields are read as section 2 to 5 say`(row: Requirement) throws {
        try row.expectMet()
    }

    @Test(arguments: bodies) func `bodies end where section 6 and 7 say`(row: Requirement) throws { try row.expectMet() }

    @Test(arguments: connections) func `connections go on and end as section 9 says`(row: Requirement) throws {
        try row.expectMet()
    }
}
