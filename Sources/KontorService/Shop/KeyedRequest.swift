// A request under an idempotency key, with its claim on that key. Requests.swift says where the key of each request is
// kept, what a repetition is compared with, and how it is answered.

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

    /// - Parameter ids: how the id of a creation is derived from its key.
    init(
        _ request: ShopRequest, _ key: IdempotencyKey, _ ids: IDDerivation, expires: Int64, now: Int64, hasRoom: Bool
    ) {
        self.request = request
        group = request.keyGroup(key, ids)
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
}
