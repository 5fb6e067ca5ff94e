// Who a caller is, once a token has told.

import Crypto
import KontorCore

/// A caller that is known: by a line of the token file, or by a JWT.
public final class Principal: Sendable {
    /// The same for all tokens of one caller, so that a repetition under a new token is still the caller's.
    public let name: String
    public let scopes: Scopes
    /// The only user whose orders and credit it may see and change; nil: it may do so with those of all.
    public let user: Identifier?
    /// The moment from which it is not valid any more: wall clock, seconds since 1970.
    public let expires: Int64

    /// Makes a principal; the meaning of the parameters is that of the properties.
    public init(name: String, scopes: Scopes, user: Identifier? = nil, expires: Int64) {
        self.name = name
        self.scopes = user == nil ? scopes : scopes.intersection(.ofUsers)
        self.user = user
        self.expires = expires
    }

    /// The name under which a key of this caller's is kept: no other caller's key has it, also if the other one has the
    /// same name and is another user, and no client can send it.
    public func scoped(_ key: IdempotencyKey) -> IdempotencyKey {
        var hash = SHA256()
        // Neither can contain the byte that ends it.
        hash.update(data: Array(name.utf8) + [0] + Array((user?.text ?? "").utf8) + [0])
        hash.update(data: Array(key.text.utf8))
        return IdempotencyKey(ofCaller: Base64URL.encode(Array(hash.finalize())))
    }
}
