// Somebody who asked for more than he may: worth a line of the log, because a token may be in the wrong hands, or a
// gateway not be named.

import KontorAccess
import NIOHTTP1

/// What a caller was refused, or a gateway that nobody has named.
public struct Forbidden: Sendable {
    /// The caller's name; empty: a gateway's.
    public let principal: String
    /// The client's, or empty.
    public let address: String
    /// The method and the path, shortened.
    public let request: String
    /// The words of the refusal.
    public let reason: String

    init(_ principal: Principal?, _ address: NetworkAddress?, _ head: HTTPRequestHead, _ problem: Problem) {
        self.principal = principal?.name ?? ""
        self.address = address?.text ?? ""
        request = "\(head.method) \(Router.path(of: head.uri).prefix(HTTPLimits.echoedCharacters))"
        reason = problem.detail
    }
}
