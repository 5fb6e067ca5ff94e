// The origins whose pages may use /v1 (CORS, as the Fetch standard has it). None but those that an operator names.

import NIOHTTP1

/// A list of origins.
public struct AllowedOrigins: Sendable {
    private let origins: Set<String>

    /// None.
    public init() { origins = [] }

    /// - Parameter origins: each a scheme, a host, and a port if it is not the usual one, in lower case and without a
    ///   path: `https://shop.example`.
    /// - Returns: nil if one of them is none.
    public init?(_ origins: [String]) {
        for origin in origins {
            let parts = origin.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, ["http", "https"].contains(parts[0]), !parts[1].isEmpty, origin == origin.lowercased(),
                !parts[1].contains(where: { "/?#@*, ".contains($0) })
            else { return nil }
        }
        self.origins = Set(origins)
    }

    func contains(_ origin: String) -> Bool { !origins.isEmpty && origins.contains(origin) }
}

extension Response {
    /// What a browser is told that asks whether a page may send a request.
    static let preflight: Response = {
        var response = Response(status: 200, contentType: "text/plain; charset=utf-8", body: [])
        response.isPreflight = true
        return response
    }()

    /// The same, to be read by a page of this origin.
    func readable(by origin: String) -> Response {
        var response = self
        response.origin = origin
        return response
    }

    static let crossOriginMethods: StaticString = "GET, HEAD, POST, PUT, DELETE"
    static let crossOriginRequestHeaders: StaticString =
        "Authorization, Content-Type, Idempotency-Key, If-Match, Request-Timeout-Ms"
    static let crossOriginResponseHeaders: StaticString = "ETag, Idempotent-Replayed, Location, Retry-After"
}
