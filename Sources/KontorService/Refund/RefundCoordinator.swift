// Performs what refunds decide: sends their credits, asks the order, tells the callers. The rules are in RefundSaga.

import DequeModule
import KontorCore

/// Drives the open refunds of one process. Several of one order may be open at once.
final class RefundCoordinator {
    private struct Caller {
        let tell: (ShopAnswer) -> Void
        /// When the caller stops waiting, monotonic milliseconds. The refund goes on.
        let deadline: Int64
    }

    private final class Running {
        var saga: RefundSaga
        var callers: [Caller] = []
        /// When the refund began, perhaps in an earlier process, monotonic milliseconds.
        let since: Int64
        var hasEnded = false

        init(_ saga: RefundSaga, since: Int64) {
            self.saga = saga
            self.since = since
        }
    }

    private let orders: ShardedEngine<OrderRules>
    private let router: MessageRouter
    private let clock: any ShopClock
    private let log: any EventLog
    private let metrics: ShopMetrics
    private var running: [RefundID: Running] = [:]
    /// The running refunds in the order in which they are looked at, and when, monotonic milliseconds.
    private var looks = Deque<(due: Int64, refund: Running)>()

    init(orders: ShardedEngine<OrderRules>, _ environment: ShopEnvironment, router: MessageRouter) {
        self.orders = orders
        self.router = router
        clock = environment.clock
        log = environment.log
        metrics = environment.metrics
    }

    /// Refunds that this process drives.
    var openCount: Int { running.count }

    /// The legs of these refunds.
    private(set) var openLegs = 0

    /// Whether no refund may begin: so many are open.
    var isFull: Bool { running.count >= Limits.openRefunds || openLegs >= Limits.openRefundLegs }

    /// Whether a refund may be taken over. There is room beyond that for beginning.
    var canTakeOver: Bool { running.count < Limits.drivenRefunds && openLegs < Limits.drivenRefundLegs }

    func isRunning(_ refund: RefundID) -> Bool { running[refund] != nil }

    /// Drives a refund that was found in the store, unless it is driven here already.
    func drive(_ refund: Refund) { drive(refund, confirmed: nil, nil) }

    /// Drives a refund, and waits for its end. Should another process drive it, too, one of them finishes it.
    ///
    /// - Parameters:
    ///   - confirmed: when it was open for sure, monotonic milliseconds: for a new one, when it was begun; nil: the
    ///     order is asked first.
    ///   - deadline: monotonic milliseconds.
    ///   - answer: gets the finished refund, or ``ShopAnswer/unknown`` at the deadline.
    func drive(_ refund: Refund, confirmed: Int64?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void) {
        drive(refund, confirmed: confirmed, Caller(tell: answer, deadline: deadline))
    }

    private func drive(_ refund: Refund, confirmed: Int64?, _ caller: Caller?) {
        if let present = running[refund.id] {
            if let caller { present.callers.append(caller) }
            return
        }
        let now = clock.monotonicMilliseconds
        let present = Running(RefundSaga(refund), since: now - max(0, clock.wallMilliseconds - refund.begun))
        if let caller { present.callers.append(caller) }
        running[refund.id] = present
        openLegs += present.saga.legs.count
        looks.append((now + Limits.sagaLookMilliseconds, present))
        perform(present.saga.start(confirmed: confirmed, now: now), for: present)
    }

    /// Takes a ledger's reply to a credit. A reply to a refund that does not run here has no effect.
    func receive(_ reply: LedgerReply, leg: Int, of refund: RefundID) {
        if let present = running[refund] { handle(.replied(leg: leg, reply), for: present) }
    }

    private func handle(_ event: RefundSaga.Event, for present: Running) {
        let actions = present.saga.handle(event, now: clock.monotonicMilliseconds)
        for case .credit in actions { metrics.resentMessages.increment() }
        perform(actions, for: present)
    }

    private func perform(_ actions: [RefundSaga.Action], for present: Running) {
        for action in actions {
            switch action {
            case .credit(let leg, let confirmed): credit(leg, confirmed: confirmed, of: present)
            case .askOrder(let step):
                orders.submit(command(step, present.saga.refund.id)) { [self] reply in
                    handle(.orderReplied(to: step, reply), for: present)
                }
            case .end(let refund): end(present, refund)
            case .alarm(let leg, let outcome):
                if case .anomaly(let anomaly) = outcome { metrics.alarmed(anomaly) }
                log.alarm(
                    "A ledger refused a credit of a refund",
                    [
                        "refund": "\(present.saga.refund.id)", "account": "\(present.saga.legs[leg].account)",
                        "outcome": "\(outcome)",
                    ])
            }
        }
    }

    private func command(_ step: RefundSaga.Step, _ id: RefundID) -> OrderCommand {
        switch step {
        case .confirm: OrderCommand(id.order, .findRefund(id))
        case .finish: OrderCommand(id.order, .finishRefund(id, now: clock.wallMilliseconds))
        case .read: OrderCommand(id.order, .readRefund(id))
        }
    }

    private func credit(_ leg: Int, confirmed: Int64, of present: Running) {
        let target = present.saga.legs[leg]
        let wall = clock.wallMilliseconds - (clock.monotonicMilliseconds - confirmed)
        let expiry = CreditMarker.expiry(confirmed: wall)
        let id = present.saga.refund.id
        let command = LedgerCommand(target.account, .refund(id, target.amount, expiry: expiry))
        router.send(Message(.credit(leg: leg, of: id), .command(command, deadline: expiry)))
    }

    private func end(_ present: Running, _ refund: Refund?) {
        running[present.saga.refund.id] = nil
        present.hasEnded = true
        openLegs -= present.saga.legs.count
        if refund != nil {
            metrics.refunds.increment()
            forget(present.saga)
        }
        let callers = present.callers
        present.callers = []
        for caller in callers { caller.tell(refund.map { .refunded($0) } ?? .unknown) }
    }

    /// Lets the markers of a refund go that is over. These messages are not repeated: recovery, or the scan for
    /// orphans, finds the markers whose message was lost.
    private func forget(_ saga: RefundSaga) {
        let expiry = CreditMarker.latestExpiry(now: clock.wallMilliseconds)
        for leg in saga.legs {
            let command = LedgerCommand(leg.account, .forgetRefund(saga.refund.id, expiry: expiry))
            router.send(Message(.nobody, .command(command, deadline: expiry)))
        }
    }

    /// Enforces the callers' deadlines, and repeats messages that were not answered. All are looked at equally often,
    /// so the first in the queue is always the next one.
    func tick() {
        let now = clock.monotonicMilliseconds
        while let next = looks.first, next.due <= now {
            looks.removeFirst()
            if next.refund.hasEnded { continue }
            handle(.tick(unreachable: router.unreachable), for: next.refund)
            leaveWaiting(next.refund, now: now)
            if !next.refund.hasEnded { looks.append((now + Limits.sagaLookMilliseconds, next.refund)) }
        }
    }

    /// Answers "unknown" to callers whose deadline has passed.
    private func leaveWaiting(_ present: Running, now: Int64) {
        guard present.callers.contains(where: { $0.deadline <= now }) else { return }
        let overdue = present.callers.filter { $0.deadline <= now }
        present.callers.removeAll { $0.deadline <= now }
        for caller in overdue { caller.tell(.unknown) }
    }

    /// Sets the gauges.
    func publish() {
        let oldest = running.values.lazy.map(\.since).min()
        metrics.openRefunds.record(running.count)
        metrics.oldestRefundSeconds.record(oldest.map { Double(clock.monotonicMilliseconds - $0) / 1000 } ?? 0)
    }
}
