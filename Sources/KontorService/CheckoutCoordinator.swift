// Performs what the checkout saga decides: sends to participants, asks the order, tells the callers. All rules are in
// CheckoutSaga; here are only the wires.

import KontorCore

/// Drives the running checkouts of one process.
final class CheckoutCoordinator {
    typealias Callback = (ShopAnswer) -> Void

    private struct Caller {
        let tell: Callback
        /// Monotonic milliseconds. Whoever joins may have less time than the saga, and a saga that cannot end must not keep its
        /// callers.
        let deadline: Int64
    }

    private final class Running {
        var saga: CheckoutSaga
        var callers: [Caller]
        /// Monotonic milliseconds: when its checkout began, be it in an earlier process.
        let since: Int64

        init(_ saga: CheckoutSaga, callers: [Caller], since: Int64) {
            self.saga = saga
            self.callers = callers
            self.since = since
        }
    }

    private let orders: Engine<OrderRules>
    private let stock: any Participant
    private let payment: any Participant
    private let clock: any ShopClock
    private let log: any EventLog
    private let metrics: ShopMetrics
    private var running: [Identifier: Running] = [:]

    init(
        orders: Engine<OrderRules>, stock: any Participant, payment: any Participant, clock: any ShopClock,
        log: any EventLog, metrics: ShopMetrics
    ) {
        self.orders = orders
        self.stock = stock
        self.payment = payment
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    /// Checkouts that have begun here and not ended.
    var openCount: Int { running.count }

    func isRunning(_ order: Identifier) -> Bool { running[order] != nil }

    func isRunning(_ saga: SagaID) -> Bool { running[saga.order]?.saga.record.id == saga }

    /// Checks an order out, or joins the checkout of it that runs.
    ///
    /// - Parameters:
    ///   - deadline: monotonic milliseconds.
    ///   - callback: gets the result once it stands; ``ShopAnswer/unknown`` if another process ended the saga.
    func checkout(_ order: Identifier, keyed: KeyedWrite?, deadline: Int64, callback: @escaping Callback) {
        if let present = running[order] {
            present.callers.append(Caller(tell: callback, deadline: deadline))
            return
        }
        let now = clock.monotonicMilliseconds
        let left = max(0, Deadline.ofWaiting(callersDeadline: deadline, now: now) - now)
        let wall = clock.wallMilliseconds
        let command = OrderCommand(order, .begin(now: wall, deadline: wall + left, keyed?.claim))
        begin(command, keyed, deadline: deadline, callback)
    }

    private func begin(
        _ command: OrderCommand, _ keyed: KeyedWrite?, deadline: Int64, _ callback: @escaping Callback
    ) {
        orders.submit(command, keyed: keyed) { [self] reply in
            switch reply {
            case .decided(.begun(let record)), .decided(.running(let record)):
                drive(record, Caller(tell: callback, deadline: deadline))
            case .decided(.alreadyPaid):
                metrics.didNotBegin(because: .alreadyPaid)
                callback(.checkout(.paid))
            case .decided(let refusal):
                metrics.didNotBegin(refusal)
                callback(.checkout(.notBegun(refusal)))
            case .refused(let trouble):
                metrics.didNotBegin(because: .unavailable)
                callback(.unavailable(trouble))
            case .keyed(let verdict):
                callback(.keyed(verdict))
            case .unknown where clock.monotonicMilliseconds < deadline:
                // It may have begun, and then nobody else drives it. Asked again, it says that it runs.
                begin(command, keyed, deadline: deadline, callback)
            case .unknown:
                metrics.ended(nil)
                callback(.unknown)
            }
        }
    }

    /// Goes on with a saga that was found in the store.
    func drive(_ record: SagaRecord) { drive(record, nil) }

    private func drive(_ record: SagaRecord, _ caller: Caller?) {
        if let present = running[record.id.order] {
            if let caller { present.callers.append(caller) }
            return
        }
        let now = clock.monotonicMilliseconds
        let wall = clock.wallMilliseconds
        let left = min(record.deadline - wall, Limits.longestDeadlineMilliseconds)
        let begun = now - max(0, wall - record.begun)
        let saga = CheckoutSaga(record, begun: begun, deadline: now + left)
        let present = Running(saga, callers: caller.map { [$0] } ?? [], since: begun)
        running[record.id.order] = present
        perform(present.saga.start(now: now), for: present)
    }

    /// How the order's checkout in this process goes, if one runs: its trace, and when each leg is asked again (wall clock).
    func progress(of order: Identifier) -> (saga: SagaID, trace: SagaTrace, retries: [Int64?])? {
        guard let present = running[order] else { return nil }
        let now = clock.monotonicMilliseconds
        let wallOffset = clock.wallMilliseconds - now
        let retries = present.saga.record.legs.indices.map { leg in
            present.saga.nextRetry(ofLeg: leg).map { $0 + wallOffset }
        }
        return (present.saga.record.id, present.saga.trace(now: now), retries)
    }

    /// Looks at deadlines and repeats what was not answered.
    func tick() {
        guard !running.isEmpty else { return }
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        for order in running.keys.sorted() {
            guard let present = running[order] else { continue }
            let actions = present.saga.handle(.tick, now: clock.monotonicMilliseconds)
            for case .send in actions { metrics.resentMessages.increment() }
            perform(actions, for: present)
            leaveWaiting(present)
        }
    }

    /// Tells those whose time is over that the outcome is not known.
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

    private func handle(_ event: CheckoutSaga.Event, for present: Running) {
        perform(present.saga.handle(event, now: clock.monotonicMilliseconds), for: present)
    }

    private func perform(_ actions: [CheckoutSaga.Action], for present: Running) {
        let record = present.saga.record
        var toStock: [ParticipantMessage] = []
        var toPayment: [ParticipantMessage] = []
        for action in actions {
            switch action {
            case .send(let leg, let step):
                let message = message(leg, step, of: record, for: present)
                if record.legs[leg].account.kind == .item { toStock.append(message) } else { toPayment.append(message) }
            case .askOrder(let step):
                let trace = present.saga.trace(now: clock.monotonicMilliseconds)
                orders.submit(OrderCommand(record.id.order, step.operation(record.id, trace))) { [self] reply in
                    handle(.orderReplied(to: step, of: record.id, reply), for: present)
                }
            case .answer(let result):
                metrics.ended(result)
                tell(result, callersOf: present)
            case .forget(let saga):
                if saga != record.id { metrics.retries.increment() }
                for leg in record.legs {
                    participant(of: leg.account).send([forgetting(saga, leg, record.deadline)])
                }
            case .alarm(let leg, let anomaly):
                metrics.alarmed(anomaly)
                log.alarm(
                    "A ledger refused a message of a saga",
                    [
                        "saga": "\(record.id)", "account": "\(record.legs[leg].account)", "anomaly": "\(anomaly)",
                        "phase": "\(record.phase)",
                    ])
            case .end:
                running[record.id.order] = nil
                // Whoever joined between the answer and the end has missed it: the order tells.
                tell(record.phase.result, callersOf: present)
            }
        }
        if !toStock.isEmpty { stock.send(toStock) }
        if !toPayment.isEmpty { payment.send(toPayment) }
    }

    private func tell(_ result: CheckoutResult?, callersOf present: Running) {
        let callers = present.callers
        present.callers = []
        for caller in callers { caller.tell(result.map { .checkout($0) } ?? .unknown) }
    }

    private func message(
        _ leg: Int, _ step: CheckoutSaga.Step, of record: SagaRecord, for present: Running
    ) -> ParticipantMessage {
        let target = record.legs[leg]
        let operation: LedgerCommand.Operation
        switch step {
        case .hold(let mayWait): operation = .hold(record.id, target.amount, mayWait: mayWait)
        case .capture: operation = .capture(record.id, target.amount)
        case .release: operation = .release(record.id, target.amount)
        }
        return ParticipantMessage(command: LedgerCommand(target.account, operation), deadline: record.deadline) {
            [self] reply in
            handle(.replied(leg: leg, step, of: record.id, reply), for: present)
        }
    }

    private func forgetting(_ saga: SagaID, _ leg: Leg, _ deadline: Int64) -> ParticipantMessage {
        // Not repeated: what a crash leaves is found by recovery.
        ParticipantMessage(command: LedgerCommand(leg.account, .forget(saga)), deadline: deadline) { _ in }
    }

    private func participant(of account: GroupKey) -> any Participant {
        account.kind == .item ? stock : payment
    }
}

extension CheckoutSaga.OrderStep {
    fileprivate func operation(_ saga: SagaID, _ trace: SagaTrace) -> OrderCommand.Operation {
        switch self {
        case .decide(let decision): return .decide(saga, decision, trace)
        case .beginAgain: return .beginAgain(saga, trace)
        case .finish: return .finish(saga, trace)
        }
    }
}
