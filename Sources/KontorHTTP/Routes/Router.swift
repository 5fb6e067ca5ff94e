// From a method and a request target to what the shop is asked, to an answer of the listener's own, or to a problem.
// Pure. The routes themselves are values in the table (RouteTable.swift).

import KontorAccess
import KontorService
import NIOHTTP1

/// What a request line asks for.
enum RouteResult: Sendable {
    case shop(ShopCall)
    /// A question to the shop that the body completes.
    case body(BodyCall)
    /// A question that the listener answers itself: health, documentation.
    case listener(@Sendable (HTTPService) -> Response)
    case problem(Problem)
}

/// A request for the shop, and its route, which says how it is answered. It is an object because it goes through many
/// hands, and every copy of a request costs more than the object.
final class ShopCall: Sendable {
    let request: ShopRequest
    let entry: RouteTable.Entry
    /// Who asks; nil: callers are not told apart.
    let principal: Principal?

    init(_ request: ShopRequest, at entry: RouteTable.Entry, by principal: Principal? = nil) {
        self.request = request
        self.entry = entry
        self.principal = principal
    }
}

/// Finds what a request line asks for.
enum Router {
    /// Finds the route and reads its arguments. Checks in this order: the path (unknown: 404), the admin API (closed:
    /// 404), the method (wrong: 405), the caller (unknown: 401), what he may do (403), the arguments (malformed: 400),
    /// and whose they are (another user's: 404).
    ///
    /// - Parameters:
    ///   - uri: the request target, with or without a query; a whole URL is accepted too.
    ///   - isAdminOpen: whether the admin routes are known here.
    ///   - asker: who asks; nil: that is of no meaning.
    static func route(
        method: HTTPMethod, uri: String, isAdminOpen: Bool = true, asker: Asker? = nil
    ) -> RouteResult {
        do throws(Problem) {
            guard var path = try PathSegments(of: uri), let first = RouteTable.all.entry(at: path) else {
                return try page(method, uri)
            }
            let entry = try entry(of: method, from: first, isAdminOpen: isAdminOpen)
            let principal = try asker?.principal(for: entry.scopes)
            switch entry.route.handler {
            case .shop(let request):
                path.parts = entry.route.path
                guard let user = principal?.user else { return .shop(ShopCall(try request(path), at: entry, by: principal)) }
                return .shop(ShopCall(try request(path).restricted(to: user), at: entry, by: principal))
            case .query(let request):
                path.parts = entry.route.path
                var fields = try QueryFields(query(of: uri))
                let asked = try request(path, &fields)
                try fields.end()
                guard let user = principal?.user else { return .shop(ShopCall(asked, at: entry, by: principal)) }
                return .shop(ShopCall(try asked.restricted(to: user), at: entry, by: principal))
            case .body(let body):
                path.parts = entry.route.path
                return .body(BodyCall(path, at: entry, body, by: principal, isAdminOpen: isAdminOpen))
            case .listener(let respond): return .listener(respond)
            }
        } catch {
            return .problem(error)
        }
    }

    /// The route of a method, of those that have one path.
    private static func entry(
        of method: HTTPMethod, from first: RouteTable.Entry, isAdminOpen: Bool
    ) throws(Problem) -> RouteTable.Entry {
        let asked = MethodSet(method)
        var known: MethodSet = []
        var next: RouteTable.Entry? = first
        while let entry = next {
            next = entry.next
            if entry.route.access == .admin && !isAdminOpen { continue }
            if !asked.isEmpty, entry.route.methods.contains(asked) { return entry }
            known.formUnion(entry.route.methods)
        }
        throw known.isEmpty ? .adminRoute : .wrongMethod(allowed: known)
    }

    /// The page that a target without a route leads to.
    private static func page(_ method: HTTPMethod, _ uri: String) throws(Problem) -> RouteResult {
        guard let page = try ProblemPage.response(to: uri) else { throw .unknownRoute }
        guard MethodSet(method) == .get else { throw .wrongMethod(allowed: .get) }
        return .listener { _ in page }
    }

    /// The query of a request target; empty: there is none.
    static func query(of uri: String) -> String {
        uri.firstIndex(of: "?").map { String(uri[uri.index(after: $0)...]) } ?? ""
    }

    /// The path of a request target, without the query.
    static func path(of uri: String) -> String {
        uri.firstIndex(of: "?").map { String(uri[..<$0]) } ?? uri
    }
}
