// Performs what the sagas of orders decide, checkouts and reservations: sends their messages, asks the order, tells the
// callers. The rules are in CheckoutSaga.

import DequeModule
import KontorCore

/// Drives the running checkouts of one process.
final class CheckoutCoordinator {
    typealias Callback = (ShopAnswer) -> Void

    private let orders: ShardedEngine<OrderRules>
    private let store: any RecordStore
    private let router: MessageRouter
    private let clock: any ShopClock
    private let log: any EventLog
    private let metrics: ShopMetrics
    /// Whether a saga's markers are removed at its end. Where messages can be late, markers stay until none can arrive.
    private let forgetsMarkers: Bool
    private var running: [Identifier: Running] = [:]
    /// The running checkouts in the order in which they are looked at, and when, monotonic milliseconds.
    private var looks = Deque<(due: Int64, checkout: Running)>()

    /// - Parameter isAlone: whether no message can be lost, doubled or late.
    init(orders: ShardedEngine<OrderRules>, _ environment: ShopEnvironment, router: MessageRouter, isAlone: Bool) {
        self.orders = orders
        self.router = router
        store = environment.store
        clock = environment.clock
        log = environment.log
        metrics = environment.metrics
        forgetsMarkers = isAlone
    }

    /// Checkouts that this process drives.
    var openCount: Int { running.count }

    /// The legs of these checkouts.
    private(set) var openLegs = 0

    /// Those of them that end reservations that were over, and their legs.
    private var openEnds = (sagas: 0, legs: 0)

    /// Whether no checkout may begin: so many are open.
    var isFull: Bool {
        running.count - openEnds.sagas >= Limits.openSagas || openLegs - openEnds.legs >= Limits.openLegs
    }

    /// Whether another reservation may be ended.
    var canEnd: Bool { openEnds.sagas < Limits.openEnds && openEnds.legs < Limits.openEndLegs }

    /// Whether a checkout may be taken over. There is room beyond that for beginning.
    var canTakeOver: Bool { running.count < Limits.drivenSagas && openLegs < Limits.drivenLegs }

    func isRunning(_ order: Identifier) -> Bool { running[order] != nil }

    func isRunning(_ saga: SagaID) -> Bool { running[saga.order]?.saga.record.id == saga }

    /// Whether a saga runs that ends this one's locks: it is this one, or has found what this one reserved.
    func ends(_ saga: SagaID) -> Bool {
        guard let record = running[saga.order]?.saga.record, record.id.incarnation == saga.incarnation else { return false }
        return record.id == saga || record.found?.attempt == saga.attempt
    }

    /// Is called when an order has become reserved, with the end of that: milliseconds since 1970.
    var didReserve: (Int64) -> Void = { _ in }

    /// Does with an order what is wished, or joins the saga of it that runs.
    ///
    /// - Parameters:
    ///   - deadline: monotonic milliseconds.
    ///   - callback: gets the result, or ``ShopAnswer/unknown`` at the deadline.
    func run(
        _ order: Identifier, _ wish: Wish, owner: Identifier?, keyed: KeyedWrite?, deadline: Int64,
        callback: @escaping Callback
    ) {
        begin(order, [Caller(tell: callback, wish: wish, owner: owner, keyed: keyed, deadline: deadline)])
    }

    /// Creates an order and begins its checkout, in one commit.
    ///
    /// - Parameters:
    ///   - deadline: monotonic milliseconds.
    ///   - refused: gets the reply if the order was not created, or was there.
    ///   - callback: gets the result of the checkout, or ``ShopAnswer/unknown`` at the deadline, and if nobody knows
    ///     whether the order was created.
    func place(
        _ order: Order, as id: Identifier, keyed: KeyedWrite?, deadline: Int64, refused: @escaping (OrderReply) -> Void,
        callback: @escaping Callback
    ) {
        let caller = Caller(tell: callback, wish: .checkout, owner: nil, keyed: keyed, deadline: deadline)
        let times = [caller].times(by: clock)
        let command = OrderCommand(id, .place(order, now: times.now, deadline: times.deadline, keyed?.kept))
        orders.submit(command, keyed: keyed) { [self] reply in
            if case .decided(.begun(let record)) = reply { return drive(record, [caller], haveJoined: false) }
            if reply != .decided(.orderExists) { metrics.didNotBegin(reply) }
            switch reply {
            case .decided(.isEmpty): callback(.checkout(.notBegun(.isEmpty)))
            case .unknown: callback(.unknown)
            default: refused(reply)
            }
        }
    }

