// `batch_init`: creates or replaces many records in slices, so that other requests are served in between, and no frame
// grows too large. After a crash a part is done; the same request, sent again, completes it.

import KontorCore

/// One running `batch_init` over the groups "0" ... "n-1" of one kind.
final class BatchInit {
    enum Step {
        case done
        /// An open saga has locked the record: it is replaced when the saga ends.
        case locked
        case failed(ShopAnswer)
    }

    /// Replaces one record, under the lease if there is one.
    typealias Replace = (_ number: Int, _ lease: KeyedWrite?, _ reply: @escaping (Step) -> Void) -> Void

    private let kind: GroupKey.Kind
    private let count: Int
    private let store: any RecordStore
    private let agenda: Agenda
    private let lease: BatchInitLease
    private let replace: Replace
    private let completion: (ShopAnswer) -> Void
    private var failure: ShopAnswer?
    /// Whether records have been replaced: then a failure is answered as unknown, not as a refusal.
    private var hasReplaced = false
    private var hasProgressed = false
    private var next = 0
    private var locked: [Int] = []
    private var pending = 0

    private init(
        _ kind: GroupKey.Kind, count: Int, _ parts: ShopParts, _ lease: BatchInitLease, replace: @escaping Replace,
        completion: @escaping (ShopAnswer) -> Void
    ) {
        self.kind = kind
        self.count = count
        store = parts.store
        agenda = parts.agenda
        self.lease = lease
        self.replace = replace
        self.completion = completion
    }

    /// Runs a `batch_init`. It is refused if one of the groups has an open saga now, or is reserved. A saga that begins
    /// later is waited for: after the first replacement nothing can be refused. A reservation that is made later ends
    /// it half-way: that may stand for a day.
    static func run(
        _ kind: GroupKey.Kind, count: Int, _ parts: ShopParts, _ lease: BatchInitLease, replace: @escaping Replace,
        completion: @escaping (ShopAnswer) -> Void
    ) {
        let run = BatchInit(kind, count: count, parts, lease, replace: replace, completion: completion)
        var culprit: GroupKey?
        func begin() {
            lease.begin { refusal in
                if let refusal { completion(refusal) } else { run.runSlice() }
            }
        }
        OpenWork.forEachPage(of: kind, in: parts.store, agenda: parts.agenda) { page in
            for entry in page where culprit == nil && entry.record.isLock && run.replaces(entry.key.group) {
                culprit = entry.key.group
            }
        } completion: { error in
            if let error { return completion(.unavailable(error)) }
            if let culprit { return completion(.hasOpenSaga(culprit)) }
            // What is reserved of an item was among the locks.
            if kind == .order { run.findReserved(then: begin) } else { begin() }
        }
    }

    private func replaces(_ group: GroupKey) -> Bool {
        guard let number = Int(group.id.text) else { return false }
        return number < count && String(number) == group.id.text
    }

    /// Looks for an order that is reserved, and goes on if there is none.
    private func findReserved(behind last: RecordKey? = nil, then: @escaping () -> Void) {
        store.scan(.dues(behind: last), atMost: Limits.batchInitSlice) { [self] found in
            switch found {
            case .failure(let error): completion(.unavailable(error))
            case .success(let part):
                if let reserved = part.entries.first(where: { replaces($0.key.group) }) {
                    return completion(.hasOpenSaga(reserved.key.group))
                }
                guard let next = part.next else { return then() }
                agenda.add { self.findReserved(behind: next, then: then) }
            }
        }
    }

    /// Runs the next slice, if the lease can be kept for it.
    private func runSlice() {
        lease.renew { [self] isKept in
            if isKept { replaceSlice() } else { completion(.unknown) }
        }
    }

    private func replaceSlice() {
        let last = min(next + Limits.batchInitSlice, count)
        let slice = locked + Array(next..<last)
        locked = []
        next = last
        hasProgressed = false
        pending = slice.count
        for number in slice {
            replace(number, lease.write) { [self] step in
                switch step {
                case .done: hasProgressed = true
                case .locked: locked.append(number)
                // What is unknown may have been done, whatever became of the others.
                case .failed(let answer): if failure != .unknown { failure = answer }
                }
                pending -= 1
                if pending == 0 { endSlice() }
            }
        }
    }

