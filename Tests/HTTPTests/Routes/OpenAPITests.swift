// The OpenAPI document and the page for people, compared with the routes that they describe.

import Foundation
import KontorCore
import KontorService
import NIOHTTP1
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct OpenAPITests {
    private static let methods: [String: HTTPMethod] = ["get": .GET, "post": .POST, "delete": .DELETE]

    /// The document as a client parses it.
    private let document: [String: Any]

    init() throws {
        let json = try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.response.body))
        document = try #require(json as? [String: Any])
    }

    private func member(_ path: String...) throws -> [String: Any] {
        try path.reduce(document) { try #require($0[$1] as? [String: Any], "\($1) of \(path)") }
    }

    private func operations() throws -> [(path: String, method: String, operation: [String: Any])] {
        try member("paths").flatMap { path, item in
            try #require(item as? [String: Any]).map { (path, $0, $1 as? [String: Any] ?? [:]) }
        }
    }

    private func resolve(_ reference: String) -> Any? {
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(document as Any?) { ($0 as? [String: Any])?[String($1)] }
    }

    private func resolved(_ value: [String: Any]) throws -> [String: Any] {
        guard let reference = value["$ref"] as? String else { return value }
        return try #require(resolve(reference) as? [String: Any])
    }

    @Test func `an operation says which scope a closed shop asks for, and that an open one asks for none`() throws {
        #expect(try member("components", "securitySchemes", "token")["scheme"] as? String == "bearer")
        for (path, _, operation) in try operations() {
            let name = try #require((operation["operationId"] as? String)?.split(separator: "By").first)
            let scopes = try #require(RouteTable.all.entry(named: String(name)), "\(path)").route.scopes
            let security = try #require(operation["security"] as? [[String: [String]]])
            #expect(security == (scopes.isEmpty ? [] : [[:], ["token": ["\(scopes)"]]]), "\(path)")
        }
    }

    @Test func `the document has what OpenAPI 3-1 asks for`() throws {
        #expect(document["openapi"] as? String == "3.1.0")
        #expect(Set(try member("info").keys).isSuperset(of: ["title", "version"]))
        let license = try member("info", "license") as? [String: String]
        #expect(license == ["name": "Apache License 2.0", "identifier": "Apache-2.0"])
        #expect(!(try member("paths").isEmpty))
        let ids = try operations().compactMap { $0.operation["operationId"] as? String }
        #expect(Set(ids).count == ids.count)
        #expect(try operations().count == ids.count)
        for (path, _, operation) in try operations() {
            let described = try #require(operation["parameters"] as? [[String: Any]]).map(resolved)
            let inPath = described.filter { $0["in"] as? String == "path" }.compactMap { $0["name"] as? String }
            let inTemplate = path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
            #expect(inPath == inTemplate)
            #expect(!(try #require(operation["responses"] as? [String: Any])).isEmpty)
        }
    }

    @Test func `every reference resolves`() throws {
        var references: [String] = []
        func collect(_ value: Any) {
            if let object = value as? [String: Any] {
                if let reference = object["$ref"] as? String { references.append(reference) }
                if let target = object["operationId"] as? String { references.append("operation \(target)") }
                object.values.forEach(collect)
            } else if let array = value as? [Any] {
                array.forEach(collect)
            }
        }
        collect(document)
        let ids = Set(try operations().compactMap { $0.operation["operationId"] as? String })
        #expect(references.count > 100)
        let broken = references.filter {
            $0.hasPrefix("operation ") ? !ids.contains(String($0.dropFirst(10))) : resolve($0) == nil
        }
        #expect(broken == [])
    }

    @Test func `every route is documented, with each of its methods`() throws {
        let documented = Set(try operations().map { "\($0.method) \($0.path)" })
        let served = RouteTable.all.routes.flatMap { route in
            route.methods.names.map { "\($0.lowercased()) \(route.template)" }
        }
        #expect(documented == Set(served))
        #expect(documented.count == served.count)
    }

    @Test(arguments: RouteTable.all.routes.map(\.name))
    func `a documented path with its example arguments leads to the route that it documents`(_ name: String) throws {
        let entry = try #require(RouteTable.all.entry(named: name))
        let path = entry.route.examplePath
        let segments = try #require(try PathSegments(of: path))
        let atPath = sequence(first: RouteTable.all.entry(at: segments)) { $0?.next }.prefix { $0 != nil }
        #expect(atPath.contains { $0 === entry })
        for method in entry.route.methods.names {
            if case .problem(let problem) = Lead(HTTPMethod(rawValue: method), path) {
                Issue.record("\(method) \(path): \(problem.detail)")
            }
        }
    }

    @Test func `the documented bounds of numbers are those that are kept`() throws {
        for route in RouteTable.all.routes {
            for parameter in route.parameters {
                let schema = try resolved(try member("components", "parameters", parameter.rawValue, "schema"))
                guard let least = schema["minimum"] as? Int64, let most = schema["maximum"] as? Int64 else { continue }
                #expect(accepts(route, parameter, "\(least)"))
                #expect(accepts(route, parameter, "\(most)"))
                #expect(!accepts(route, parameter, "\(least - 1)"))
                #expect(!accepts(route, parameter, "\(most + 1)"))
            }
        }
    }

    @Test(
        arguments: [
            (PathParameter.amount, ["0.01", "7.2334981", "99999999999.99"], ["0", "0.00", "1e3", "-1", "1.", "", "0.001"]),
            (.price, ["0", "0.000", "0.01", "99999999999"], ["0.001", "-1", ".5", "x", "1,5"]),
            (
                .item, ["a", ".", "..", "A-z_0.9~", String(repeating: "x", count: 64)],
                ["a b", "é", String(repeating: "x", count: 65)]
            ),
        ])
    func `the documented patterns are those that are kept`(_ parameter: PathParameter, _ good: [String], _ bad: [String]) throws
    {
        let schema = try resolved(try member("components", "parameters", parameter.rawValue, "schema"))
        let pattern = try Regex(try #require(schema["pattern"] as? String))
        let route = try #require(RouteTable.all.routes.first { $0.parameters.contains(parameter) })
        for (values, isGood) in [(good, true), (bad, false)] {
            for value in values {
                #expect((try pattern.wholeMatch(in: value) != nil) == isGood, "\(value)")
                #expect(accepts(route, parameter, value) == isGood, "\(value)")
            }
        }
    }

    /// Whether the route takes this argument, percent-encoded as clients do.
    private func accepts(_ route: Route, _ parameter: PathParameter, _ value: String) -> Bool {
        let encoded =
            value.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~"))) ?? ""
        let path = route.path.map { part in
            "/" + (part.parameter == parameter ? encoded : part.parameter?.exampleText ?? part.text)
        }.joined()
        if case .problem = Lead(HTTPMethod(rawValue: route.methods.names[0]), path) { return false }
        return true
    }

    @Test func `each documented status is a success or that of the problems beside it`() throws {
        let statuses = Dictionary(uniqueKeysWithValues: Problem.Kind.allCases.map { ($0.type, $0) })
        for (path, _, operation) in try operations() {
            for (status, response) in try #require(operation["responses"] as? [String: [String: Any]])
            where !status.hasPrefix("2") {
                let response = try resolved(response)
                let content = try #require(response["content"] as? [String: [String: Any]])
                let schema = try #require(content["application/problem+json"]?["schema"] as? [String: Any])
                #expect(schema["$ref"] as? String == "#/components/schemas/Problem")
                let properties = try #require(schema["properties"] as? [String: [String: [String]]])
                let kinds = try #require(properties["type"]?["enum"]).map { statuses[$0] }
                #expect(!kinds.isEmpty)
                #expect(kinds.allSatisfy { String($0?.status ?? 0) == status }, "\(status) of \(path)")
                let headers = response["headers"] as? [String: Any] ?? [:]
                #expect((headers["Retry-After"] != nil) == kinds.contains { $0?.retryAfterSeconds != nil })
                #expect((headers["Allow"] != nil) == (status == "405"))
            }
        }
    }

    @Test(arguments: OutcomeTests.problems.filter { $0.2 != .bug })
    func `each problem that an outcome becomes is documented at its route`(
        _ request: ShopRequest, _ answer: ShopAnswer, _ kind: Problem.Kind
    ) throws {
        let route = try #require(RouteTable.all.entry(of: request)).route
        #expect(route.allProblems.contains(kind), "\(kind) of \(route.name)")
    }

    @Test func `the documented examples are what the shop answers`() throws {
        let uuid = "6fd2a1f0-3d1c-4b6e-9b57-0c1f6d0f2a11"
        var order = Order(user: id("7"), incarnation: 1)
        order.lines = [
            OrderLine(item: id("3"), units: Amount(1), price: Amount(500)),
            OrderLine(item: id("8"), units: Amount(1), price: Amount(500)),
        ]
        order.total = Amount(1000)
        var resource = Order(user: id("7"), incarnation: 1, created: 1_769_860_800_000)
        _ = resource.add(OrderLine(item: id("3"), units: Amount(2), price: Amount(725)))
        var account = Account()
        account.price = Amount(500)
        // An explanation has times and words of its own; schemathesis compares it with its schema.
        for entry in RouteTable.all.entries where entry.route.name != "explainOrder" {
            let route = entry.route
            guard case .shop(let request) = Lead(HTTPMethod(rawValue: route.methods.names[0]), route.examplePath),
                let example = route.answer.example
            else { continue }
            account.balance = ["findUser", "getUser"].contains(route.name) ? Amount(9250) : Amount(100)
            let answers: [ShopAnswer] = [
                .created(id(uuid)), .initialized, .ledger(.account(account)), .paymentStatus(isPaid: true),
                .order(.order(order)), .order(.inspected(resource, nil)), .checkout(.paid), .ledger(.done), .order(.done),
            ]
            let responses = answers.map { OutcomeResponse.response(to: ShopCall(request, at: entry), $0) }
            let bodies = responses.filter { $0.status == 200 }.map(\.body)
            #expect(try bodies.contains { try parsed($0) == parsed(example.bytes) }, "\(route.name)")
        }
    }

    private func parsed(_ json: [UInt8]) throws -> NSDictionary {
        try #require(try JSONSerialization.jsonObject(with: Data(json)) as? NSDictionary)
    }

    @Test func `the page shows every route, needs nothing else, and has its text escaped`() {
        let html = DocsPage.html
        for route in RouteTable.all.routes {
            for method in route.methods.names {
                #expect(html.contains("id=\"\(route.operationID(method))\""))
                #expect(html.contains("data-method=\"\(method)\" data-path=\"\(route.template)\""))
            }
            #expect(html.contains("http://127.0.0.1:8000\(route.examplePath)</code>"))
        }
        #expect(Problem.Kind.allCases.allSatisfy { html.contains("<code>\($0.type)</code>") })
        for foreign in ["src=", "@import", "url(", "href=\"http", "//cdn"] { #expect(!html.contains(foreign)) }
        #expect(html.contains("{&quot;done&quot;:true}"))
        let ids = html.matches(of: /\bid="([^"]+)"/).map { String($0.1) }
        #expect(Set(ids).count == ids.count)
    }

    /// Generators of clients take them for what they are not, or refuse the whole document (D6).
    @Test func `no schema has a form that generators of clients do not know`() throws {
        var schemas = 0
        func look(_ value: Any, _ path: String) {
            if let object = value as? [String: Any] {
                if object["enum"] != nil || object["const"] != nil {
                    schemas += 1
                    // Beside a reference it narrows what that says.
                    #expect(object["type"] is String || path.hasSuffix(".schema.properties.type"), "\(path) has no type")
                }
                #expect(object["allOf"] == nil && !(object["items"] is Bool), "\(path)")
                for (name, member) in object { look(member, "\(path).\(name)") }
            } else if let array = value as? [Any] {
                for member in array { look(member, path) }
            }
        }
        look(document, "")
        #expect(schemas > 20)
    }

    @Test func `every listener serves the document and the page`() throws {
        try withServer { (server) throws in
            let document = try server.exchange("GET", "/openapi.json")
            #expect(document.status == 200)
            #expect(document.headers["content-type"] == "application/json")
            #expect(Array(document.body.utf8) == OpenAPIDocument.response.body)
            let page = try server.exchange("GET", "/docs")
            #expect(page.headers["content-type"] == "text/html; charset=utf-8")
            #expect(page.body.hasPrefix("<!doctype html>"))
            #expect(try server.exchange("POST", "/openapi.json").status == 405)
            let unknown = try server.exchange("GET", "/nothing")
            #expect(unknown.body.contains("/docs") && unknown.body.contains("/openapi.json"))
            #expect(server.shop.submissions.isEmpty)
        }
        try withServer(hasShop: false) { (server) throws in
            #expect(try server.exchange("GET", "/openapi.json").status == 200)
            #expect(try server.exchange("GET", "/docs").status == 200)
        }
    }
}
