// The ids of creations under an idempotency key. They are derived from the key, so that a repetition makes no second
// record, and from a secret of the shop, so that nobody can tell from a key which id it gets in another shop, or take
// an id for a key that he guesses.

import Crypto
import KontorCore

/// A way to derive ids from keys.
struct IDDerivation {
    /// Has read the secret, and nothing else; nil: as release 0.1 derived them, from the key alone.
    private let code: HMAC<SHA256>?

    init(secret: [UInt8]) { code = HMAC(key: SymmetricKey(data: secret)) }

    private init() { code = nil }

    static let ofRelease01 = IDDerivation()

    /// The id for a key: the same one in every process of a shop, 128 bits of a hash in the form of a UUID.
    func id(for key: IdempotencyKey, kind: GroupKey.Kind, scope: String) -> Identifier {
        var writer = ByteWriter()
        writer.byte(kind.rawValue)
        writer.text(scope)
        writer.text(key.text)
        guard var code else { return SHA256.hash(data: writer.bytes).withUnsafeBytes(Identifier.init(digest:)) }
        code.update(data: writer.bytes)
        return code.finalize().withUnsafeBytes(Identifier.init(digest:))
    }
}

extension Identifier {
    /// - Parameter digest: 16 bytes or more.
    fileprivate init(digest: UnsafeRawBufferPointer) {
        let half: (Int) -> UInt64 = { UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
        self.init(hash: half(0), half(8))
    }

    /// The id of the group that has the secret of a shop that is alone: nothing of this name can be created.
    fileprivate static let secret = Identifier(reserved: "~ids")
}

/// The secret of one shop, and how its ids are derived.
///
/// Where several processes share a store, the store bears the secret. A shop that is alone draws it at its first start,
/// and keeps it in a record. Creations from before are still found under the id that they had.
final class CreationIDs {
    private let store: any RecordStore
    private let clock: any ShopClock
    private let random: any RandomSource
    private let agenda: Agenda
    private let retention: Int64
    /// nil: the secret is not known yet.
    private var present: IDDerivation?
    /// Until when keys from before the secret may be kept: wall clock, milliseconds since 1970.
    private var oldKeysUntil = Int64.max

    /// - Parameter retention: how long a key is kept, milliseconds.
    init(_ environment: ShopEnvironment, agenda: Agenda, retention: Int64) {
        store = environment.store
        clock = environment.clock
        random = environment.random
        self.agenda = agenda
        self.retention = retention
        present = store.idSecret.map(IDDerivation.init)
    }

    /// Chooses the derivation for a write's name: that of release 0.1 if the key was used then, else the shop's. Calls
    /// back at once, unless it must look.
    func choose(
        for request: ShopRequest, _ name: WriteName, then: @escaping (Result<IDDerivation, StoreError>) -> Void
    ) {
        let old = IDDerivation.ofRelease01
        guard let present, request.isCreation else { return then(.success(old)) }
        let now = clock.wallMilliseconds
        // Release 0.1 took no names of a gateway's.
        guard now < oldKeysUntil, let key = name.key else { return then(.success(present)) }
        store.load([ReadSet(request.keyGroup(name, old), .key(key))]) { [agenda] outcomes in
            agenda.add {
                switch outcomes.first {
                case .success(let group)?:
                    let isKept = if case .key(let kept)? = group.member { kept.expires > now } else { false }
                    then(.success(isKept ? old : present))
                case .failure(let error)?: then(.failure(error))
                case nil: then(.failure(.unreachable("no answer")))
                }
            }
        }
    }

    /// Reads the secret of a shop that is alone, or draws it. While the store takes no new work it draws none.
    func load(completion: @escaping () -> Void) {
        guard present == nil, let name = IdempotencyKey("secret") else { return completion() }
        let group = GroupKey(.order, .secret)
        store.load([ReadSet(group, .key(name))]) { [self] outcomes in
            agenda.add { [self] in
                // Without its secret the shop would give the same keys other ids than before.
                guard case .success(let found)? = outcomes.first else {
                    return agenda.addAtTick { self.load(completion: completion) }
                }
                if case .key(let kept)? = found.member, take(kept.request) { return completion() }
                draw(group, name, expecting: found.version, completion: completion)
            }
        }
    }

    private func draw(
        _ group: GroupKey, _ name: IdempotencyKey, expecting version: Version, completion: @escaping () -> Void
    ) {
        guard store.admission == nil else { return completion() }
        var writer = ByteWriter()
        // Where no key is kept, none has to be looked for.
        writer.fixed(store.expiringRecords == 0 ? 0 : clock.wallMilliseconds)
        for _ in 0..<4 { writer.fixed(random.next()) }
        let bytes = writer.bytes
        var draft = GroupDraft(group)
        draft.add(.head, nil)
        draft[.key(name)] = .key(KeptKey(request: bytes, expires: Limits.latestTime))
        store.commit([GroupChange(expected: version, draft: draft)]) { [self] outcomes in
            if outcomes == [.committed] { _ = take(bytes) }
            agenda.add(completion)
        }
    }

    /// Takes what ``draw(_:_:expecting:completion:)`` wrote: the time, or 0 if no key was kept then, and the secret.
    private func take(_ bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes)
        guard let drawn = try? reader.fixed(Int64.self), bytes.count > reader.position else { return false }
        present = IDDerivation(secret: Array(bytes[reader.position...]))
        oldKeysUntil = drawn.addingReportingOverflow(retention).partialValue
        return true
    }
}

extension ShopRequest {
    /// Whether it makes a record that gets an id: under a key, one that is derived from it.
    public var isCreation: Bool {
        switch self {
        case .createItem, .createUser, .newAccount, .createOrder, .newOrder: true
        case .shown(let request): request.isCreation
        default: false
        }
    }
}
