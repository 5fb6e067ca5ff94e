// Who may ask at a listener at all. What he may ask for is decided by the table of routes.

import KontorAccess
import KontorService

/// The rules of one listener for those who ask.
public final class AccessControl: Sendable {
    /// What pages of other sites may not do.
    let browsers: BrowserGuard
    fileprivate let secrets: SharedSecrets?
    fileprivate let metricsSecrets: SharedSecrets?
    fileprivate let credentials: Credentials?
    /// nil: none are named. ``mayStamp(isProxy:)`` says from whom a stamp is taken then.
    let proxies: TrustedProxies?
    let rates: CallerRates
    /// Whether nobody is asked who he is.
    let isOpen: Bool

    /// - Parameters:
    ///   - hosts: the names under which the listener may be asked; nil: under any.
    ///   - origins: whose pages may use /v1.
    ///   - secrets: of which requests must bear one where there are no credentials; nil: they need none.
    ///   - metricsSecrets: of which requests for metrics must bear one instead, and which open nothing else; nil:
    ///     `secrets` open metrics, too.
    ///   - credentials: which tokens requests may bear; nil: callers are not told apart.
    ///   - proxies: who may say for which client it asks, and that it asks again; they also know under which names the
    ///     shop may be asked. nil: nobody may say the first, and everybody the second unless there are credentials.
    ///   - rates: how much one caller may ask for.
    public init(
        hosts: AllowedHosts? = nil, origins: AllowedOrigins = AllowedOrigins(), secrets: SharedSecrets? = nil,
        metricsSecrets: SharedSecrets? = nil,
        credentials: Credentials? = nil, proxies: TrustedProxies? = nil, rates: CallerRates = CallerRates()
    ) {
        browsers = BrowserGuard(hosts: hosts, origins: origins)
        self.secrets = secrets
        self.metricsSecrets = metricsSecrets
        self.credentials = credentials
        self.proxies = proxies
        self.rates = rates
        isOpen = secrets == nil && credentials == nil
    }

    /// Whether somebody may say that he is a gateway, which can send a write again. Where callers are told apart, only
    /// a trusted proxy may: what is kept of stamps takes the place of everybody's keys.
    func mayStamp(isProxy: Bool) -> Bool { isProxy || (proxies == nil && credentials == nil) }
}

/// Somebody who asks at a listener that asks who he is. An object, since most listeners do not, and pass none around;
/// each event loop has one, for one request after the other.
final class Asker {
    private let access: AccessControl
    private let limits: CallerLimits
    /// nil: callers are not told apart.
    private var entrance: Credentials.Entrance?
    /// The value of the header; nil: there is none.
    private var authorization: String?
    /// The client's, as far as it is known.
    private var address: NetworkAddress?
    /// Monotonic milliseconds.
    private var now: Int64 = 0
    /// Seconds since 1970.
    private var wallSeconds: Int64 = 0
    /// Who it is; nil: nobody knows, or nobody has asked yet.
    private(set) var found: Principal?

    init(_ access: AccessControl, _ limits: CallerLimits) {
        self.access = access
        self.limits = limits
        entrance = access.credentials.map { Credentials.Entrance($0) }
    }

    /// Another request begins, of which nothing is known yet.
    func begin(authorization: String?, address: NetworkAddress?, now: Int64, wallSeconds: Int64) {
        self.authorization = authorization
        self.address = address
        self.now = now
        self.wallSeconds = wallSeconds
        found = nil
    }

    /// Who it is, if he may ask for something; nil: callers are not told apart, or everybody may ask for this.
    ///
    /// - Parameter scopes: what a caller needs; if that is nothing (health, documentation), nobody is asked who he is.
    func principal(for scopes: Scopes) throws(Problem) -> Principal? {
        if scopes.isEmpty { return nil }
        guard access.credentials != nil else {
            let secrets = scopes == .metrics ? access.metricsSecrets ?? access.secrets : access.secrets
            if let authorization, secrets?.isBorne(by: authorization.utf8) == true { return nil }
            throw .secretNeeded
        }
        guard let authorization else { throw .tokenNeeded }
        let principal: Principal
        if let known = entrance?.known(authorization, now: wallSeconds) {
            principal = known
        } else {
            principal = try look(for: authorization)
        }
        found = principal
        if scopes.isSubset(of: principal.scopes) { return principal }
        throw .forbidden(scopes)
    }

    private func look(for authorization: String) throws(Problem) -> Principal {
        let bearer = entrance?.bearer(of: authorization, now: wallSeconds) {
            limits.take(.verification, for: address, now: now)
        }
        switch bearer ?? .unknown {
        case .known(let principal): return principal
        case .unknown: throw .tokenNeeded
        case .unverified: throw .callerLimit("\(CallerLimits.verifications) tokens a second that are to be verified")
        }
    }
}
