// The settings of `kontor serve` that say who may ask, and under which names.

import ArgumentParser
import Foundation
import KontorAccess
import KontorCore
import KontorHTTP

struct AccessOptions: ParsableArguments {
    @Option(
        help: """
            A file with the tokens that callers may bear, made by "kontor token new". Without one, everybody may do everything. \
            (environment: KONTOR_AUTH)
            """)
    var auth: String?

    @Option(
        help: """
            A file with the public keys (PEM, curve P-256) of JWTs that are taken besides tokens; needs --auth. \
            (environment: KONTOR_JWT_KEYS)
            """)
    var jwtKeys: String?

    @Option(help: "The iss that a JWT must have. (environment: KONTOR_JWT_ISSUER)")
    var jwtIssuer: String?

    @Option(help: "One of the aud that a JWT must have. (environment: KONTOR_JWT_AUDIENCE)")
    var jwtAudience: String?

    @Option(
        help: """
            Names with a dot, with commas between them, under which the shop may be asked. Addresses and names without a dot are \
            allowed anyway. Asked for on 127.0.0.1 and on the operators' port, and everywhere once there is one. \
            (environment: KONTOR_ALLOWED_HOSTS)
            """)
    var allowedHosts: String?

    @Option(
        help: """
            Origins, with commas between them, such as https://shop.example, whose web pages may use /v1. Pages of all other sites may \
            not. (environment: KONTOR_CORS_ORIGINS)
            """)
    var corsOrigins: String?

    @Option(
        help: """
            Addresses and networks of proxies, with commas between them, such as 10.0.0.0/8: they alone may say for which client they \
            ask (X-Forwarded-For) and that they ask again (Kontor-Attempt), and they look after the names under which the shop is \
            asked. (environment: KONTOR_TRUSTED_PROXIES)
            """)
    var trustedProxies: String?

    @Option(
        help: """
            Requests a second that one caller may send, at most twice as many at once; 0: no limit. A caller is a token's name, \
            else an address. (default: 0; environment: KONTOR_CALLER_REQUESTS)
            """)
    var callerRequests: Int?

    @Option(
        help:
            "Items, users and orders a second that one caller may create. (default: 0, no limit; environment: KONTOR_CALLER_CREATIONS)"
    )
    var callerCreations: Int?

    @Option(
        help: """
            Idempotency keys of one caller that are kept at a time, roughly. (default: 0, no limit; environment: KONTOR_CALLER_KEYS)
            """)
    var callerKeys: Int?

    @Option(help: "Open connections of one address. (default: 0, no limit; environment: KONTOR_CALLER_CONNECTIONS)")
    var callerConnections: Int?
}

/// Who may ask, and under which names.
struct AccessSettings {
    /// Where the credentials are.
    struct Files: Hashable {
        let tokens: String
        /// nil: no JWTs are taken.
        let jwtKeys: String?
        let issuer: String?
        let audience: String?

        /// Reads them; throws an error in words for operators.
        func rules() throws -> Credentials.Rules {
            let file = try TextFile.parsed(tokens, "the token file") { try TokenFile($0) }
            let jwt = try jwtKeys.map { path in
                try TextFile.parsed(path, "the file of JWT keys") { try JWTRules(pem: $0, issuer: issuer, audience: audience) }
            }
            return Credentials.Rules(file, jwt: jwt)
        }
    }

    /// nil: callers are not told apart.
    let files: Files?
    private let names: [String]
    let origins: AllowedOrigins
    /// nil: there are none.
    let proxies: TrustedProxies?
    let rates: CallerRates

    init(_ options: AccessOptions) throws {
        names = Setting.list(options.allowedHosts, "allowed-hosts")
        // In a script it is a variable that was never set, and would open the shop.
        for (option, name) in [(options.auth, "auth"), (options.trustedProxies, "trusted-proxies")]
        where (option ?? ProcessInfo.processInfo.environment[Setting.key(name)])?.allSatisfy({ $0 == "," || $0 == " " }) == true
        {
            throw ValidationError("--\(name) (\(Setting.key(name))) is empty: leave it out, or say what it is.")
        }
        let origins = Setting.list(options.corsOrigins, "cors-origins")
        guard let allowed = AllowedOrigins(origins) else {
            throw ValidationError(
                "--cors-origins (\(Setting.key("cors-origins"))) is \"\(origins.joined(separator: ","))\": it must be origins, with "
                    + "commas between them, such as https://shop.example.")
        }
        self.origins = allowed
        let proxies = Setting.list(options.trustedProxies, "trusted-proxies")
        self.proxies = proxies.isEmpty ? nil : TrustedProxies(proxies)
        if self.proxies == nil, !proxies.isEmpty {
            throw ValidationError(
                "--trusted-proxies (\(Setting.key("trusted-proxies"))) is \"\(proxies.joined(separator: ","))\": it must be addresses and "
                    + "networks, with commas between them, such as 10.0.0.0/8.")
        }
        var rates = CallerRates()
        rates.requests = try Setting.number(options.callerRequests, "caller-requests", default: 0, in: 0...1_000_000)
        rates.creations = try Setting.number(options.callerCreations, "caller-creations", default: 0, in: 0...1_000_000)
        rates.connections = try Setting.number(options.callerConnections, "caller-connections", default: 0, in: 0...1_000_000)
        rates.keys = try Setting.number(options.callerKeys, "caller-keys", default: 0, in: 0...Limits.keptKeys)
        self.rates = rates
        func text(_ option: String?, _ name: String) -> String? {
            let text = Setting.text(option, name, default: "")
            return text.isEmpty ? nil : text
        }
        let keys = text(options.jwtKeys, "jwt-keys")
        guard let tokens = text(options.auth, "auth") else {
            if keys != nil { throw ValidationError("--jwt-keys needs --auth: a file of tokens, which may be empty.") }
            files = nil
            return
        }
        files = Files(
            tokens: tokens, jwtKeys: keys, issuer: text(options.jwtIssuer, "jwt-issuer"),
            audience: text(options.jwtAudience, "jwt-audience"))
    }

    /// The names under which the operators' listener may be asked.
    var hosts: AllowedHosts { AllowedHosts(names) }

    /// The names under which the public listener may be asked at an address; nil: under any. What listens to other
    /// machines is mostly behind a proxy that knows the names.
    func hosts(at address: String) -> AllowedHosts? { names.isEmpty && !Self.isLoopback(address) ? nil : hosts }

    /// Whether only this machine can reach an address.
    static func isLoopback(_ address: String) -> Bool {
        address == "localhost" || address == "::1" || address.hasPrefix("127.")
    }
}