    /// Waits for the end of a saga that gives back what the caller wanted given back: the caller asks for nothing more.
    ///
    /// - Parameter callback: is called at once if this process does not drive the saga.
    func wait(for saga: SagaID, deadline: Int64, callback: @escaping Callback) {
        guard let present = running[saga.order], present.saga.record.id == saga else {
            return callback(.checkout(.givenBack))
        }
        var caller = Caller(tell: callback, wish: .noReservation, owner: nil, keyed: nil, deadline: deadline)
        caller.hasJoined = true
        caller.isReplay = true
        present.callers.append(caller)
    }

    private func join(_ present: Running, _ callers: [Caller]) {
        for var caller in callers {
            caller.hasJoined = true
            let isOwners: (Identifier) -> Bool = { owner in
                present.saga.record.legs.contains { $0.account == GroupKey(.user, owner) }
            }
            if let owner = caller.owner, !isOwners(owner) {
                joinIfOwner(owner, caller, present)
            } else {
                present.callers.append(caller)
            }
        }
    }

    /// Joins a checkout of another user's order if that is over in truth, and the order is this user's since.
    private func joinIfOwner(_ owner: Identifier, _ caller: Caller, _ present: Running) {
        let order = present.saga.record.id.order
        orders.submit(OrderCommand(order, .read, owner: owner)) { [self] reply in
            if case .decided(.unknownOrder) = reply { return caller.tell(.checkout(.notBegun(.unknownOrder))) }
            if present.hasEnded { begin(order, [caller]) } else { present.callers.append(caller) }
        }
    }

    /// - Parameter callers: who want the same.
    private func begin(_ order: Identifier, _ callers: [Caller]) {
        guard let first = callers.first else { return }
        if let present = running[order] { return join(present, callers) }
        guard case .reservation(let milliseconds) = first.wish else { return begin(order, callers, reservedUntil: 0) }
        store.time(of: GroupKey(.order, order)) { [self] time in
            switch time {
            case .success(let time):
                begin(order, callers, reservedUntil: (time ?? clock.wallMilliseconds) + milliseconds)
            case .failure(let error): tell(.unavailable(error), callers)
            }
        }
    }

    private func begin(_ order: Identifier, _ callers: [Caller], reservedUntil: Int64) {
        guard let first = callers.first else { return }
        let times = callers.times(by: clock)
        let operation = first.operation(now: times.now, deadline: times.deadline, reservedUntil: reservedUntil)
        let command = OrderCommand(order, operation, owner: first.owner)
        orders.submit(command, keyed: first.keyed) { [self] reply in
            if first.wish == .checkout { metrics.didNotBegin(reply) }
            switch reply {
            case .decided(.begun(let record)):
                drive(record, callers, haveJoined: false)
            case .decided(.running(let record)):
                drive(record, callers, haveJoined: true)
            // Nothing is reserved.
            case .decided(.done): succeed(.givenBack, order, callers, first)
            case .decided(.alreadyPaid) where first.wish == .checkout:
                succeed(.paid, order, callers, first)
            case .decided(let refusal): tell(.checkout(.notBegun(refusal)), callers)
            case .refused(let error): tell(.unavailable(error), callers)
            case .keyed(let verdict):
                // The verdict is on the first caller's key; the others have their own.
                first.tell(.keyed(verdict))
                begin(order, Array(callers.dropFirst()))
            case .unknown: tell(.unknown, callers)
            }
        }
    }

    /// Tells callers that what they want is so already. The first caller's key is kept; who has another one asks for
    /// itself.
    private func succeed(_ result: CheckoutResult, _ order: Identifier, _ callers: [Caller], _ first: Caller) {
        let isTold: (Caller) -> Bool = { [.none, first.keyed?.kept?.key].contains($0.keyed?.kept?.key) }
        tell(.checkout(result), callers.filter(isTold))
        begin(order, callers.filter { !isTold($0) })
    }

    /// Drives a saga that was found in the store, and whose process is gone. Nobody waits for it any more, so it does
    /// not wait for long: whatever this process's clock makes of its deadline. Should another process drive it all the
    /// same, one of their decisions stands, and both follow it.
    func drive(_ record: SagaRecord) { drive(record, [], haveJoined: true) }

