// What must hold for every route of the table, also for those to come, and how the table finds a path's route.

import KontorService
import NIOHTTP1
import Testing

@testable import KontorHTTP

@Suite struct RouteTableTests {
    private func route(_ name: String, _ path: [PathPart]) -> Route {
        Route(name, .post, path, tag: .order, effect: .write, summary: "Tests", answer: .orderChanged) { _ in .createUser }
    }

    private func find(_ uri: String, in table: RouteTable) throws -> String? {
        try PathSegments(of: uri).flatMap { table.entry(at: $0) }?.route.name
    }

    @Test func `a fixed segment is preferred to an argument, and the number of segments counts`() throws {
        let table = RouteTable([
            route("one", ["a", .order]), route("two", ["a", .order, "b"]), route("three", ["a", "all"]),
            route("four", ["a", .order, .item]), route("five", ["a"]),
        ])
        #expect(try find("/a", in: table) == "five")
        #expect(try find("/a/x", in: table) == "one")
        #expect(try find("/a/all", in: table) == "three")
        #expect(try find("/a/x/b", in: table) == "two")
        #expect(try find("/a/x/c", in: table) == "four")
        for unknown in ["/b", "/a/x/b/c", "/a/x/y/z", "/A/x"] { #expect(try find(unknown, in: table) == nil) }
        #expect(table.entries.map(\.number) == [0, 1, 2, 3, 4])
    }

    @Test(arguments: RouteTable.all.routes.map(\.name))
    func `a route fits the longest path, has a name of its own, and bears each parameter once`(name: String) throws {
        let route = try #require(RouteTable.all.entry(named: name)).route
        #expect((1...PathSegments.longest).contains(route.path.count))
        #expect(RouteTable.all.routes.filter { $0.name == name }.count == 1)
        #expect(Set(route.parameters).count == route.parameters.count)
        #expect(!route.methods.isEmpty)
    }

    @Test(arguments: RouteTable.all.routes.map(\.name))
    func `a route refuses a malformed value of each of its arguments, the first one first`(name: String) throws {
        let route = try #require(RouteTable.all.entry(named: name)).route
        // Its arguments are read with its body.
        if route.body != nil { return }
        for (number, parameter) in route.parameters.enumerated() {
            // Malformed from this argument on: the problem must be about this one.
            var seen = 0
            let path = route.path.map { part in
                guard let argument = part.parameter else { return "/" + part.text }
                seen += 1
                return "/" + (seen <= number ? argument.exampleText : "%21\(argument.rawValue)")
            }.joined()
            guard case .problem(let problem) = Lead(HTTPMethod(rawValue: route.methods.names[0]), path) else {
                Issue.record("\(path) was accepted")
                continue
            }
            #expect(problem.kind == .malformedRequest)
            #expect(problem.detail.hasSuffix(": !\(parameter.rawValue)"), "\(path): \(problem.detail)")
        }
    }

    @Test(arguments: RouteTable.all.routes.map(\.name))
    func `a route reads exactly if its request does`(name: String) throws {
        let route = try #require(RouteTable.all.entry(named: name)).route
        switch Lead(HTTPMethod(rawValue: route.methods.names[0]), route.examplePath) {
        case .shop(let request):
            #expect(route.effect == (request.isRead ? .read : .write))
            #expect(route.tag.service == request.service)
        case .body: #expect(route.effect == .write)
        case .listener: #expect(route.effect == .none)
        case .problem(let problem): Issue.record("\(name): \(problem.detail)")
        }
    }

    @Test func `routes that make stock or money of nothing are for admins, and say so`() {
        let admin = RouteTable.all.routes.filter { $0.access == .admin }
        #expect(
            Set(admin.map(\.name)) == [
                "createItem", "addStock", "subtractStock", "addFunds", "initItems", "initUsers", "initOrders",
                "newItem", "adjustItem", "adjustUser", "refundOrder",
            ])
        #expect(admin.allSatisfy { $0.notes.contains("--admin-api") && $0.problems.contains(.unknownRoute) })
        #expect(RouteTable.all.routes.allSatisfy { $0.access == .admin || !$0.notes.contains("--admin-api") })
    }

    @Test func `methods are named in one order, and a HEAD goes with a GET`() {
        #expect(MethodSet([.delete, .post, .get]).allowText == "GET, HEAD, POST, DELETE")
        #expect(MethodSet(.HEAD) == .get)
        #expect(MethodSet(.PUT) == .put)
        #expect(MethodSet(.PATCH).isEmpty)
    }
}
