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

        /// Tokens of the file, also those that have expired.
        public var tokenCount: Int { principals.count }
        /// Keys that JWTs may be signed with.
        public var jwtKeyCount: Int { jwt?.keys.count ?? 0 }
    }

    /// Who bears a token.
    public enum Bearer: Sendable {
        case known(Principal)
        /// Nobody, or the token is not valid any more.
        case unknown
        /// A signature would have to be verified, which is not done for this caller now.
        case unverified
    }

    /// Memory for header values whose tokens were found to be valid, with their callers, bytes: a second look costs no
    /// hash, and no signature. Room for 25,000 JWTs of usual size, and for 3,900 of the longest ones.
    static let rememberedBytes = 16 << 20

    private struct State {
        var rules: Rules
        /// Rises when the lines of the file may have changed. What was found by earlier ones counts no more.
        var fileGeneration = 0
        /// Rises when the keys or rules of JWTs change. A change of the file's lines alone says nothing of a signature:
        /// if it cost all customers a verification, those behind one address would be refused for minutes.
        var jwtGeneration = 0
        var known = RememberedTokens(bytes: Credentials.rememberedBytes)

        /// What was found for the value of a header, if it still holds; nil: it must be looked for.
        mutating func known(_ authorization: String) -> Principal? {
            guard let finding = known.finding(of: authorization), holds(finding) else { return nil }
            return finding.principal
        }

        func holds(_ finding: RememberedTokens.Finding) -> Bool {
            finding.generation == (finding.isSigned ? jwtGeneration : fileGeneration)
        }
    }

    /// One place where requests arrive, such as an event loop. It knows whose token came last: most shops have one
    /// caller that asks again and again, and his token needs no lock and no hash.
    public struct Entrance {
        private let credentials: Credentials
        private var authorization = ""
        /// Whose that is; nil: no token has come yet.
        private var principal: Principal?
        /// How often the rules had been replaced when they showed it.
        private var replacements = 0

        public init(_ credentials: Credentials) { self.credentials = credentials }

        /// Who bears a token, if it is the one that came last and still holds; nil: it must be looked for.
        ///
        /// - Parameter now: wall clock, seconds since 1970.
        public func known(_ authorization: String, now: Int64) -> Principal? {
            guard let principal, replacements == credentials.replacements.load(ordering: .acquiring), principal.expires > now,
                Credentials.isSame(self.authorization, authorization)
            else { return nil }
            return principal
        }

        /// Finds out who bears a token: see ``Credentials/bearer(of:now:mayVerify:)``.
        public mutating func bearer(of authorization: String, now: Int64, mayVerify: () -> Bool) -> Bearer {
            // Read before the rules are: whoever is found by rules that are replaced meanwhile is looked for again.
            let replacements = credentials.replacements.load(ordering: .acquiring)
            let bearer = credentials.bearer(of: authorization, now: now, mayVerify: mayVerify)
            if case .known(let principal) = bearer {
                (self.authorization, self.principal, self.replacements) = (authorization, principal, replacements)
            }
            return bearer
        }
    }

    private let state: Mutex<State>
    /// How often what holds was replaced.
    private let replacements = Atomic(0)

    /// Makes credentials with the rules that hold first.
    public init(_ rules: Rules) { state = Mutex(State(rules: rules)) }

    /// Replaces what holds. A token that is not among it any more is unknown from now on.
    public func replace(by rules: Rules) {
        state.withLock {
            $0.fileGeneration += 1
            if $0.rules.jwt != rules.jwt { $0.jwtGeneration += 1 }
            $0.rules = rules
        }
        replacements.wrappingAdd(1, ordering: .releasing)
    }

    /// Finds out who bears a token.
    ///
    /// - Parameters:
    ///   - authorization: the value of the header.
    ///   - now: wall clock, seconds since 1970.
    ///   - mayVerify: whether a signature may be verified, which costs 100 times as much as all else. Asked only if
    ///     need be.
    public func bearer(of authorization: String, now: Int64, mayVerify: () -> Bool) -> Bearer {
        // What is too long for a token is not looked up either: that would cost the hash of all of it.
        guard authorization.utf8.count <= Self.longest else { return .unknown }
        if let known = state.withLock({ $0.known(authorization) }) { return known.expires > now ? .known(known) : .unknown }
        let (rules, fileGeneration, jwtGeneration) = state.withLock { ($0.rules, $0.fileGeneration, $0.jwtGeneration) }
        guard let token = Self.token(authorization) else { return .unknown }
        if let found = rules.principals[TokenDigest(of: token)] {
            return remember(.init(principal: found, isSigned: false, generation: fileGeneration), of: authorization, now: now)
        }
        guard let jwt = rules.jwt, JWTRules.isPossible(token) else { return .unknown }
        guard mayVerify() else { return .unverified }
        guard let found = jwt.principal(of: token, now: now) else { return .unknown }
        return remember(.init(principal: found, isSigned: true, generation: jwtGeneration), of: authorization, now: now)
    }

    /// The rules may have been replaced meanwhile, and this token be revoked: then what was found bears the generation
    /// of the rules before, and counts no more.
    private func remember(_ finding: RememberedTokens.Finding, of authorization: String, now: Int64) -> Bearer {
        guard finding.principal.expires > now else { return .unknown }
        // Somebody who adds blanks to his token does not make the others be forgotten.
        if authorization.utf8.dropFirst(7).first == UInt8(ascii: " ") { return .known(finding.principal) }
        state.withLock { $0.known.remember(finding, of: authorization) }
        return .known(finding.principal)
    }

    /// Compares two texts in a time that depends on their lengths alone: one of them is somebody's token.
    private static func isSame(_ one: String, _ other: String) -> Bool {
        guard one.utf8.count == other.utf8.count else { return false }
        let isSame = one.utf8.withContiguousStorageIfAvailable { one in
            other.utf8.withContiguousStorageIfAvailable { other in
                var difference: UInt8 = 0
                for index in one.indices { difference |= one[index] ^ other[index] }
                return difference == 0
            }
        }
        // Both came over the network, and lie in one piece.
        return isSame == .some(.some(true))
    }

    /// Longest value of a header with a token, bytes.
    private static let longest = 7 + JWTRules.bytes

    /// The token of a header's value; nil: it has another scheme. Schemes are compared without regard to case (RFC
    /// 9110, 11.1).
    private static func token(_ authorization: String) -> String? {
        guard authorization.utf8.count > 7, authorization.utf8.count <= longest,
            zip(authorization.utf8, "bearer ".utf8).allSatisfy({ $0 | 0x20 == $1 })
        else { return nil }
        return String(authorization.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") })
    }
}
