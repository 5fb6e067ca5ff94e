// The HTTP methods of a route, and how they are named in headers and documents.

import NIOHTTP1

/// A set of the methods that routes have. HEAD counts as GET.
struct MethodSet: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let get = MethodSet(rawValue: 1)
    static let post = MethodSet(rawValue: 2)
    static let delete = MethodSet(rawValue: 4)
    static let put = MethodSet(rawValue: 8)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The set of one request's method; empty for a method that no route has.
    init(_ method: HTTPMethod) {
        switch method {
        case .GET, .HEAD: self = .get
        case .POST: self = .post
        case .DELETE: self = .delete
        case .PUT: self = .put
        default: self = []
        }
    }

    /// The names as documents show them: HEAD is left out.
    var names: [String] {
        [(MethodSet.get, "GET"), (.post, "POST"), (.put, "PUT"), (.delete, "DELETE")].filter { contains($0.0) }.map(\.1)
    }

    /// The value of an `Allow` header: HEAD follows GET.
    var allowText: String {
        names.flatMap { $0 == "GET" ? ["GET", "HEAD"] : [$0] }.joined(separator: ", ")
    }
}
