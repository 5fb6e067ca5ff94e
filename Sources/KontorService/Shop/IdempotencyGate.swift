// The gate for writes under an idempotency key: a repetition gets the answer of the first request, and has no second
// effect.

import KontorCore

/// Looks for a request's key before anything else could answer the request, and keeps the keys of `batch_init`s.
final class IdempotencyGate {
    /// The scope of a key: within one order, user or item a key names one write.
    private struct Scope: Hashable {
        let group: GroupKey
        let key: IdempotencyKey
    }

    /// A key whose request is not answered yet.
    private struct Running {
        let request: [UInt8]
        /// Callers that wait; a checkout can be joined, so there may be several.
        var callers = 0
    }

    private let parts: ShopParts
    private let policy: KeyPolicy
    private let refusals: Refusals
    private var running: [Scope: Running] = [:]

    init(_ parts: ShopParts, _ policy: KeyPolicy, _ refusals: Refusals) {
        self.parts = parts
        self.policy = policy
        self.refusals = refusals
    }

    /// Answers a request whose key was used, and begins any other one.
    ///
    /// - Parameters:
    ///   - ids: how the id of a creation is derived from its key.
    ///   - deadline: monotonic milliseconds.
    ///   - begin: begins the request, and calls `answer` at its end.
    func pass(
        _ request: ShopRequest, _ key: IdempotencyKey, _ ids: IDDerivation, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void,
        begin: @escaping (KeyedRequest, _ answer: @escaping (ShopAnswer) -> Void) -> Void
    ) {
        let now = parts.clock.wallMilliseconds
        let isFull = parts.store.expiringRecords >= policy.keptKeys
        let keyed = KeyedRequest(
            request, key, ids, expires: now + policy.retention(of: key), now: now, hasRoom: !isFull)
        let scope = Scope(group: keyed.group, key: key)
        if let refusal = refusalWhileRunning(request, keyed, scope) { return answer(.keyed(refusal)) }
        running[scope, default: Running(request: keyed.write.claim.request)].callers += 1
        let end: (ShopAnswer) -> Void = { [self] result in
            leave(scope)
            if result == .keyed(.noRoom) { refusals.count(.keptKeys) }
            guard result == .keyed(.replayed) else { return answer(result) }
            guard case .checkout(let order) = request else { return answer(.replayed(keyed.success)) }
            answerReplay(ofCheckout: order, keyed, deadline: deadline, answer: answer)
        }
        // The key is looked up first: a repetition gets the true answer even while nothing new may begin.
        lookUp(keyed, answer: end) { [self] in
            // The key of a `batch_init` is kept at its end, when it is too late to refuse it.
            if request.isBatchInit, !keyed.write.hasRoom { return end(.keyed(.noRoom)) }
            begin(keyed) { [self] result in
                switch result {
                case .initialized: keep(keyed, answer: end)
                // The account or order was made under this key, which has expired since.
                case .ledger(.accountExists): compareExisting(keyed, answer: end)
                case .order(.orderExists): end(.keyed(.replayed))
                default: end(result)
                }
            }
        }
    }

    /// The verdict on a request while another one runs under its key; nil: none runs, or the request is a checkout,
    /// which joins.
    private func refusalWhileRunning(_ request: ShopRequest, _ keyed: KeyedRequest, _ scope: Scope) -> KeyVerdict? {
        guard let present = running[scope] else { return nil }
        if present.request != keyed.write.claim.request { return .usedForAnother }
        if case .checkout = request { return nil }
        return .running
    }

    private func leave(_ scope: Scope) {
        running[scope]?.callers -= 1
        if running[scope]?.callers == 0 { running[scope] = nil }
    }

    /// Answers the replay of a checkout. The key is kept with the decision, but a caller that is told "paid" relies on
    /// the captures, so the replay waits for them.
    private func answerReplay(
        ofCheckout order: Identifier, _ keyed: KeyedRequest, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        parts.orders.submit(OrderCommand(order, .inspect)) { [parts] reply in
            guard case .decided(.inspected(_, let saga?)) = reply, saga.phase == .committed else {
                return answer(.replayed(keyed.success))
            }
            parts.orders.checkout(order, deadline: deadline) { result in
                answer(result == .checkout(.paid) ? .replayed(keyed.success) : result)
            }
        }
    }

    /// Calls `then` if the key is free. It asks the store, not an engine: the engine's other commands would have to
    /// wait for the read from the table.
    private func lookUp(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void, then: @escaping () -> Void) {
        parts.store.load([ReadSet(keyed.group, .key(keyed.write.claim.key))]) { [parts] outcomes in
            parts.agenda.add {
                switch outcomes[0] {
                case .failure(let error): answer(.unavailable(error))
                case .success(let group):
                    if let verdict = keyed.write.verdict(on: group.member) {
                        answer(.keyed(verdict))
                    } else {
                        then()
                    }
                }
            }
        }
    }

    /// Keeps the key of a complete `batch_init`, in a group that contains only such keys.
    private func keep(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void) {
        let group = keyed.group
        // The `batch_init` is done. If its key could not be kept, the answer is "unknown", and a repetition does it
        // again.
        let end: (ShopAnswer) -> Void = {
            answer($0 == .ledger(.done) || $0 == .order(.done) ? .initialized : .unknown)
        }
        if group.kind == .order {
            parts.orders.submit(OrderCommand(group.id, .keepKey), keyed: keyed.write) { end($0.answer) }
        } else {
            parts.ledger(group.kind).submit(LedgerCommand(group, .keepKey), keyed: keyed.write) { end($0.answer) }
        }
    }

    private func compareExisting(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void) {
        parts.ledger(keyed.group.kind).submit(LedgerCommand(keyed.group, .read)) { reply in
            guard case .decided(.account(let account)) = reply else { return answer(reply.answer) }
            answer(.keyed(keyed.makes(account) ? .replayed : .usedForAnother))
        }
    }
}