    private func endSlice() {
        hasReplaced = hasReplaced || hasProgressed
        if let failure { return completion(hasReplaced ? .unknown : failure) }
        if next == count && locked.isEmpty { return completion(.initialized) }
        // The room that is reserved on a full disk is for sagas, not for the rest of a `batch_init`.
        if let error = store.admission { return completion(hasReplaced ? .unknown : .unavailable(error)) }
        // Only locked records are left. Their sagas end in later turns; asking again in this turn would keep them from
        // it.
        guard hasProgressed else { return agenda.addAtTick { self.runSlice() } }
        // The barrier lets other requests run: it completes after the slice is on disk.
        store.barrier { [self] result in
            switch result {
            case .success: agenda.add { self.runSlice() }
            case .failure: completion(.unknown)
            }
        }
    }
}

/// The `batch_init`s of one shop.
final class BatchInits {
    private let parts: ShopParts
    /// The number of `batch_init`s that are not done.
    private(set) var running = 0

    init(_ parts: ShopParts) { self.parts = parts }

    /// Creates or replaces the accounts "0" ... "n-1" of a ledger.
    func replaceAccounts(
        _ kind: GroupKey.Kind, count: Int, balance: Amount, price: Amount, _ keyed: KeyedRequest?,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        let ledger = parts.ledger(kind)
        run(kind, count: count, keyed, answer: answer) { number, lease, reply in
            let account = GroupKey(kind, Identifier(number: number))
            let command = LedgerCommand(account, .replace(balance: balance, price: price))
            ledger.submit(command, keyed: lease) { reply($0.initStep(account)) }
        }
    }

    /// Creates or replaces the orders "0" ... "n-1", of two random items each, for random users.
    func replaceOrders(
        count: Int, items: Int, users: Int, price: Amount, _ keyed: KeyedRequest?,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        guard price.times(Amount(2)) != nil else { return answer(.order(.overLimit(.cost))) }
        run(.order, count: count, keyed, answer: answer) { [parts] number, lease, reply in
            parts.orders.replaceByRandomOrder(number, items: items, users: users, price: price, keyed: lease) {
                reply($0.initStep(GroupKey(.order, Identifier(number: number))))
            }
        }
    }

    private func run(
        _ kind: GroupKey.Kind, count: Int, _ keyed: KeyedRequest?, answer: @escaping (ShopAnswer) -> Void,
        replace: @escaping BatchInit.Replace
    ) {
        running += 1
        let lease = BatchInitLease(parts, kind, keyed)
        lease.take { [self] refusal in
            if let refusal {
                running -= 1
                return answer(refusal)
            }
            let end = end(kind, count: count, answer: answer)
            BatchInit.run(kind, count: count, parts, lease, replace: replace) { lease.end($0, completion: end) }
        }
    }

    /// The end of a `batch_init` that has begun.
    private func end(
        _ kind: GroupKey.Kind, count: Int, answer: @escaping (ShopAnswer) -> Void
    ) -> (ShopAnswer) -> Void {
        let began = parts.clock.monotonicMilliseconds
        return { [self] result in
            running -= 1
            let seconds = Double(parts.clock.monotonicMilliseconds - began) / 1000
            parts.metrics.initialized(kind, isDone: result == .initialized)
            parts.log.notice(
                "A batch_init ended",
                ["kind": "\(kind)", "records": "\(count)", "seconds": "\(seconds)", "outcome": result.batchInitText])
            answer(result)
        }
    }
}

extension ShopAnswer {
    /// The outcome of a `batch_init`, for the log.
    fileprivate var batchInitText: String {
        switch self {
        case .initialized: return "done"
        case .hasOpenSaga(let group): return "refused, a saga or reservation of \(group) stands"
        case .unknown: return "ended half-way: repeat it"
        default: return "refused"
        }
    }
}

extension LedgerReply {
    /// The step that a reply to the `replace` of an account means.
    func initStep(_ account: GroupKey) -> BatchInit.Step {
        switch self {
        case .decided(.done): return .done
        case .decided(.hasHolds): return .locked
        case .decided(.reserved): return .failed(.hasOpenSaga(account))
        case .decided(let outcome): return .failed(.ledger(outcome))
        case .refused(let error): return .failed(.unavailable(error))
        case .unknown, .keyed: return .failed(.unknown)
        }
    }
}

extension OrderReply {
    /// The step that a reply to the `replace` of an order means.
    func initStep(_ order: GroupKey) -> BatchInit.Step {
        switch self {
        case .decided(.done): return .done
        case .decided(.isCheckingOut): return .locked
        case .decided(.isReserved): return .failed(.hasOpenSaga(order))
        case .decided(let outcome): return .failed(.order(outcome))
        case .refused(let error): return .failed(.unavailable(error))
        case .unknown, .keyed: return .failed(.unknown)
        }
    }
}
