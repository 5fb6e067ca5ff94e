// A write with the keys that it bears: the client's, or the gateway's name for it. Requests.swift says where the key of
// each request is kept, what a repetition is compared with, and how it is answered.

import KontorCore

/// How long idempotency keys are kept, and how many.
public struct KeyPolicy: Sendable {
    public var retentionMilliseconds = Limits.keyRetentionMilliseconds
    public var keptKeys = Limits.keptKeys

    public init() {}
}

/// What a write is known by, and whose it is. It is an object because it goes through many hands, and most requests
/// have none.
public final class WriteName: Sendable {
    /// The client's `Idempotency-Key`; nil: it gave none.
    public let key: IdempotencyKey?
    /// The gateway's stamp; nil: no gateway sent the write.
    public let stamp: RequestStamp?
    /// What the audit trail says of it; nil: nothing.
    public let note: TrailNote?
    /// Whether another key of this caller's may be kept. If not, a new write is refused, and a replay gets its answer.
    public let mayKeepKey: Bool

    /// What the id of a creation is derived from: the client's key, else the gateway's.
    var creationKey: IdempotencyKey? { key ?? stamp?.id }

    /// - Returns: nil if there is none of these.
    public init?(
        key: IdempotencyKey?, stamp: RequestStamp? = nil, note: TrailNote? = nil, mayKeepKey: Bool = true
    ) {
        if key == nil && stamp == nil && note == nil { return nil }
        self.key = key
        self.stamp = stamp
        self.note = note
        self.mayKeepKey = mayKeepKey
    }
}

/// A write with its keys, and with what the audit trail says of it.
struct KeyedRequest {
    let request: ShopRequest
    /// ``ShopRequest/canonicalBytes``; empty: it bears no key.
    let canonicalBytes: [UInt8]
    /// The group that has the keys' records, and that a creation makes.
    let group: GroupKey
    let write: KeyedWrite
    let stamp: RequestStamp?
    /// Whether the store may keep no more keys.
    let isFull: Bool
    /// Whether its caller may leave no more keys. What the gateway needs is kept all the same.
    let isCallerFull: Bool
    /// The key that the request runs under; nil: without a client's key, what a saga does runs under its order.
    let runningKey: IdempotencyKey?

    /// A write that bears no key.
    ///
    /// - Parameters:
    ///   - trail: what the audit trail says of it.
    ///   - newID: makes the id of a creation.
    init(_ request: ShopRequest, trail: TrailEntry, newID: () -> Identifier) {
        self.request = request
        canonicalBytes = []
        group = request.keyGroup { _, _ in newID() }
        write = KeyedWrite(nil, trail: trail)
        stamp = nil
        isFull = false
        isCallerFull = false
        runningKey = nil
    }

    /// A write that bears keys.
    ///
    /// - Parameters:
    ///   - ids: how the id of a creation is derived from its key.
    ///   - trail: what the audit trail says of it; nil: nothing.
    ///   - now: wall clock, milliseconds since 1970.
    ///   - retention: how long a client's key is kept, milliseconds.
    ///   - isFull: whether no more keys may be kept.
    init(
        _ request: ShopRequest, _ name: WriteName, _ ids: IDDerivation, trail: TrailEntry? = nil, now: Int64, retention: Int64,
        isFull: Bool
    ) {
        self.request = request
        self.isFull = isFull
        isCallerFull = !name.mayKeepKey
        stamp = name.stamp
        let isOfSaga = request.isOfSaga
        runningKey = name.key ?? (isOfSaga ? nil : name.stamp?.id)
        group = request.keyGroup(name, ids)
        let bytes = request.canonicalBytes
        canonicalBytes = bytes
        // The client's key stands for the gateway's, so it must not end before it.
        let claim = name.key.map { key in
            KeyClaim(key: key, request: bytes, expires: max(now + retention, name.stamp?.expires ?? 0))
        }
        // The gateway sends a `batch_init` once.
        let copies =
            request.isBatchInit
            ? nil
            : name.stamp.map { stamp in
                KeyClaim(key: stamp.id, request: bytes, expires: stamp.expires)
            }
        let keepsRequest = !request.isKnownByItsOrder
        let keepsAny = claim != nil || (copies != nil && keepsRequest)
        write = KeyedWrite(
            claim, request: copies, keepsRequest: keepsRequest, latest: name.stamp?.latest ?? .max,
            hasRoom: (!isFull || !keepsAny) && (name.mayKeepKey || claim == nil), trail: trail)
    }

    /// What the request wants of which order, if a saga does it; nil: none does.
    var wishedOrder: WishedOrder? {
        if case .newOrder(let new) = request, new.checksOut {
            return WishedOrder(order: group.id, owner: nil, wish: .checkout)
        }
        return request.wishedOrder
    }

    /// The answer to this request when its saga ends so.
    func answer(toCheckout result: ShopAnswer) -> ShopAnswer {
        if case .newOrder = request { .placed(group.id, result) } else { result }
    }

    /// The answer to this request when it has its effect.
    var success: ShopAnswer { request.success(of: group) }

    /// Whether this creation would make exactly this account.
    func makes(_ account: Account) -> Bool {
        switch request {
        case .createItem(let price): return account.price == price
        case .newAccount(_, let price, _): return account.price == price
        default: return true
        }
    }
}
