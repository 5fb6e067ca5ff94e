// `batch_init`: creates or replaces many records in slices, so that others are served in between and no frame grows too large.
// A crash leaves a part of them done; the same request, sent again, completes it.

import KontorCore

/// One running `batch_init` over the groups "0" ... "n-1" of one kind.
final class BatchInit {
    enum Step {
        case done
        /// An open saga has a lock on it: replaced as soon as that ends.
        case locked
        case failed(ShopAnswer)
    }

    typealias Replace = (_ number: Int, _ reply: @escaping (Step) -> Void) -> Void

    private let kind: GroupKey.Kind
    private let count: Int
    private let store: any RecordStore
    private let agenda: Agenda
    private let replace: Replace
    private let completion: (ShopAnswer) -> Void
    private var failure: ShopAnswer?
    /// From here on a failure is no refusal any more: some records are replaced.
    private var hasReplaced = false
    private var hasProgressed = false
    private var next = 0
    private var locked: [Int] = []
    private var pending = 0

    private init(
        _ kind: GroupKey.Kind, count: Int, store: any RecordStore, agenda: Agenda, replace: @escaping Replace,
        completion: @escaping (ShopAnswer) -> Void
    ) {
        self.kind = kind
        self.count = count
        self.store = store
        self.agenda = agenda
        self.replace = replace
        self.completion = completion
    }

    /// Refuses if one of the groups has an open saga now. One that gets its saga later is waited for: once the first record is
    /// replaced, nothing can be refused any more.
    static func run(
        _ kind: GroupKey.Kind, count: Int, store: any RecordStore, agenda: Agenda, replace: @escaping Replace,
        completion: @escaping (ShopAnswer) -> Void
    ) {
        let run = BatchInit(kind, count: count, store: store, agenda: agenda, replace: replace, completion: completion)
        var culprit: GroupKey?
        OpenWork.forEachPage(of: kind, in: store, agenda: agenda) { page in
            for entry in page where culprit == nil && entry.record.isLock {
                if let number = Int(entry.key.group.id.text), number < count, String(number) == entry.key.group.id.text {
                    culprit = entry.key.group
                }
            }
        } completion: { error in
            if let error { return completion(.unavailable(error)) }
            if let culprit { return completion(.hasOpenSaga(culprit)) }
            run.runSlice()
        }
    }

    private func runSlice() {
        let last = min(next + Limits.batchInitSlice, count)
        let slice = locked + Array(next..<last)
        locked = []
        next = last
        hasProgressed = false
        pending = slice.count
        for number in slice {
            replace(number) { [self] step in
                switch step {
                case .done: hasProgressed = true
                case .locked: locked.append(number)
                case .failed(let answer): failure = answer
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
        // The room that is reserved on a full disk is for sagas, not for the rest of this.
        if let error = store.admission { return completion(hasReplaced ? .unknown : .unavailable(error)) }
        // All that is left is locked. Its sagas end in later turns; asking again in this one would keep them from it.
        guard hasProgressed else { return agenda.addAtTick { self.runSlice() } }
        // The barrier lets others go on: it comes back after the slice is on disk.
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
    /// Those that are not done.
    private(set) var running = 0

    init(_ parts: ShopParts) { self.parts = parts }

    /// Creates or replaces the accounts "0" ... "n-1" of a ledger.
    func replaceAccounts(
        _ kind: GroupKey.Kind, count: Int, balance: Amount, price: Amount, answer: @escaping (ShopAnswer) -> Void
    ) {
        let ledger = parts.ledger(kind)
        run(kind, count: count, answer: answer) { number, reply in
            let account = GroupKey(kind, Identifier(number: number))
            ledger.submit(LedgerCommand(account, .replace(balance: balance, price: price))) { reply($0.initStep) }
        }
    }

    /// Creates or replaces the orders "0" ... "n-1", of two random items each, for random users.
    func replaceOrders(
        count: Int, items: Int, users: Int, price: Amount, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard price.times(Amount(2)) != nil else { return answer(.order(.overLimit)) }
        run(.order, count: count, answer: answer) { [parts] number, reply in
            parts.orders.replaceByRandomOrder(number, items: items, users: users, price: price) { reply($0.initStep) }
        }
    }

    private func run(
        _ kind: GroupKey.Kind, count: Int, answer: @escaping (ShopAnswer) -> Void, replace: @escaping BatchInit.Replace
    ) {
        running += 1
        let began = parts.clock.monotonicMilliseconds
        BatchInit.run(kind, count: count, store: parts.store, agenda: parts.agenda, replace: replace) { [self] result in
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
        case .hasOpenSaga(let group): return "refused, a checkout is open on \(group)"
        case .unknown: return "ended half-way: repeat it"
        default: return "refused"
        }
    }
}

extension LedgerReply {
    /// What a `replace` of an account came to.
    var initStep: BatchInit.Step {
        switch self {
        case .decided(.done): return .done
        case .decided(.hasHolds): return .locked
        case .decided(let outcome): return .failed(.ledger(outcome))
        case .refused(let error): return .failed(.unavailable(error))
        case .unknown, .keyed: return .failed(.unknown)
        }
    }
}

extension OrderReply {
    /// What a `replace` of an order came to.
    var initStep: BatchInit.Step {
        switch self {
        case .decided(.done): return .done
        case .decided(.isCheckingOut): return .locked
        case .decided(let outcome): return .failed(.order(outcome))
        case .refused(let error): return .failed(.unavailable(error))
        case .unknown, .keyed: return .failed(.unknown)
        }
    }
}
