// Every route of the table, with every scope: who may ask for it, and who is bound to a user and asks for another's.

import KontorAccess
import KontorCore
import KontorService
import NIOHTTP1
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct AccessControlTests {
    private static let routes = RouteTable.all.routes.flatMap { route in route.methods.names.map { (route.name, $0) } }

    /// A token file with one token for each scope, one with all, and one of the user "1"; and their header values.
    private struct Tokens {
        var lines: [String] = []
        var headers: [String: String] = [:]

        init() {
            for (name, scope) in Scopes.named { add(name, "\(scope)") }
            add("all", Scopes.named.map(\.name).joined(separator: ","))
            add("user", "\(Scopes.ofUsers)", " user=1")
        }

        private mutating func add(_ name: String, _ scopes: String, _ user: String = "") {
            var random = SystemRandomNumberGenerator()
            let token = BearerToken(random: &random)
            headers[name] = "Bearer \(token.text)"
            lines.append("\(name) \(scopes) sha256:\(token.digest) never\(user)\n")
        }
    }

    private let tokens = Tokens()

    private func service() throws -> HTTPService {
        let credentials = Credentials(Credentials.Rules(try TokenFile(tokens.lines.joined())))
        return service(AccessControl(credentials: credentials))
    }

    private func service(_ access: AccessControl) -> HTTPService {
        let pages = [
            "/metrics": OperatorEndpoint(.metrics) { $1(OperatorPage(body: "")) },
            "/audit": OperatorEndpoint(.operate) { $1(OperatorPage(body: "")) },
            "/trail": OperatorEndpoint(.operate) { $1(OperatorPage(body: "")) },
        ]
        return HTTPService(
            shop: ScriptedShop(Script { _ in nil }), access: access, pages: pages,
            isReady: { true }, monotonicMilliseconds: { 0 })
    }

    private func asker(_ service: HTTPService, _ authorization: String?) -> Asker {
        let asker = Asker(service.access, CallerLimits(CallerRates()))
        asker.begin(authorization: authorization, address: nil, now: 0, wallSeconds: 0)
        return asker
    }

    /// The status of the refusal; nil: the request is let in.
    private func refusal(_ service: HTTPService, _ method: String, _ path: String, _ authorization: String?) throws -> Int? {
        do throws(Problem) {
            let target = try service.target(of: HTTPMethod(rawValue: method), path, by: asker(service, authorization))
            if case .ready(let response) = target { return response.status == 200 ? nil : response.status }
            return nil
        } catch {
            return error.kind.status
        }
    }

    /// What the contract says that a route needs, in its own words; nil: nothing.
    private func needed(_ name: String) -> String? {
        switch name {
        case "live", "ready", "openAPI", "docs": nil
        case "findItem", "findUser", "findOrder", "explainOrder", "paymentStatus", "getItem", "getUser", "getOrder",
            "orderTimeline", "listItems", "listUsers", "listOrders", "listRefunds":
            "read"
        case "createOrder", "addItem", "addOneItem", "removeItem", "removeOrder", "checkout", "placeOrder",
            "replaceLines", "checkOutOrder", "removeOpenOrder", "reserveOrder", "giveReservationBack":
            "orders"
        case "createUser", "pay", "payForOrder", "cancelPayment", "newUser": "payments"
        default: "admin"
        }
    }

    @Test(arguments: routes)
    func `a route lets in who has its scope, and nobody else`(name: String, method: String) throws {
        let service = try service()
        let route = try #require(RouteTable.all.entry(named: name)).route
        let needed = needed(name)
        #expect(try refusal(service, method, route.examplePath, nil) == (needed == nil ? nil : 401))
        #expect(try refusal(service, method, route.examplePath, "Bearer nobody") == (needed == nil ? nil : 401))
        #expect(try refusal(service, method, route.examplePath, tokens.headers["all"]) == nil)
        for (scope, _) in Scopes.named {
            let expected = needed == nil || needed == scope ? nil : 403
            #expect(try refusal(service, method, route.examplePath, tokens.headers[scope]) == expected, "\(scope)")
        }
    }

    @Test(arguments: [("/metrics", "metrics"), ("/audit", "operate"), ("/trail?limit=5", "operate")])
    func `an operators' page lets in who has its scope, and nobody else`(path: String, needed: String) throws {
        let service = try service()
        #expect(try refusal(service, "GET", path, nil) == 401)
        for (scope, _) in Scopes.named {
            #expect(try refusal(service, "GET", path, tokens.headers[scope]) == (scope == needed ? nil : 403))
        }
    }

    @Test func `who is bound to a user finds no other one`() throws {
        let service = try service()
        let user = tokens.headers["user"]
        for (method, path) in [
            ("GET", "/payment/find_user/"), ("POST", "/orders/create/"), ("POST", "/payment/pay/@/5"),
            ("POST", "/payment/pay/@/o/5"),
            ("POST", "/payment/cancel/@/o"), ("GET", "/payment/status/@/o"),
        ] {
            let template = path.contains("@") ? path : path + "@"
            #expect(try refusal(service, method, template.replacing("@", with: "1"), user) == nil)
            #expect(try refusal(service, method, template.replacing("@", with: "2"), user) == 404, "\(path)")
        }
        #expect(try refusal(service, "POST", "/payment/create_user", user) == 403)
        #expect(try refusal(service, "POST", "/payment/add_funds/1/5", user) == 403)
        #expect(try refusal(service, "GET", "/stock/find/x", user) == nil)
    }

    @Test(arguments: ["find", "checkout", "addItem", "removeItem", "remove", "explain"])
    func `what is asked of an order bears the user to whom its caller is bound`(name: String) throws {
        let path = ["addItem": "/orders/addItem/o/i/1", "removeItem": "/orders/removeItem/o/i"][name] ?? "/orders/\(name)/o"
        let method = ["find": "GET", "explain": "GET", "removeItem": "DELETE", "remove": "DELETE"][name] ?? "POST"
        let service = try service()
        let target = try service.target(of: HTTPMethod(rawValue: method), path, by: asker(service, tokens.headers["user"]))
        guard case .shop(let call) = target else {
            Issue.record("\(path) is not asked of the shop")
            return
        }
        let owner: Identifier? =
            switch call.request {
            case .checkout(_, let owner), .explain(_, let owner), .addItem(_, _, _, let owner): owner
            case .order(let command): command.owner
            default: nil
            }
        #expect(owner == id("1"))
    }

    @Test
    func `who sends a write again and is not let in is told that nobody knows, and who is no known gateway may not say so`()
        throws
    {
        let credentials = Credentials(Credentials.Rules(try TokenFile(tokens.lines.joined())))
        let id = String(repeating: "0123456789abcdef", count: 2)
        func stamp(_ attempt: Int) -> [String] {
            ["Kontor-Request: \(id)", "Kontor-Sent: 1700000000.125", "Kontor-Attempt: \(attempt)"]
        }
        var rates = CallerRates()
        rates.requests = 1
        for (proxy, isTrusted) in [("127.0.0.1", true), ("10.0.0.1", false)] {
            let access = AccessControl(credentials: credentials, proxies: TrustedProxies([proxy]), rates: rates)
            try withServer(access: access) { (server) throws in
                let client = try server.client()
                func status(_ attempt: Int, _ token: String) throws -> Int {
                    let authorization = "Authorization: \(tokens.headers[token] ?? "Bearer nobody")"
                    return try client.exchange("POST", "/stock/add/x/1", headers: stamp(attempt) + [authorization]).status
                }
                #expect(try [status(1, "nobody"), status(1, "read")] == [isTrusted ? 401 : 403, 403])
                #expect(try [status(2, "nobody"), status(2, "read")] == [504, 504])
                // The second copy of what was let in is not limited: the first one may have been.
                #expect(try (0..<5).map { _ in try status(2, "admin") } == Array(repeating: isTrusted ? 200 : 504, count: 5))
                // A gateway that is not known is told so, and nothing is done, or its second copy would be done again.
                #expect(try status(1, "admin") == (isTrusted ? 200 : 430))
                #expect(server.shop.submissions.count == (isTrusted ? 6 : 0))
                let foreign = try client.exchange("POST", "/stock/add/x/1", headers: stamp(2) + ["Origin: http://evil.example"])
                #expect(foreign.status == 504)
            }
        }
    }

    @Test func `a secret for metrics opens metrics and nothing else, and no other secret opens metrics then`() throws {
        let (link, metrics) = ("the secret of links", "the secret of metrics")
        let service = service(AccessControl(secrets: try SharedSecrets(link), metricsSecrets: try SharedSecrets(metrics)))
        #expect(try refusal(service, "GET", "/metrics", "Bearer \(metrics)") == nil)
        for authorization in [nil, "Bearer \(link)", "Bearer \(metrics)x"] {
            #expect(try refusal(service, "GET", "/metrics", authorization) == 401)
        }
        #expect(try refusal(service, "GET", "/audit", "Bearer \(metrics)") == 401)
        #expect(try refusal(service, "GET", "/audit", "Bearer \(link)") == nil)
        for (name, method) in Self.routes {
            let path = try #require(RouteTable.all.entry(named: name)).route.examplePath
            let status = needed(name) == nil ? nil : 401
            #expect(try refusal(service, method, path, "Bearer \(metrics)") == status, "\(method) \(path)")
            #expect(try refusal(service, method, path, "Bearer \(link)") == nil, "\(method) \(path)")
        }
    }

    @Test func `without a secret for metrics the secret of links opens them`() throws {
        let service = service(AccessControl(secrets: try SharedSecrets("the secret of links")))
        #expect(try refusal(service, "GET", "/metrics", "Bearer the secret of links") == nil)
        #expect(try refusal(service, "GET", "/metrics", "Bearer another secret of it") == 401)
    }

    @Test func `of two tokens none is taken`() throws {
        let credentials = Credentials(Credentials.Rules(try TokenFile(tokens.lines.joined())))
        try withServer(access: AccessControl(credentials: credentials)) { (server) throws in
            let two = ["Authorization: \(tokens.headers["read"] ?? "")", "Authorization: \(tokens.headers["all"] ?? "")"]
            #expect(try server.exchange("POST", "/stock/add/x/1", headers: two).status == 400)
            #expect(server.shop.submissions.isEmpty)
        }
    }
}
