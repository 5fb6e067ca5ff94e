// What browsers send for pages of other sites, and what everybody else sends.

import NIOHTTP1
import Testing

@testable import KontorHTTP

@Suite struct BrowserGuardTests {
    private func refusal(
        _ method: HTTPMethod, hosts: AllowedHosts? = AllowedHosts(["shop.example"]), _ headers: [(String, String)]
    ) throws -> Problem.Kind? {
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/", headers: HTTPHeaders(headers))
        return BrowserGuard(hosts: hosts).refusal(of: method, try RequestHeaders(of: head))?.kind
    }

    private static let allowed = [
        "127.0.0.1", "127.0.0.1:8000", "10.1.2.3:80", "[::1]", "[::1]:8000", "localhost", "localhost:8000", "order-0:8100",
        "shop.example", "SHOP.example:443",
    ]
    private static let foreign = [
        "evil.example", "evil.example:8000", "shop.example.evil", "1.2.3.4.evil.example", "1.2.3", "1.2.3.4.5", "256.1.1.1",
        "+1.2.3.4",
        "localhost.", "127.0.0.1.", "a.b:80",
    ]

    @Test(arguments: allowed) func `a shop answers under addresses, names without a dot, and those that are allowed`(
        host: String
    ) throws {
        for method in [HTTPMethod.GET, .POST] { #expect(try refusal(method, [("Host", host)]) == nil) }
    }

    @Test(arguments: foreign) func `no other name leads to it`(host: String) throws {
        for method in [HTTPMethod.GET, .POST, .DELETE] {
            #expect(try refusal(method, [("Host", host)]) == .foreignHost)
            #expect(try refusal(method, hosts: nil, [("Host", host)]) == nil, "a proxy in front knows its names")
        }
    }

    private static let ownPages = [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"), ("localhost", "http://localhost"), ("localhost:80", "http://localhost"),
        ("shop.example", "https://shop.example"), ("shop.example:443", "https://SHOP.example"),
        ("shop.example", "https://shop.example:443"),
        ("[::1]:8000", "http://[::1]:8000"),
    ]

    @Test(arguments: ownPages) func `the shop's own pages may write`(host: String, origin: String) throws {
        let headers = [("Host", host), ("Origin", origin)]
        for site in [nil, "same-origin", "none"] {
            #expect(try refusal(.POST, headers + (site.map { [("Sec-Fetch-Site", $0)] } ?? [])) == nil)
        }
    }

    private static let foreignPages = [
        "null", "", "http://evil.example", "http://127.0.0.1:8001", "http://127.0.0.1", "http://localhost:8000", "file://",
        "http://127.0.0.1:8000.evil.example", "http://evil.example/127.0.0.1:8000", "127.0.0.1:8000", "https://127.0.0.1",
        "http://127.0.0.1:8000@evil.example",
    ]

    @Test(arguments: foreignPages) func `pages of other sites may not write, and reads are not for them to see`(origin: String)
        throws
    {
        let headers = [("Host", "127.0.0.1:8000"), ("Origin", origin)]
        for method in [HTTPMethod.POST, .DELETE, .PUT, .PATCH, .OPTIONS] {
            #expect(try refusal(method, headers) == .foreignOrigin)
        }
        for method in [HTTPMethod.GET, .HEAD] { #expect(try refusal(method, headers) == nil) }
    }

    @Test func `what a browser says of the page's site counts, also without an origin`() throws {
        for site in ["cross-site", "same-site", "unheard-of"] {
            #expect(try refusal(.POST, [("Host", "localhost"), ("Sec-Fetch-Site", site)]) == .foreignOrigin)
            let own = [("Host", "localhost"), ("Origin", "http://localhost"), ("Sec-Fetch-Site", site)]
            #expect(try refusal(.POST, own) == .foreignOrigin)
            #expect(try refusal(.GET, [("Host", "localhost"), ("Sec-Fetch-Site", site)]) == nil, "somebody follows a link")
        }
    }

    @Test func `a client that is no browser notices nothing`() throws {
        #expect(try refusal(.POST, [("Host", "localhost:8000")]) == nil)
    }

    @Test func `every answer tells browsers not to guess, frame or share it, and a refused write does not reach the shop`()
        throws
    {
        try withServer { (server) throws in
            for path in ["/docs", "/stock/find/x", "/nowhere", "/health/live"] {
                let answer = try server.exchange("GET", path)
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                #expect(answer.headers["content-security-policy"] == "frame-ancestors 'none'")
                #expect(answer.headers["cross-origin-resource-policy"] == "same-origin")
            }
            let before = server.shop.submissions.count
            let refused = try server.exchange("POST", "/payment/add_funds/u/5", headers: ["Origin: http://evil.example"])
            #expect(refused.status == 403 && server.shop.submissions.count == before)
        }
    }
}
