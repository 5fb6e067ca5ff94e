// A request under an idempotency key, with its claim on that key. Requests.swift says where the key of each request is
// kept, what a repetition is compared with, and how it is answered.

import Crypto
import KontorCore

/// How long idempotency keys are kept, and how many.
public struct KeyPolicy: Sendable {
    public var retentionMilliseconds = Limits.keyRetentionMilliseconds
    public var gatewayRetentionMilliseconds = Limits.gatewayKeyRetentionMilliseconds
    public var keptKeys = Limits.keptKeys

    public init() {}

    func retention(of key: IdempotencyKey) -> Int64 {
        key.isOfGateway ? min(gatewayRetentionMilliseconds, retentionMilliseconds) : retentionMilliseconds
    }
}

/// A write with its key.
struct KeyedRequest {
    let request: ShopRequest
    /// The group that has the key's record.
    let group: GroupKey
    let write: KeyedWrite

    init(_ request: ShopRequest, _ key: IdempotencyKey, expires: Int64, now: Int64, hasRoom: Bool) {
        self.request = request
        group = request.keyGroup(key)
        let claim = KeyClaim(key: key, request: request.canonicalBytes, expires: expires)
        write = KeyedWrite(claim, now: now, hasRoom: hasRoom)
    }

    /// The answer to this request when it has its effect.
    var success: ShopAnswer { request.success(of: group) }

    /// Whether this creation would make exactly this account.
    func makes(_ account: Account) -> Bool {
        switch request {
        case .createItem(let price): return account.price == price
        default: return true
        }
    }
}

extension Identifier {
    /// The id of a group that contains only keys: nothing of this name can be created.
    static let batchInit = Identifier(reserved: "~batch_init")

    /// Derives an id from a key: the same one in every process and release, 128 bits of SHA-256 in the form of a UUID.
    init(derivedFrom key: IdempotencyKey, kind: GroupKey.Kind, scope: String) {
        var writer = ByteWriter()
        writer.byte(kind.rawValue)
        writer.text(scope)
        writer.text(key.text)
        var hash = SHA256()
        writer.bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        let halves = hash.finalize().withUnsafeBytes { digest in
            (digest.loadUnaligned(as: UInt64.self), digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self.init(hash: halves.0.bigEndian, halves.1.bigEndian)
    }
}
