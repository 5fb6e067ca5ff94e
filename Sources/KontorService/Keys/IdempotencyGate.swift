// The gate for writes that bear a key or a gateway's stamp: a repetition gets the answer of the first request, and has
// no second effect.

import KontorCore

/// Looks for a request's key before anything else could answer the request, and sees to it that what is refused to a
/// gateway never happens.
final class IdempotencyGate {
    /// The scope of a key: within one order, user or item a key names one write.
    private struct Scope: Hashable {
        let group: GroupKey
        let key: IdempotencyKey
    }

    /// A key whose request is not answered yet.
    private struct Running {
        let request: [UInt8]
        let stamp: RequestStamp?
        /// Callers that wait; a checkout or a refund can be joined, so there may be several.
        var callers = 0
        /// The callers of other copies of the same request of a gateway.
        var copies: [(ShopAnswer) -> Void] = []
        /// Whether the gateway sent one of these after another one: there may be a third one somewhere.
        var isRepeated = false
    }

    private let parts: ShopParts
    private let policy: KeyPolicy
    private let refusals: Refusals
    private let copies: RepeatedCopies
    private var running: [Scope: Running] = [:]

    init(_ parts: ShopParts, _ policy: KeyPolicy, _ refusals: Refusals) {
        self.parts = parts
        self.policy = policy
        self.refusals = refusals
        copies = RepeatedCopies(parts)
    }

    /// Answers a request whose key was used, and begins any other one.
    ///
    /// - Parameters:
    ///   - ids: how the id of a creation is derived from its key.
    ///   - trail: what the audit trail says of it; nil: nothing.
    ///   - deadline: monotonic milliseconds.
    ///   - begin: begins the request, and calls `answer` at its end.
    func pass(
        _ request: ShopRequest, _ name: WriteName, _ ids: IDDerivation, _ trail: TrailEntry? = nil, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void,
        begin: @escaping (KeyedRequest, _ answer: @escaping (ShopAnswer) -> Void) -> Void
    ) {
        // The gateway's clock is further ahead than clocks may be. What is kept under this stamp would be kept for as
        // long, and late copies would be taken for as long.
        if let stamp = name.stamp, stamp.sent > parts.clock.wallMilliseconds + Limits.clockSkewMilliseconds {
            return answer(.keyed(.late))
        }
        let isFull = parts.store.expiringRecords >= policy.keptKeys
        let keyed = KeyedRequest(
            request, name, ids, trail: trail, now: parts.clock.wallMilliseconds, retention: policy.retentionMilliseconds,
            isFull: isFull)
        let scope = keyed.runningKey.map { Scope(group: keyed.group, key: $0) }
        let finish = end(keyed, scope, deadline: deadline, answer: answer)
        if let scope, let present = running[scope] {
            if let stamp = name.stamp, stamp.id == present.stamp?.id {
                // Another copy of what runs here: it gets the same answer.
                running[scope]?.copies.append(answer)
                if stamp.isRepeated { running[scope]?.isRepeated = true }
                return
            }
            if let verdict = verdict(on: keyed, while: present) {
                return conclude(.keyed(verdict), keyed, nil, deadline: deadline, answer)
            }
        }
        if let scope {
            running[scope, default: Running(request: keyed.canonicalBytes, stamp: name.stamp)].callers += 1
        }
        guard name.key != nil else { return begin(keyed, finish) }
        // The client's key is looked up first: a repetition gets the true answer even while nothing new may begin.
        lookUp(keyed, answer: finish) {
            // A `batch_init` takes long: it is refused before it begins.
            if request.isBatchInit, !keyed.write.hasRoom { return finish(.keyed(.noRoom)) }
            begin(keyed, finish)
        }
    }

    /// The verdict on a request while another one runs under its key; nil: it is one that joins.
    private func verdict(on keyed: KeyedRequest, while present: Running) -> KeyVerdict? {
        if present.request != keyed.canonicalBytes { return .usedForAnother }
        if case .refund = keyed.request { return nil }
        return keyed.request.isOfSaga ? nil : .running
    }

    /// The end of a request that has begun: what becomes of its result before the caller is told.
    private func end(
        _ keyed: KeyedRequest, _ scope: Scope?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) -> (ShopAnswer) -> Void {
        let tell: (ShopAnswer) -> Void = { [self] result in
            let joined = scope.map(leave) ?? []
            for answer in [answer] + joined { answer(result) }
        }
        return { [self] in conclude($0, keyed, scope, deadline: deadline, tell) }
    }