    /// Drives a saga that ends a reservation that was over.
    func driveEnd(_ record: SagaRecord) {
        guard running[record.id.order] == nil else { return drive(record) }
        openEnds.sagas += 1
        openEnds.legs += record.legs.count
        drive(record, [], haveJoined: true, isEnd: true)
    }

    private func drive(_ record: SagaRecord, _ callers: [Caller], haveJoined: Bool, isEnd: Bool = false) {
        if let present = running[record.id.order] { return join(present, callers) }
        let now = clock.monotonicMilliseconds
        let wall = clock.wallMilliseconds
        let left = timeLeft(for: record, callers, now: now, wall: wall)
        let begun = now - max(0, wall - record.begun)
        let saga = CheckoutSaga(record, begun: begun, deadline: now + left)
        let present = Running(saga, callers: haveJoined ? [] : callers, since: begun)
        if haveJoined { join(present, callers) }
        running[record.id.order] = present
        present.isEnd = isEnd
        openLegs += record.legs.count
        looks.append((now + Limits.sagaLookMilliseconds, present))
        perform(present.saga.start(now: now), for: present)
    }

    /// How long an undecided saga may go on. While somebody waits for it, that follows from its callers: a clock that
    /// was set, or that of the process that began it, must not end it early. One that nobody waits for ends soon, and
    /// at once if its deadline is over by every clock that is right enough.
    private func timeLeft(for record: SagaRecord, _ callers: [Caller], now: Int64, wall: Int64) -> Int64 {
        if let deadline = callers.map(\.deadline).max() { return Deadline.ofWaiting(callersDeadline: deadline, now: now) - now }
        let slack = forgetsMarkers ? 0 : Limits.clockSkewMilliseconds
        return min(record.deadline - wall + slack, Limits.abandonedSagaMilliseconds)
    }

    /// The progress of the order's checkout: its trace, and when each leg is asked again, by the wall clock. nil: none
    /// runs here.
    func progress(of order: Identifier) -> (saga: SagaID, trace: SagaTrace, retries: [Int64?])? {
        guard let present = running[order] else { return nil }
        let now = clock.monotonicMilliseconds
        let wallOffset = clock.wallMilliseconds - now
        let retries = present.saga.record.legs.indices.map { leg in
            present.saga.nextRetry(ofLeg: leg).map { $0 + wallOffset }
        }
        return (present.saga.record.id, present.saga.trace(now: now), retries)
    }

    /// Enforces deadlines, and repeats messages that were not answered. All are looked at equally often, so the first
    /// in the queue is always the next one.
    func tick() {
        let now = clock.monotonicMilliseconds
        while let next = looks.first, next.due <= now {
            looks.removeFirst()
            if next.checkout.hasEnded { continue }
            look(at: next.checkout)
            if !next.checkout.hasEnded { looks.append((now + Limits.sagaLookMilliseconds, next.checkout)) }
        }
    }

    private func look(at present: Running) {
        let actions = present.saga.handle(.tick(unreachable: router.unreachable), now: clock.monotonicMilliseconds)
        if !actions.isEmpty {
            countResent(actions)
            perform(actions, for: present)
        }
        leaveWaiting(present)
    }

    /// Answers "unknown" to callers whose deadline has passed.
    private func leaveWaiting(_ present: Running) {
        let now = clock.monotonicMilliseconds
        guard present.callers.contains(where: { $0.deadline <= now }) else { return }
        let overdue = present.callers.filter { $0.deadline <= now }
        present.callers.removeAll { $0.deadline <= now }
        for caller in overdue { caller.tell(.unknown) }
    }

    /// Sets the gauges.
    func publish() {
        let oldest = running.values.lazy.map(\.since).min()
        metrics.openSagas.record(running.count)
        metrics.oldestSagaSeconds.record(oldest.map { Double(clock.monotonicMilliseconds - $0) / 1000 } ?? 0)
    }

    /// Takes a ledger's reply to a step of a leg. A reply to a saga that does not run here has no effect.
    func receive(_ reply: LedgerReply, leg: Int, _ step: CheckoutSaga.Step, of saga: SagaID) {
        guard let present = running[saga.order] else { return }
        handle(.replied(leg: leg, step, of: saga, reply), for: present)
    }

    private func handle(_ event: CheckoutSaga.Event, for present: Running) {
        if case .orderReplied(_, _, .decided(.stale)) = event { present.isOvertaken = true }
        let actions = present.saga.handle(event, now: clock.monotonicMilliseconds)
        if case .orderReplied(to: .confirm, _, _) = event { countResent(actions) }
        perform(actions, for: present)
    }

