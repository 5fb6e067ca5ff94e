// What keeps the web pages that somebody visits from using the shop that the visitor's browser can reach. A browser
// sends requests for any page, and says in headers of its own for which one. Clients that are no browsers send none of
// these headers, and notice nothing.

import NIOHTTP1

/// Decides whether a browser's request may be served. See the Fetch standard on `Origin`, and W3C's "Fetch Metadata
/// Request Headers" on `Sec-Fetch-Site`.
struct BrowserGuard: Sendable {
    /// The names under which the listener may be asked; nil: under any.
    let hosts: AllowedHosts?
    /// The origins whose pages may use /v1.
    var origins = AllowedOrigins()

    /// The origin of a page that may do what this request asks for, as any other client may; nil: no such page sent it.
    func openOrigin(_ headers: RequestHeaders, _ uri: String) -> String? {
        guard let origin = headers.origin, origins.contains(origin), uri.hasPrefix("/v1/") else { return nil }
        return origin
    }

    /// Why a request is refused; nil: it is not.
    ///
    /// What reads is refused by its `Host` alone: a page of another origin cannot see the answer.
    ///
    /// - Parameters:
    ///   - isOpen: whether the page that sends this may do what others may.
    ///   - isHostKnown: whether the name was looked at before, or a trusted proxy sends this, which knows the shop's
    ///     names.
    func refusal(
        of method: HTTPMethod, _ headers: RequestHeaders, isOpen: Bool = false, isHostKnown: Bool = false
    ) -> Problem? {
        if !isHostKnown, let hosts, let host = headers.host, !hosts.contains(host) { return .foreignHost(host) }
        if isOpen { return nil }
        // Nearly all clients send neither.
        guard headers.origin != nil || headers.fetchSite != nil else { return nil }
        if method == .GET || method == .HEAD { return nil }
        if let origin = headers.origin, !Self.isSame(origin: origin, host: headers.host ?? "") { return .foreignOrigin(origin) }
        switch headers.fetchSite {
        case nil, "same-origin", "none": return nil
        case let site?: return .foreignOrigin(headers.origin ?? site)
        }
    }

    /// Whether an origin has the host and port that the request was sent to. The scheme is not compared: a proxy in
    /// front may speak TLS.
    private static func isSame(origin: String, host: String) -> Bool {
        guard let colon = origin.utf8.firstIndex(of: UInt8(ascii: ":")), origin[colon...].hasPrefix("://") else { return false }
        let own = origin[..<colon] == "https" ? "443" : "80"
        let asked = HostName(host)
        let from = HostName(origin[colon...].dropFirst(3))
        return from.text.lowercased() == asked.text.lowercased()
            && (from.port ?? Substring(own)) == (asked.port ?? Substring(own))
    }
}

extension Problem {
    fileprivate static func foreignHost(_ host: String) -> Problem {
        let shown = host.prefix(HTTPLimits.echoedCharacters)
        return Problem(
            .foreignHost,
            "This shop does not answer under the name \(shown). Its operator can allow it with --allowed-hosts; nothing was begun."
        )
    }

    fileprivate static func foreignOrigin(_ origin: String) -> Problem {
        let shown = origin.prefix(HTTPLimits.echoedCharacters)
        return Problem(
            .foreignOrigin,
            "A browser sent this for a page of another site (\(shown)), which may change nothing here. Nothing was begun.")
    }
}
