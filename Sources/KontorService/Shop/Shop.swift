// The three services of one shop, and the gate through which answers leave: none before all that it tells is durable.

import KontorCore

/// A whole shop on one serial domain: one thread in production, the scheduler in the simulator.
///
/// Its owner calls ``handle(_:deadline:caller:)`` for requests and ``tick()`` every `Limits.tickMilliseconds`, each followed by
/// ``endTurn()``, and ``endTurn()`` after it has delivered a completion to the store.
public final class Shop {
    let parts: Parts
    private let random: any RandomSource
    let clock: any ShopClock
    private let keyPolicy: KeyPolicy
    /// The keyed requests that are not answered yet.
    private var runningKeys: [KeyScope: RunningKey] = [:]
    private let sink: any AnswerSink
    private var outbox: [(caller: any Caller, answer: ShopAnswer)] = []
    private var recovery: Recovery?
    /// nil: it is alone.
    let neighbourhood: Neighbourhood?
    private var batchInits = 0
    private let refusals: Refusals
    private let refusalLog: RefusalLog
    private var nextGauges: Int64 = .min

    /// - Parameters:
    ///   - world: who else works on the store.
    ///   - refusals: what others refused on the shop's behalf, to be told with its own.
    public init(
        store: any RecordStore, clock: any ShopClock, random: any RandomSource, log: any EventLog, sink: any AnswerSink,
        world: ShopWorld = .alone, keys: KeyPolicy = KeyPolicy(), metrics: ShopMetrics = ShopMetrics(),
        refusals: Refusals = Refusals()
    ) {
        (parts, neighbourhood) = Self.assemble(
            store: store, clock: clock, random: random, log: log, world: world, metrics: metrics)
        self.refusals = refusals
        refusalLog = RefusalLog(refusals, log: log, factory: metrics.factory)
        self.random = random
        self.clock = clock
        self.sink = sink
        keyPolicy = keys
    }

    /// Goes on with all that a crash interrupted. Requests may follow once it has completed. One of several has nothing to wait for:
    /// whatever stands still is taken over while it runs, by whoever comes first.
    public func recover(completion: @escaping (Result<RecoveryReport, StoreTrouble>) -> Void) {
        if neighbourhood != nil { return parts.agenda.add { completion(.success(RecoveryReport())) } }
        let recovery = Recovery(parts) { [unowned self] result in
            self.recovery = nil
            completion(result)
        }
        self.recovery = recovery
        recovery.run()
    }

    /// Checkouts that have begun and not ended.
    public var openSagas: Int { parts.orders.coordinator.openCount }

    /// Begins a request, and all that can follow from it without waiting.
    public func handle(
        _ request: ShopRequest, key: IdempotencyKey? = nil, deadline: Int64, caller: any Caller
    ) {
        let answer: (ShopAnswer) -> Void = { [self] in outbox.append((caller, $0)) }
        if let key, !request.isRead {
            handle(request, under: key, deadline: deadline, answer: answer)
        } else {
            admit(request, nil, deadline: deadline, answer: answer)
        }
    }

    private func admit(
        _ request: ShopRequest, _ keyed: KeyedRequest?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard let refusal = refusal(of: request) else {
            return begin(request, keyed, deadline: deadline, answer: answer)
        }
        if case .checkout(let order) = request {
            checkoutWithoutBeginning(order, deadline: deadline, refusal: refusal, answer: answer)
        } else {
            answer(refusal)
        }
    }

    public func tick() {
        parts.agenda.tick()
        parts.orders.coordinator.tick()
        parts.stock.tick()
        parts.payment.tick()
        let now = clock.monotonicMilliseconds
        neighbourhood?.tick(now: now)
        refusalLog.tick(now: now, admission: parts.store.admission)
        guard now >= nextGauges else { return }
        nextGauges = now + Limits.gaugeMilliseconds
        parts.orders.publish()
        parts.stock.publish()
        parts.payment.publish()
    }

    /// The store will be closed: that it takes no work from now on is nothing to tell.
    public func willClose() { refusalLog.isSilent = true }

