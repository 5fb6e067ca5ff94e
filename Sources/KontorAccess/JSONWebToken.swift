// JSON Web Tokens (RFC 7519) that another system issues for the shop's users. One algorithm is taken, ES256 (RFC 7518,
// 3.4): which one it is is not for the token to choose (RFC 8725, 3.1).

import Crypto
import Foundation
import KontorCore

/// What a token must show to be taken, besides a signature: who issued it, and for whom.
public struct JWTRules: Equatable, Sendable {
    /// Keys that issuers sign with: several while one follows another.
    let keys: [P256.Signing.PublicKey]
    /// The value of `iss`; nil: any.
    let issuer: String?
    /// One of the values of `aud`; nil: there must be none.
    let audience: String?

    /// Most keys, each of which costs a verification.
    public static let keys = 8
    /// Longest token: claims of usual size take a tenth of it.
    static let bytes = 4 * 1024
    /// How far the issuer's clock may be ahead, seconds.
    static let skew: Int64 = 60

    /// Why a file of keys cannot be used.
    public struct Mistake: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Parameter pem: public keys in PEM (`BEGIN PUBLIC KEY`), one after the other.
    public init(pem: String, issuer: String? = nil, audience: String? = nil) throws(Mistake) {
        let end = "-----END PUBLIC KEY-----"
        let blocks = pem.components(separatedBy: end).dropLast().map { $0 + end }
        if blocks.isEmpty { throw Mistake(description: "it has no public key in PEM (-----BEGIN PUBLIC KEY-----)") }
        if blocks.count > Self.keys { throw Mistake(description: "it has more than \(Self.keys) keys") }
        var keys: [P256.Signing.PublicKey] = []
        for (number, block) in blocks.enumerated() {
            guard let start = block.range(of: "-----BEGIN PUBLIC KEY-----")?.lowerBound,
                let key = try? P256.Signing.PublicKey(pemRepresentation: String(block[start...]))
            else { throw Mistake(description: "its key number \(number + 1) is none of the curve P-256, which ES256 needs") }
            keys.append(key)
        }
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
    }

    /// Whether both take the same tokens for valid.
    public static func == (one: JWTRules, other: JWTRules) -> Bool {
        one.keys.map(\.rawRepresentation) == other.keys.map(\.rawRepresentation) && one.issuer == other.issuer
            && one.audience == other.audience
    }

    private struct Header: Decodable {
        let alg: String
        /// Extensions that must be understood; none is.
        let crit: [String]?
    }

    private struct Claims: Decodable {
        let sub: String
        let exp: Double
        let nbf: Double?
        let iss: String?
        let aud: Audience?
        /// With blanks between them (RFC 8693, 4.2).
        let scope: String?
    }

    /// One audience, or several.
    private enum Audience: Decodable {
        case one(String), several([String])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self = .one(text)
            } else {
                self = .several(try value.decode([String].self))
            }
        }

        func contains(_ name: String) -> Bool {
            switch self {
            case .one(let text): text == name
            case .several(let texts): texts.contains(name)
            }
        }
    }

    /// Whether a token can be a JWT: it has three parts.
    static func isPossible(_ token: String) -> Bool {
        token.utf8.count <= bytes && token.utf8.count { $0 == UInt8(ascii: ".") } == 2
    }

    /// The user whom a token shows; nil: it is not to be taken. Signatures are verified last: all else costs less.
    ///
    /// - Parameter now: wall clock, seconds since 1970.
    func principal(of token: String, now: Int64) -> Principal? {
        guard Self.isPossible(token) else { return nil }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        let decoder = JSONDecoder()
        guard let header = Base64URL.decode(parts[0]).flatMap({ try? decoder.decode(Header.self, from: Data($0)) }),
            header.alg == "ES256", header.crit == nil,
            let claims = Base64URL.decode(parts[1]).flatMap({ try? decoder.decode(Claims.self, from: Data($0)) }),
            let principal = principal(claims, now: now),
            let signature = Base64URL.decode(parts[2]).flatMap({ try? P256.Signing.ECDSASignature(rawRepresentation: $0) })
        else { return nil }
        let signed = Data(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        return keys.contains { $0.isValidSignature(signature, for: signed) } ? principal : nil
    }

    private func principal(_ claims: Claims, now: Int64) -> Principal? {
        guard let user = Identifier(claims.sub), claims.exp < 1e12, claims.exp > Double(now),
            claims.nbf ?? 0 <= Double(now + Self.skew),
            issuer == nil || claims.iss == issuer,
            // A token for others is not for this shop (RFC 7519, 4.1.3).
            audience.map({ claims.aud?.contains($0) == true }) ?? (claims.aud == nil)
        else { return nil }
        // A word that is no scope of the shop's is another service's.
        let words = claims.scope?.split(separator: " ").compactMap { Scopes(names: [$0]) }
        let scopes = words.map { Scopes($0) } ?? .ofUsers
        return Principal(name: "jwt:\(user.text)", scopes: scopes, user: user, expires: Int64(claims.exp))
    }
}
