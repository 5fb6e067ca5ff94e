// Who may ask at a listener at all. What he may ask for is decided by the table of routes.

import KontorAccess
import KontorService

/// The rules of one listener for those who ask.
public struct AccessControl: Sendable {
    /// What pages of other sites may not do.
    let browsers: BrowserGuard
    private let secret: SharedSecret?
    private let credentials: Credentials?

    /// - Parameters:
    ///   - hosts: the names under which the listener may be asked; nil: under any.
    ///   - secret: what requests must bear where there are no credentials; nil: nothing.
    ///   - credentials: which tokens requests may bear; nil: callers are not told apart.
    public init(hosts: AllowedHosts? = nil, secret: SharedSecret? = nil, credentials: Credentials? = nil) {
        browsers = BrowserGuard(hosts: hosts)
        self.secret = secret
        self.credentials = credentials
    }

    /// Whether nobody is asked who he is.
    var isOpen: Bool { secret == nil && credentials == nil }

    /// The caller of a request, who may ask it; nil: callers are not told apart, or everybody may ask this.
    ///
    /// - Parameters:
    ///   - scopes: what a caller needs; if that is nothing (health, documentation), nobody is asked who he is.
    ///   - now: wall clock, seconds since 1970.
    func principal(_ headers: RequestHeaders, for scopes: Scopes, now: Int64) throws(Problem) -> Principal? {
        if isOpen || scopes.isEmpty { return nil }
        guard let authorization = headers.authorization else { throw .tokenNeeded }
        guard let credentials else {
            if secret?.isBorne(by: authorization) == true { return nil }
            throw .tokenNeeded
        }
        switch credentials.bearer(of: authorization, now: now, mayVerify: { true }) {
        case .known(let principal):
            if scopes.isSubset(of: principal.scopes) { return principal }
            throw .forbidden(scopes)
        case .unknown: throw .tokenNeeded
        case .unverified: throw .notTaken
        }
    }
}