    /// Runs what is left to do and lets the answers go, behind all that was committed before them.
    public func endTurn() {
        parts.agenda.runUntilQuiet()
        let departing = neighbourhood?.departures.take() ?? []
        guard !outbox.isEmpty || !departing.isEmpty else { return }
        let answers = outbox
        outbox = []
        parts.store.barrier { [sink] result in
            switch result {
            case .success:
                if !answers.isEmpty { sink.deliver(answers) }
                for depart in departing { depart() }
            // Messages and replies are lost, as they may be at any time.
            case .failure: sink.deliver(answers.map { ($0.caller, .unknown) })
            }
        }
    }

    /// Admission is at begin only: what has begun is never refused for want of room.
    private func refusal(of request: ShopRequest) -> ShopAnswer? {
        if !request.isRead, let trouble = parts.store.admission {
            refusals.count(RefusalReason(trouble))
            return .unavailable(trouble)
        }
        if case .checkout = request, openSagas >= Limits.openSagas {
            refusals.count(.openSagas)
            return .overloaded
        }
        if !request.hasDeadline, batchInits >= Limits.batchInitsAtOnce {
            refusals.count(.batchInits)
            return .overloaded
        }
        return nil
    }

    /// There is no room for a new checkout. But this may be the repetition of one that began: then it is told the truth.
    private func checkoutWithoutBeginning(
        _ order: Identifier, deadline: Int64, refusal: ShopAnswer, answer: @escaping (ShopAnswer) -> Void
    ) {
        if parts.orders.coordinator.isRunning(order) {
            return parts.orders.checkout(order, deadline: deadline, answer: answer)
        }
        parts.orders.submit(OrderCommand(order, .read)) { [parts] reply in
            if case .decided(.order(let order)) = reply, order.status == .paid {
                answer(.checkout(.paid))
            } else {
                parts.metrics.didNotBegin(because: refusal == .overloaded ? .overloaded : .unavailable)
                answer(refusal)
            }
        }
    }

    private func begin(
        _ request: ShopRequest, _ keyed: KeyedRequest?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        let write = keyed?.write
        switch request {
        case .createItem(let price): open(.item, price: price, keyed, answer: answer)
        case .createUser: open(.user, price: .zero, keyed, answer: answer)
        case .ledger(let command):
            parts.ledger(command.account.kind).submit(
                command, keyed: write, reply: { answer($0.answer) },
                deadline: { [clock] in
                    Deadline.ofWaiting(callersDeadline: deadline, now: clock.monotonicMilliseconds)
                })
        case .cancelPayment(let user, let order): cancelPayment(user: user, order: order, write, answer: answer)
        case .paymentStatus(let user, let order): paymentStatus(user: user, order: order, answer: answer)
        case .initItems(let count, let stock, let price):
            initAccounts(.item, count: count, balance: stock, price: price, answer: answer)
        case .initUsers(let count, let credit):
            initAccounts(.user, count: count, balance: credit, price: .zero, answer: answer)
        case .initOrders(let count, let items, let users, let price):
            initOrders(count: count, items: items, users: users, price: price, answer: answer)
        case .createOrder(let user):
            parts.orders.create(newID(keyed), for: user, keyed: write, deadline: deadline, answer: answer)
        case .addItem(let order, let item, let units):
            parts.orders.addItem(item, units: units, to: order, keyed: write, deadline: deadline, answer: answer)
        case .order(let command): parts.orders.submit(command, keyed: write) { answer($0.answer) }
        case .checkout(let order): parts.orders.checkout(order, keyed: write, deadline: deadline, answer: answer)
        case .explain(let order): parts.orders.explain(order, deadline: deadline, answer: answer)
        }
    }

    private func open(
        _ kind: GroupKey.Kind, price: Amount, _ keyed: KeyedRequest?, answer: @escaping (ShopAnswer) -> Void
    ) {
        let id = newID(keyed)
        parts.ledger(kind).submit(LedgerCommand(GroupKey(kind, id), .open(price: price)), keyed: keyed?.write) { reply in
            if case .decided(.done) = reply { answer(.created(id)) } else { answer(reply.answer) }
        }
    }

    /// A creation under a key derives its id from it, so that even a repetition after the key's time makes no second one.
    private func newID(_ keyed: KeyedRequest?) -> Identifier {
        keyed?.group.id ?? Identifier(createdAt: clock.wallMilliseconds, random: random.next(), random.next())
    }
}

// MARK: Idempotency keys

