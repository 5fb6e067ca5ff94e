// The pages that the types of problems lead to, and the way from `/`.

import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct ProblemPageTests {
    @Test(arguments: Problem.Kind.allCases) func `each type of problem leads to a page that explains it`(kind: Problem.Kind)
        throws
    {
        try withServer(hasShop: false) { (server) throws in
            #expect(try server.exchange("GET", kind.type).status == 200, "operators' ports have the pages, too")
        }
        try withServer { (server) throws in
            let page = try server.exchange("GET", kind.type)
            #expect(page.status == 200)
            #expect(page.headers["content-type"] == "text/html; charset=utf-8")
            for text in [kind.title, kind.meaning, kind.effect, kind.advice] {
                #expect(!text.isEmpty && page.body.contains(DocsPage.escaped(text)), "\(text)")
            }
            #expect(page.body.contains("Retry-After") == (kind.retryAfterSeconds != nil))
            #expect(try server.exchange("HEAD", kind.type).headers["content-length"] == page.headers["content-length"])
            #expect(try server.exchange("POST", kind.type).headers["allow"] == "GET, HEAD")
        }
    }

    @Test func `a page promises no effect exactly where the status does`() {
        for kind in Problem.Kind.allCases {
            let isUnknown = kind.status == 500 || kind.status == 504
            #expect(kind.effect.hasPrefix("None") == !isUnknown, "\(kind)")
        }
        #expect(Set(Problem.Kind.allCases.map(\.meaning)).count == Problem.Kind.allCases.count)
    }

    @Test(arguments: ["/", "/?a=b", "http://h/", "http://h", "http://h/?a", "/problems", "http://h/problems"])
    func `the root and the root of problems lead to the documentation`(target: String) throws {
        try withServer { (server) throws in
            let answer = try server.exchange("GET", target)
            #expect(answer.status == 302 && answer.line == "HTTP/1.1 302 Found")
            let isProblems = target.hasSuffix("problems")
            #expect(answer.headers["location"] == (isProblems ? "/docs#problems" : "/docs"))
            #expect(try server.exchange("POST", target).status == 405)
        }
    }

    @Test(arguments: [
        "//", "http://", "http:///", "http://?a", "/problems/", "/problems/nothing", "/problems/out-of-stock/x", "/x", "*",
        "http://h/x/", "/problem/out-of-stock",
    ])
    func `what is no page is still unknown`(target: String) throws {
        try withServer { (server) throws in
            let answer = try server.exchange("GET", target)
            #expect(answer.status == 404 && answer.body.contains("/problems/unknown-route"))
        }
    }
}
