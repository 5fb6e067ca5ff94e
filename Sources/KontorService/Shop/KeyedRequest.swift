// A request under an idempotency key: where its key is kept, how it is compared with a repetition, and what it is answered.

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
    /// The key's record lies here.
    let group: GroupKey
    let write: KeyedWrite

    init(_ request: ShopRequest, _ key: IdempotencyKey, expires: Int64, now: Int64, hasRoom: Bool) {
        self.request = request
        group = request.keyGroup(key)
        let claim = KeyClaim(key: key, request: request.canonicalBytes, expires: expires)
        write = KeyedWrite(claim, now: now, hasRoom: hasRoom)
    }

    /// The answer to this request when it has its effect. Answers with an effect follow from the request, so that a key's record
    /// need not contain them.
    var success: ShopAnswer {
        switch request {
        case .createItem, .createUser, .createOrder: return .created(group.id)
        case .checkout: return .checkout(.paid)
        case .initItems, .initUsers, .initOrders: return .initialized
        case .ledger, .cancelPayment: return .ledger(.done)
        case .order, .addItem: return .order(.done)
        case .paymentStatus, .explain: preconditionFailure("A read was handled under a key.")
        }
    }

    /// Whether this creation makes just this account.
    func makes(_ account: Account) -> Bool {
        switch request {
        case .createItem(let price): return account.price == price
        default: return true
        }
    }
}

extension ShopRequest {
    fileprivate func keyGroup(_ key: IdempotencyKey) -> GroupKey {
        switch self {
        case .createItem: return GroupKey(.item, Identifier(derivedFrom: key, kind: .item, scope: ""))
        case .createUser: return GroupKey(.user, Identifier(derivedFrom: key, kind: .user, scope: ""))
        case .createOrder(let user):
            return GroupKey(.order, Identifier(derivedFrom: key, kind: .order, scope: user.text))
        case .ledger(let command): return command.account
        case .cancelPayment(let user, _), .paymentStatus(let user, _): return GroupKey(.user, user)
        case .addItem(let order, _, _), .checkout(let order), .explain(let order): return GroupKey(.order, order)
        case .order(let command): return GroupKey(.order, command.order)
        case .initItems: return GroupKey(.item, .batchInit)
        case .initUsers: return GroupKey(.user, .batchInit)
        case .initOrders: return GroupKey(.order, .batchInit)
        }
    }

    /// What two requests have in common that are the same: they are stored, so they must never change from release to release.
    /// The group is not among them: keys of different groups never meet.
    fileprivate var canonicalBytes: [UInt8] {
        var writer = ByteWriter()
        func put(_ tag: UInt8, ids: [Identifier] = [], numbers: [Int64] = []) {
            writer.byte(tag)
            for id in ids { writer.text(id.text) }
            for number in numbers { writer.varint(UInt64(bitPattern: number)) }
        }
        switch self {
        case .createItem(let price): put(1, numbers: [price.raw])
        case .createUser: put(2)
        case .createOrder: put(3)
        case .ledger(let command):
            switch command.operation {
            case .deposit(let amount): put(4, numbers: [amount.raw])
            case .withdraw(let amount): put(5, numbers: [amount.raw])
            case .payDirectly(let order, let amount): put(6, ids: [order], numbers: [amount.raw])
            default: preconditionFailure("\(command.operation) is no write of a client.")
            }
        case .cancelPayment(_, let order): put(7, ids: [order])
        case .addItem(_, let item, let units): put(8, ids: [item], numbers: [units.raw])
        case .order(let command):
            switch command.operation {
            case .removeItem(let item): put(9, ids: [item])
            case .remove: put(10)
            default: preconditionFailure("\(command.operation) is no write of a client.")
            }
        case .checkout: put(11)
        case .initItems(let count, let stock, let price): put(12, numbers: [Int64(count), stock.raw, price.raw])
        case .initUsers(let count, let credit): put(13, numbers: [Int64(count), credit.raw])
        case .initOrders(let count, let items, let users, let price):
            put(14, numbers: [Int64(count), Int64(items), Int64(users), price.raw])
        case .paymentStatus, .explain: preconditionFailure("A read was handled under a key.")
        }
        return writer.bytes
    }
}

extension Identifier {
    /// A group that has keys and nothing else: nothing of this name can be created.
    fileprivate static let batchInit = Identifier(reserved: "~batch_init")

    /// The same key makes the same id, in every process and release: 128 bits of SHA-256, in the shape of a UUID.
    fileprivate init(derivedFrom key: IdempotencyKey, kind: GroupKey.Kind, scope: String) {
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