    private func countResent(_ actions: [CheckoutSaga.Action]) {
        for case .send in actions { metrics.resentMessages.increment() }
    }

    private func perform(_ actions: [CheckoutSaga.Action], for present: Running) {
        let record = present.saga.record
        for action in actions {
            switch action {
            case .send(let message): router.send(message)
            case .askOrder(let step, let command):
                if step == .finish, !present.isFinishing {
                    present.isFinishing = true
                    for index in present.callers.indices { present.callers[index].maySharePayment = true }
                }
                orders.submit(command) { [self] reply in
                    handle(.orderReplied(to: step, of: record.id, reply), for: present)
                }
            case .answer(let result):
                // Reservations that are refused, or that others have ended, are no checkouts.
                if record.isOfCheckout || result == .reserved || result == .givenBack { metrics.ended(result) }
                if let result { tell(result, callersOf: present) }
                if result == .reserved, let until = record.reservesUntil { didReserve(until) }
            case .forget(let saga):
                if saga != record.id { metrics.retries.increment() }
                if forgetsMarkers { forget(saga, record) }
            case .alarm(let leg, let anomaly):
                metrics.alarmed(anomaly)
                log.alarm(
                    "A ledger refused a message of a saga",
                    [
                        "saga": "\(record.id)", "account": "\(record.legs[leg].account)", "anomaly": "\(anomaly)",
                        "phase": "\(record.phase)",
                    ])
            case .end(let result):
                running[record.id.order] = nil
                present.hasEnded = true
                openLegs -= record.legs.count
                if present.isEnd { openEnds = (openEnds.sagas - 1, openEnds.legs - record.legs.count) }
                if result == .paid { sharePayment(present) }
                tell(.checkout(.givenBack), present.callers.filter(\.isReplay))
                present.callers.removeAll(where: \.isReplay)
                askAnew(present)
            }
        }
    }

    /// Removes the markers of a saga that is over. These messages are not repeated: recovery finds the markers that a
    /// crash leaves.
    private func forget(_ saga: SagaID, _ record: SagaRecord) {
        for (leg, target) in record.legs.enumerated() {
            guard let holder = record.holder(ofLeg: leg, endedBy: saga) else { continue }
            let command = LedgerCommand(target.account, .forget(holder))
            router.send(Message(.nobody, .command(command, deadline: record.deadline)))
        }
    }

    private func tell(_ answer: ShopAnswer, _ callers: [Caller]) {
        for caller in callers { caller.tell(answer) }
    }

    /// Tells the result to the callers that came before the saga began. Callers that joined learn theirs at its end.
    private func tell(_ result: CheckoutResult, callersOf present: Running) {
        let isConcerned: (Caller) -> Bool = { caller in
            !caller.hasJoined && (!result.isSuccess || caller.sharesKey(with: present.saga.record))
        }
        let concerned = present.callers.filter(isConcerned)
        present.callers.removeAll(where: isConcerned)
        tell(.checkout(result), concerned)
    }

    /// Tells "paid" to every caller that surely meant this order.
    private func sharePayment(_ present: Running) {
        let isShared: (Caller) -> Bool = { caller in
            caller.wish == .checkout && caller.sharesKey(with: present.saga.record)
                && (!caller.hasJoined || (caller.maySharePayment && !present.isOvertaken))
        }
        let concerned = present.callers.filter(isShared)
        present.callers.removeAll(where: isShared)
        tell(.checkout(.paid), concerned)
    }

    /// Asks the order again for the callers that still wait. Each gets what its request would get if it were sent now:
    /// the order is paid, or its checkout runs or begins, once for all of them that ask for the same owner.
    private func askAnew(_ present: Running) {
        let now = clock.monotonicMilliseconds
        let callers = present.callers
        present.callers = []
        tell(.unknown, callers.filter { $0.deadline <= now })
        var waiting = callers.filter { $0.deadline > now }.map {
            Caller(tell: $0.tell, wish: $0.wish, owner: $0.owner, keyed: $0.keyed, deadline: $0.deadline)
        }
        // The order may be another one's meanwhile, so the answer depends on who asks.
        while let first = waiting.first {
            let isAlike: (Caller) -> Bool = { $0.owner == first.owner && $0.wish == first.wish }
            begin(present.saga.record.id.order, waiting.filter(isAlike))
            waiting.removeAll(where: isAlike)
        }
    }
}
