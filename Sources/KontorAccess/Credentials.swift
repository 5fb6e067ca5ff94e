// All that callers can show, and what was found of it lately.

import Crypto
import Synchronization

/// Finds out who bears a token. From any thread.
public final class Credentials: Sendable {
    /// What holds at present.
    public struct Rules: Sendable {
        var principals: [TokenDigest: Principal]
        var jwt: JWTRules?

        /// - Parameters:
        ///   - file: the tokens.
        ///   - jwt: which JWTs are taken; nil: none.
        public init(_ file: TokenFile, jwt: JWTRules? = nil) {
            principals = Dictionary(uniqueKeysWithValues: file.entries.map { ($0.digest, $0.principal) })
            self.jwt = jwt
        }
    }

    /// Who bears a token.
    public enum Bearer: Sendable {
        case known(Principal)
        /// Nobody, or the token is not valid any more.
        case unknown
        /// A signature would have to be verified, which is not done for this caller now.
        case unverified
    }

    /// Header values whose tokens were found to be valid, with their callers: a second look costs no hash, and no
    /// signature. About 4 KiB each at worst.
    static let remembered = 4_096

    private struct State {
        var rules: Rules
        /// Rises when the rules change.
        var generation = 0
        var known: [String: Principal] = [:]
    }

    private let state: Mutex<State>

    /// Makes credentials with the rules that hold first.
    public init(_ rules: Rules) { state = Mutex(State(rules: rules)) }

    /// Replaces what holds. A token that is not among it any more is unknown from now on.
    public func replace(by rules: Rules) {
        state.withLock { $0 = State(rules: rules, generation: $0.generation + 1) }
    }

    /// Finds out who bears a token.
    ///
    /// - Parameters:
    ///   - authorization: the value of the header.
    ///   - now: wall clock, seconds since 1970.
    ///   - mayVerify: whether a signature may be verified, which costs 100 times as much as all else. Asked only if
    ///     need be.
    public func bearer(of authorization: String, now: Int64, mayVerify: () -> Bool) -> Bearer {
        if let known = state.withLock({ $0.known[authorization] }) { return known.expires > now ? .known(known) : .unknown }
        let (rules, generation) = state.withLock { ($0.rules, $0.generation) }
        guard let token = Self.token(authorization) else { return .unknown }
        if let found = rules.principals[TokenDigest(of: token)] {
            return remember(found, of: authorization, in: generation, now: now)
        }
        guard let jwt = rules.jwt, JWTRules.isPossible(token) else { return .unknown }
        guard mayVerify() else { return .unverified }
        guard let found = jwt.principal(of: token, now: now) else { return .unknown }
        return remember(found, of: authorization, in: generation, now: now)
    }

    private func remember(_ principal: Principal, of authorization: String, in generation: Int, now: Int64) -> Bearer {
        guard principal.expires > now else { return .unknown }
        // Somebody who adds blanks to his token does not make the others be forgotten.
        if authorization.utf8.dropFirst(7).first == UInt8(ascii: " ") { return .known(principal) }
        state.withLock {
            // The rules may have been replaced meanwhile, and this token be revoked.
            guard $0.generation == generation else { return }
            if $0.known.count >= Self.remembered { $0.known.removeAll(keepingCapacity: true) }
            $0.known[authorization] = principal
        }
        return .known(principal)
    }

    /// The token of a header's value; nil: it has another scheme. Schemes are compared without regard to case (RFC
    /// 9110, 11.1).
    private static func token(_ authorization: String) -> String? {
        guard authorization.utf8.count > 7, authorization.utf8.count <= 7 + JWTRules.bytes,
            zip(authorization.utf8, "bearer ".utf8).allSatisfy({ $0 | 0x20 == $1 })
        else { return nil }
        return String(authorization.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") })
    }
}
