// Who bears a token: known, unknown, expired, revoked ones, and JWTs with all that can be wrong with them.

import Crypto
import Foundation
import KontorCore
import Testing

@testable import KontorAccess

@Suite("Who bears a token") struct CredentialsTests {
    private let now: Int64 = 1_800_000_000
    private let key = P256.Signing.PrivateKey()
    private let token: BearerToken

    init() {
        var random = SystemRandomNumberGenerator()
        token = BearerToken(random: &random)
    }

    private func makeCredentials(_ lines: String = "", issuer: String? = nil, audience: String? = nil) throws -> Credentials {
        Credentials(try rules(lines, issuer: issuer, audience: audience))
    }

    private func rules(_ lines: String = "", issuer: String? = nil, audience: String? = nil) throws -> Credentials.Rules {
        .init(
            try TokenFile(lines),
            jwt: try JWTRules(pem: key.publicKey.pemRepresentation, issuer: issuer, audience: audience))
    }

    private func caller(_ credentials: Credentials, _ authorization: String, now: Int64? = nil) -> Principal? {
        if case .known(let principal) = credentials.bearer(of: authorization, now: now ?? self.now, mayVerify: { true }) {
            principal
        } else {
            nil
        }
    }

    private func base64URL(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// A JWT with these claims, signed by the key.
    private func jwt(
        _ claims: String, header: String = #"{"alg":"ES256","typ":"JWT"}"#, by signer: P256.Signing.PrivateKey? = nil
    ) throws -> String {
        let signed = base64URL(header.utf8) + "." + base64URL(claims.utf8)
        return signed + "." + base64URL(try (signer ?? key).signature(for: Data(signed.utf8)).rawRepresentation)
    }

    @Test("an entrance knows the token that came last, until it is revoked or expires")
    func entrance() throws {
        let line = "one read sha256:\(token.digest) never\n"
        let credentials = try makeCredentials(line)
        var entrance = Credentials.Entrance(credentials)
        let authorization = "Bearer \(token.text)"
        #expect(entrance.known(authorization, now: now) == nil, "nobody has come yet")
        func comes(_ authorization: String) -> Bool {
            if case .known = entrance.bearer(of: authorization, now: now, mayVerify: { true }) { true } else { false }
        }
        #expect(comes(authorization) && entrance.known(authorization, now: now)?.name == "one")
        for other in [String(authorization.dropLast()) + "~", authorization + "a", String(authorization.dropLast()), ""] {
            #expect(entrance.known(other, now: now) == nil && !comes(other))
        }
        #expect(entrance.known(authorization, now: now)?.name == "one", "whom strangers do not displace")
        #expect(entrance.known(authorization, now: .max) == nil, "his time is over")
        credentials.replace(by: try rules(""))
        #expect(entrance.known(authorization, now: now) == nil && !comes(authorization))
        credentials.replace(by: try rules(line))
        #expect(comes(authorization) && entrance.known(authorization, now: now)?.name == "one")
    }

    @Test("callers who take turns are each themselves, and a token that is revoked is unknown at once, also to who asked last")
    func turns() throws {
        var random = SystemRandomNumberGenerator()
        let other = BearerToken(random: &random)
        func line(_ name: String, _ token: BearerToken) -> String { "\(name) read sha256:\(token.digest) never\n" }
        let credentials = try makeCredentials(line("one", token) + line("other", other))
        let (one, two) = ("Bearer \(token.text)", "Bearer \(other.text)")
        let askers = [one, one, two, one, two, two, one]
        #expect(askers.map { caller(credentials, $0)?.name } == ["one", "one", "other", "one", "other", "other", "one"])
        #expect(caller(credentials, String(one.dropLast()) + "~") == nil)
        credentials.replace(by: try rules(line("other", other)))
        #expect([one, two, one].map { caller(credentials, $0)?.name } == [nil, "other", nil])
    }

    @Test("a token of the file is known until it expires, whatever the case of the scheme")
    func known() throws {
        let day = "2027-01-15"
        let end = try Date("\(day)T00:00:00Z", strategy: .iso8601).timeIntervalSince1970
        let credentials = try makeCredentials("alice read sha256:\(token.digest) \(day)\n")
        for scheme in ["Bearer", "bearer", "BEARER"] {
            #expect(caller(credentials, "\(scheme) \(token.text)", now: Int64(end) - 1)?.name == "alice")
            #expect(caller(credentials, "\(scheme) \(token.text)", now: Int64(end)) == nil)
        }
        for other in [
            "", "Bearer", "Bearer ", "Basic \(token.text)", token.text, "Bearer \(token.text)x", "Bearer \(token.digest)",
        ] {
            #expect(caller(credentials, other) == nil, "\(other)")
        }
    }

    @Test("a token that was revoked is unknown at once, and another one of the same name is the same caller")
    func rotation() throws {
        var random = SystemRandomNumberGenerator()
        let next = BearerToken(random: &random)
        let lines = [token, next].map { "shop admin sha256:\($0.digest) never\n" }
        let credentials = try makeCredentials(lines.joined())
        let callers = [token, next].map { caller(credentials, "Bearer \($0.text)") }
        let key = try #require(IdempotencyKey("k"))
        #expect(callers[0]?.scoped(key) == callers[1]?.scoped(key))
        credentials.replace(by: try rules(lines[1]))
        #expect(caller(credentials, "Bearer \(token.text)") == nil)
        #expect(caller(credentials, "Bearer \(next.text)") != nil)
    }

    @Test("a key of one caller is not that of another one, and no client can send it")
    func scopedKeys() throws {
        let key = try #require(IdempotencyKey("k"))
        let callers = ["a", "b", "ab"].map { Principal(name: $0, scopes: .read, expires: .max) }
        let keys = Set(callers.map { $0.scoped(key) } + [key])
        #expect(keys.count == 4)
        #expect(callers.allSatisfy { !$0.scoped(key).isForClients } && key.isForClients)
        let users = ["1", "2"].map { Principal(name: "a", scopes: .read, user: Identifier($0), expires: .max).scoped(key) }
        #expect(Set(users + [callers[0].scoped(key)]).count == 3, "a name that two users have is two callers")
        #expect(callers[0].scoped(try #require(IdempotencyKey("bk"))) != callers[2].scoped(key))
    }

    @Test("a JWT shows its user, with a customer's scopes at most")
    func jwts() throws {
        let credentials = try makeCredentials()
        #expect(caller(credentials, "Bearer \(try jwt(#"{"sub":"u1","exp":1800000060,"aud":"other"}"#))") == nil)
        let plain = try #require(caller(credentials, "Bearer \(try jwt(#"{"sub":"u1","exp":1800000060}"#))"))
        #expect(plain.user == Identifier("u1") && plain.scopes == .ofUsers && plain.expires == now + 60)
        let narrow = try jwt(#"{"sub":"u1","exp":1800000060,"scope":"read openid"}"#)
        #expect(caller(credentials, "Bearer \(narrow)")?.scopes == .read)
        let wide = try jwt(#"{"sub":"u1","exp":1800000060,"scope":"read admin operate metrics"}"#)
        #expect(caller(credentials, "Bearer \(wide)")?.scopes == .read, "no scope of operators, whoever signed")
        // A second look finds it, and its end.
        #expect(caller(credentials, "Bearer \(narrow)") != nil)
        #expect(caller(credentials, "Bearer \(narrow)", now: now + 60) == nil)
    }

    private static let badClaims = [
        #"{"sub":"u1","exp":1800000000}"#, #"{"sub":"u1"}"#, #"{"exp":1800000060}"#, #"{"sub":"u/1","exp":1800000060}"#,
        #"{"sub":"","exp":1800000060}"#, #"{"sub":1,"exp":1800000060}"#, #"{"sub":"u1","exp":"1800000060"}"#,
        #"{"sub":"u1","exp":1e30}"#, #"{"sub":"u1","exp":1800000060,"nbf":1800000061}"#, "[]", "", "null",
        #"{"sub":"u1","exp":1800000060"#, #"{"sub":"u1","exp":NaN}"#, #"{"sub":"u1","exp":1800000060,"aud":"other"}"#,
    ]

    @Test("a JWT whose claims are wrong shows nobody", arguments: badClaims)
    func wrongClaims(claims: String) throws {
        #expect(caller(try makeCredentials(), "Bearer \(try jwt(claims))") == nil)
    }

    private static let badHeaders = [
        #"{"alg":"none"}"#, #"{"alg":"HS256"}"#, #"{"alg":"RS256"}"#, #"{"alg":"es256"}"#, #"{"alg":"ES384"}"#, #"{}"#, "",
        #"{"alg":"ES256","crit":["b64"],"b64":false}"#,
    ]

    @Test("the algorithm is ES256, whatever a JWT says of itself", arguments: badHeaders)
    func wrongHeaders(header: String) throws {
        let claims = #"{"sub":"u1","exp":1800000060}"#
        #expect(caller(try makeCredentials(), "Bearer \(try jwt(claims, header: header))") == nil)
    }

    @Test("a signature counts: none, another key's, one as an HMAC with the public key, another one's text")
    func wrongSignatures() throws {
        let credentials = try makeCredentials()
        let claims = #"{"sub":"u1","exp":1800000060}"#
        let good = try jwt(claims)
        let parts = good.split(separator: ".").map(String.init)
        let other = try jwt(#"{"sub":"u2","exp":1800000060}"#).split(separator: ".").map(String.init)
        let header = base64URL(#"{"alg":"HS256"}"#.utf8)
        let publicKey = SymmetricKey(data: Data(key.publicKey.pemRepresentation.utf8))
        let code = HMAC<SHA256>.authenticationCode(for: Data("\(header).\(parts[1])".utf8), using: publicKey)
        for wrong in [
            "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])", "\(parts[0]).\(other[1]).\(parts[2])", good + ".",
            good + "A",
            good + "=", "\(header).\(parts[1]).\(base64URL(code))", try jwt(claims, by: P256.Signing.PrivateKey()),
            "\(parts[0]).\(parts[1]).\(base64URL([UInt8](repeating: 0, count: 64)))",
            "\(parts[0]).\(parts[1]).\(String(repeating: "A", count: 8_000))",
        ] {
            #expect(caller(credentials, "Bearer \(wrong)") == nil, "\(wrong)")
        }
        #expect(caller(credentials, "Bearer \(good)")?.user == Identifier("u1"))
    }

    @Test("an issuer and an audience count if the shop asks for them")
    func issuers() throws {
        let strict = try makeCredentials(issuer: "https://id", audience: "shop")
        func isKnown(_ claims: String) throws -> Bool {
            caller(strict, "Bearer \(try jwt(#"{"sub":"u1","exp":1800000060"# + claims + "}"))") != nil
        }
        #expect(try isKnown(#","iss":"https://id","aud":"shop""#))
        #expect(try isKnown(#","iss":"https://id","aud":["other","shop"]"#))
        for claims in [
            "", #","iss":"https://id""#, #","aud":"shop""#, #","iss":"id","aud":"shop""#, #","iss":"https://id","aud":["x"]"#,
        ] {
            #expect(try !isKnown(claims), "\(claims)")
        }
    }

    @Test("a stranger's JWT is not verified if that would cost too much, and what is known needs no verification")
    func unverified() throws {
        let credentials = try makeCredentials("alice read sha256:\(token.digest) never\n")
        let good = "Bearer \(try jwt(#"{"sub":"u1","exp":1800000060}"#))"
        func isUnverified(_ text: String) -> Bool {
            if case .unverified = credentials.bearer(of: text, now: now, mayVerify: { false }) { true } else { false }
        }
        #expect(isUnverified(good) && !isUnverified("Bearer \(token.text)") && !isUnverified("Bearer x"))
        #expect(caller(credentials, good) != nil)
        #expect(!isUnverified(good))
    }

    @Test("a change of the token file costs no JWT its verification, a change of keys or rules costs all of them theirs")
    func changedFile() throws {
        let credentials = try makeCredentials("alice read sha256:\(token.digest) never\n")
        let good = "Bearer \(try jwt(#"{"sub":"u1","exp":1800000060}"#))"
        func isKnown(_ text: String) -> Bool {
            if case .known = credentials.bearer(of: text, now: now, mayVerify: { false }) { true } else { false }
        }
        #expect(caller(credentials, good) != nil && isKnown("Bearer \(token.text)"))
        credentials.replace(by: try rules())
        #expect(isKnown(good) && !isKnown("Bearer \(token.text)"))
        credentials.replace(by: try rules(issuer: "https://id"))
        #expect(!isKnown(good) && caller(credentials, good) == nil)
        credentials.replace(by: try rules())
        #expect(!isKnown(good) && caller(credentials, good) != nil, "found under other rules, it is verified anew")
        let other = P256.Signing.PrivateKey().publicKey.pemRepresentation
        credentials.replace(by: .init(try TokenFile(""), jwt: try JWTRules(pem: other)))
        #expect(!isKnown(good) && caller(credentials, good) == nil)
    }

    @Test("who asks again and again is remembered, however many others come, and who came once is forgotten")
    func remembered() {
        var tokens = RememberedTokens(bytes: 20_000)
        let finding = RememberedTokens.Finding(
            principal: Principal(name: "a", scopes: .read, expires: .max), isSigned: true, generation: 0)
        tokens.remember(finding, of: "Bearer a")
        for number in 0..<1_000 {
            tokens.remember(finding, of: "Bearer \(number)")
            #expect(tokens.finding(of: "Bearer a") != nil)
        }
        let left = (0..<1_000).filter { tokens.finding(of: "Bearer \($0)") != nil }
        #expect((10...100).contains(left.count) && left.last == 999)
    }

    @Test("10,000 random tokens are nobody's")
    func random() throws {
        let credentials = try makeCredentials("alice read sha256:\(token.digest) never\n")
        var random = SystemRandomNumberGenerator()
        let found = (0..<10_000).filter { _ in caller(credentials, "Bearer \(BearerToken(random: &random).text)") != nil }
        #expect(found.isEmpty)
    }
}
