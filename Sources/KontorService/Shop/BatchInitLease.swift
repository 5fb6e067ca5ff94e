// The lease of a `batch_init`: where several processes work on a store, one of them at a time replaces records of a
// kind. One that stands still, and goes on when another one has taken over, replaces nothing any more.

import KontorCore

/// One `batch_init`'s lease, and the key of its request. Both lie in a group of their own.
final class BatchInitLease {
    private let parts: ShopParts
    private let group: GroupKey
    private let keyed: KeyedRequest?
    private let holder: UInt64
    /// nil until the lease is taken, and where the shop is alone.
    private var lease: Lease?

    /// - Parameter keyed: the request with its keys; nil: it has none.
    init(_ parts: ShopParts, _ kind: GroupKey.Kind, _ keyed: KeyedRequest?) {
        self.parts = parts
        self.keyed = keyed
        group = GroupKey(kind, .batchInit)
        holder = parts.environment.random.next()
    }

    /// What the commands of a slice are decided under: not at all once the lease has ended, by this process's clock.
    var write: KeyedWrite? { lease.map { KeyedWrite(nil, latest: $0.end) } }

    private func nextLease() -> Lease {
        Lease(
            "batch_init", holder: holder, purpose: keyed?.write.claim.map { Array($0.key.text.utf8) } ?? [],
            end: parts.clock.wallMilliseconds + Limits.batchInitLeaseMilliseconds)
    }

    /// Takes the lease, durably, unless the request was done before under its key.
    ///
    /// - Parameter completion: gets nil if the `batch_init` may begin, else its answer.
    func take(completion: @escaping (ShopAnswer?) -> Void) {
        guard !parts.isAlone else { return completion(nil) }
        let next = nextLease()
        let write = KeyedWrite(
            keyed?.write.claim, lease: .take(next), latest: keyed?.write.latest ?? .max, hasRoom: keyed?.write.hasRoom ?? true)
        parts.keep(write, in: group) { [self] answer in
            guard answer.isDone else { return completion(answer) }
            lease = next
            parts.store.barrier { [parts] result in
                parts.agenda.add { if case .success = result { completion(nil) } else { completion(.unknown) } }
            }
        }
    }

    /// Keeps what the audit trail says of the `batch_init`, before the first record is replaced. After a crash the
    /// trail tells of it, however little was done.
    ///
    /// - Parameter completion: gets nil if the first slice may begin, else the answer: nothing was replaced.
    func begin(completion: @escaping (ShopAnswer?) -> Void) {
        guard let trail = keyed?.write.trail else { return completion(nil) }
        parts.keep(KeyedWrite(nil, lease: lease.map { .renew($0) }, trail: trail), in: group) { answer in
            completion(answer.isDone ? nil : answer)
        }
    }

    /// Renews the lease if half of it is over.
    ///
    /// - Parameter completion: gets whether the next slice may begin.
    func renew(completion: @escaping (Bool) -> Void) {
        guard let lease, lease.end - parts.clock.wallMilliseconds < Limits.batchInitLeaseMilliseconds / 2 else {
            return completion(true)
        }
        let next = nextLease()
        parts.keep(KeyedWrite(nil, lease: .renew(next)), in: group) { [self] answer in
            if answer.isDone { self.lease = next }
            completion(answer.isDone)
        }
    }

    /// Gives the lease back, and keeps the request's key if the `batch_init` is done.
    ///
    /// - Parameter completion: gets the answer. If the key could not be kept, that is "unknown": a repetition would do
    ///   the `batch_init` again.
    func end(_ result: ShopAnswer, completion: @escaping (ShopAnswer) -> Void) {
        let claim = result == .initialized ? keyed?.write.claim : nil
        let step = lease.map { LeaseStep.end($0) }
        guard claim != nil || step != nil else { return completion(result) }
        parts.keep(KeyedWrite(claim, lease: step), in: group) { answer in
            completion(answer.isDone || result != .initialized ? result : .unknown)
        }
    }
}

extension ShopAnswer {
    fileprivate var isDone: Bool { self == .ledger(.done) || self == .order(.done) }
}