    /// Turns the result of a request into the answer that holds for all of its copies.
    ///
    /// - Parameter hasJoined: whether the result is that of a checkout that was joined because it could not be refused.
    private func conclude(
        _ result: ShopAnswer, _ keyed: KeyedRequest, _ scope: Scope?, hasJoined: Bool = false, deadline: Int64,
        _ answer: @escaping (ShopAnswer) -> Void
    ) {
        let settle: (ShopAnswer) -> Void = { [self] in
            guard let stamp = keyed.stamp, stamp.isRepeated || scope.flatMap({ running[$0]?.isRepeated }) == true else {
                return answer($0)
            }
            // A request that joins ends as any other one does, since its key may be kept by then. It joins only once.
            copies.settle($0, of: keyed, stamp, deadline: deadline, answer) { [self] in
                answerReplay(keyed, deadline: deadline, answer: $0)
            } join: { [self] in
                if hasJoined { return answer(.unknown) }
                parts.orders.run($0, keyed: keyed.write, deadline: deadline) { [self] in
                    conclude(
                        keyed.answer(toCheckout: $0), keyed, scope, hasJoined: true, deadline: deadline, answer)
                }
            }
        }
        switch result.ofCheckout {
        case .keyed(.noRoom) where keyed.isCallerFull && !keyed.isFull: settle(.overloaded(.callerKeys))
        case .keyed(.noRoom):
            refusals.count(.keptKeys)
            settle(result)
        case .keyed(.replayed): answerReplay(keyed, deadline: deadline, answer: settle)
        // The account or order was made under this key, which has expired since.
        case .ledger(.accountExists): compareExisting(keyed, answer: settle)
        case .order(.orderExists): settle(.replayed(keyed.success))
        default: settle(result)
        }
    }

    /// Ends a caller's wait. Returns the callers of copies, if it was the last one.
    private func leave(_ scope: Scope) -> [(ShopAnswer) -> Void] {
        running[scope]?.callers -= 1
        guard running[scope]?.callers == 0 else { return [] }
        return running.removeValue(forKey: scope)?.copies ?? []
    }

    /// Answers a replay. The key of a checkout is kept with the decision, but a caller that is told "paid" relies on
    /// the captures, so the replay waits for them; that of a refund is kept when it begins, and the replay waits for
    /// its end.
    private func answerReplay(_ keyed: KeyedRequest, deadline: Int64, answer: @escaping (ShopAnswer) -> Void) {
        if case .refund(let order, _, _, _, _) = keyed.request {
            return answerReplay(ofRefundOf: order, keyed, deadline: deadline, answer: answer)
        }
        // To ask for a reservation again would extend it; it holds what it was for already.
        guard let wished = keyed.wishedOrder, [.checkout, .noReservation].contains(wished.wish) else {
            return answer(.replayed(keyed.success))
        }
        parts.orders.submit(OrderCommand(wished.order, .inspect)) { [parts] reply in
            guard case .decided(.inspected(_, let saga?)) = reply else { return answer(.replayed(keyed.success)) }
            switch wished.wish {
            case .checkout where saga.phase == .committed:
                parts.orders.run(wished, keyed: nil, deadline: deadline) { result in
                    answer(
                        !result.isRefusal && result != .unknown ? .replayed(keyed.success) : keyed.answer(toCheckout: result))
                }
            // To ask for it again would give back what was reserved since.
            case .noReservation where saga.phase.result == .givenBack:
                parts.orders.coordinator.wait(for: saga.id, deadline: deadline) {
                    answer($0 == .unknown ? .unknown : .replayed(keyed.success))
                }
            // Another saga of the order is none of this request's.
            default: answer(.replayed(keyed.success))
            }
        }
    }

    private func answerReplay(
        ofRefundOf order: Identifier, _ keyed: KeyedRequest, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard let key = keyed.write.kept?.key else { return answer(.unknown) }
        parts.reference(of: key, in: keyed.group) { [parts] found in
            guard case .success(let reference?) = found else { return answer(.unknown) }
            parts.orders.repeatRefund(reference, of: order, deadline: deadline) { result in
                if case .refunded = result { answer(.replayed(result)) } else { answer(result) }
            }
        }
    }

    /// Calls `then` if the client's key is free.
    private func lookUp(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void, then: @escaping () -> Void) {
        guard let claim = keyed.write.claim else { return then() }
        parts.lookUp(claim, in: keyed.group) { found in
            switch found {
            case .failure(let error): answer(.unavailable(error))
            case .success(let verdict?): answer(.keyed(verdict))
            case .success(nil): then()
            }
        }
    }

    private func compareExisting(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void) {
        parts.ledger(keyed.group.kind).submit(LedgerCommand(keyed.group, .read)) { reply in
            guard case .decided(.account(let account)) = reply else { return answer(reply.answer) }
            answer(keyed.makes(account) ? .replayed(keyed.success) : .keyed(.usedForAnother))
        }
    }
}