extension Shop {
    private func handle(
        _ request: ShopRequest, under key: IdempotencyKey, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        let now = clock.wallMilliseconds
        let isFull = parts.store.expiringRecords >= keyPolicy.keptKeys
        let keyed = KeyedRequest(request, key, expires: now + keyPolicy.retention(of: key), now: now, hasRoom: !isFull)
        let bytes = keyed.write.claim.request
        if let running = runningKeys[keyed.scope] {
            if running.request != bytes { return answer(.keyed(.usedForAnother)) }
            // A checkout is joined.
            guard case .checkout = request else { return answer(.keyed(.running)) }
        }
        runningKeys[keyed.scope, default: RunningKey(request: bytes)].callers += 1
        let end: (ShopAnswer) -> Void = { [self] result in
            runningKeys[keyed.scope]?.callers -= 1
            if runningKeys[keyed.scope]?.callers == 0 { runningKeys[keyed.scope] = nil }
            if result == .keyed(.noRoom) { refusals.count(.keptKeys) }
            guard result == .keyed(.replayed) else { return answer(result) }
            guard case .checkout(let order) = request else { return answer(.replayed(keyed.success)) }
            answerReplay(ofCheckout: order, keyed, deadline: deadline, answer: answer)
        }
        // Before anything else: a repetition is told the truth also while nothing new may begin.
        lookUp(keyed, answer: end) { [self] in
            // Its key is kept when it is done, and then it is too late to refuse it.
            if !request.hasDeadline, !keyed.write.hasRoom { return end(.keyed(.noRoom)) }
            admit(request, keyed, deadline: deadline) { [self] result in
                switch (result, request) {
                case (.initialized, _): keep(keyed, answer: end)
                // Made under this key, which has expired since.
                case (.ledger(.accountExists), _): compareExisting(keyed, answer: end)
                case (.order(.orderExists), _): end(.keyed(.replayed))
                default: end(result)
                }
            }
        }
    }

    /// The key is kept with the decision; but who is told that the order is paid reads its captures, so they are waited for.
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

    /// Calls `then` if the key is free. Not by way of an engine: its other commands would wait for the look into the table.
    private func lookUp(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void, then: @escaping () -> Void) {
        parts.store.load([Touch(keyed.group, .key(keyed.write.claim.key))]) { [parts] result in
            parts.agenda.add {
                switch result {
                case .failure(let trouble): answer(.unavailable(trouble))
                case .success(let groups):
                    if let verdict = keyed.write.verdict(on: groups.first?.member) {
                        answer(.keyed(verdict))
                    } else {
                        then()
                    }
                }
            }
        }
    }

    /// Keeps the key of a `batch_init` that is complete, in a group that has nothing but such keys.
    private func keep(_ keyed: KeyedRequest, answer: @escaping (ShopAnswer) -> Void) {
        let group = keyed.group
        // It is done. If its key could not be kept, only a repetition can tell, which does it once more.
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

// MARK: batch_init

extension Shop {
    private func initAccounts(
        _ kind: GroupKey.Kind, count: Int, balance: Amount, price: Amount, answer: @escaping (ShopAnswer) -> Void
    ) {
        let ledger = parts.ledger(kind)
        runBatchInit(kind, count: count, answer: answer) { number, reply in
            let account = GroupKey(kind, Identifier(number: number))
            ledger.submit(LedgerCommand(account, .replace(balance: balance, price: price))) { reply($0.initStep) }
        }
    }

    private func initOrders(
        count: Int, items: Int, users: Int, price: Amount, answer: @escaping (ShopAnswer) -> Void
    ) {
        guard price.times(Amount(2)) != nil else { return answer(.order(.overLimit)) }
        runBatchInit(.order, count: count, answer: answer) { [parts] number, reply in
            parts.orders.replaceByRandomOrder(number, items: items, users: users, price: price) { reply($0.initStep) }
        }
    }

    private func runBatchInit(
        _ kind: GroupKey.Kind, count: Int, answer: @escaping (ShopAnswer) -> Void, replace: @escaping BatchInit.Replace
    ) {
        batchInits += 1
        let began = clock.monotonicMilliseconds
        BatchInit.run(kind, count: count, store: parts.store, agenda: parts.agenda, replace: replace) { [self] result in
            batchInits -= 1
            let seconds = Double(clock.monotonicMilliseconds - began) / 1000
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
