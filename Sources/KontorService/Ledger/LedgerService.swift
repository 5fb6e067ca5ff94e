// A ledger as a service: the engine with the ledger's rules, and the queue of those who wait for contended amounts.
// Stock is one, Payment is another.

import CoreMetrics
import KontorCore

/// One ledger. It serves clients and sagas alike.
final class LedgerService {
    private let engine: Engine<LedgerRules>
    private let metrics: EngineMetrics
    private let contended: Counter
    private let waiting: Gauge
    private let clock: any ShopClock
    private let router: MessageRouter
    private var waiters = Waiters()
    private var lastRetry: Int64 = 0

    /// Until when a command waits if it is contended.
    enum WaitLimit {
        /// A client's deadline, monotonic milliseconds. It stops waiting a little earlier, so that the refusal still arrives.
        case client(Int64)
        /// Wall clock, milliseconds since 1970: for a message.
        case wall(Int64)
    }

    /// - Parameters:
    ///   - name: of the ledger, in the metrics.
    ///   - router: takes the replies to messages.
    ///   - canBeLate: messages may come from other processes, so those that have expired are refused.
    init(
        _ name: String = "", _ environment: ShopEnvironment, agenda: Agenda, router: MessageRouter, canBeLate: Bool = false
    ) {
        let factory = environment.metrics.factory
        metrics = EngineMetrics(factory, engine: name, isLedger: true)
        contended = Counter(label: "kontor_contended_commands", dimensions: [("ledger", name)], factory: factory)
        waiting = Gauge(label: "kontor_waiters", dimensions: [("ledger", name)], factory: factory)
        clock = environment.clock
        engine = Engine(
            store: environment.store, agenda: agenda, metrics: metrics, expiryClock: canBeLate ? environment.clock : nil)
        self.router = router
    }

    /// Takes a saga's step, or a read. There is no reply if there is too much to do and the sender asks again, and two if a hold may
    /// wait.
    func receive(_ command: LedgerCommand, deadline: Int64, from origin: Message.Origin) {
        guard engine.waiting < Limits.mailboxCommands || !command.isResent else { return }
        submit(command, waitsUntil: .wall(deadline)) { [router] in router.reply(origin, .ledgerReply($0)) }
    }

    /// Decides a command. A withdrawal or payment that is contended is answered when it is granted, refused for good, or when
    /// its time is over; a hold that may wait is answered at once, and again then.
    func submit(
        _ command: LedgerCommand, keyed: KeyedWrite? = nil, waitsUntil limit: WaitLimit = .client(0),
        reply: @escaping (LedgerReply) -> Void
    ) {
        // From here on the saga must not be granted anything: a hold behind its forget would stay for ever. (Of several processes
        // another one may have taken its release: then the marker refuses what waits here.)
        if waiters.count > 0, command.endsHold, let saga = command.saga { waiters.remove(saga, from: command.account) }
        engine.submit(command, keyed: keyed) { [self] decision in
            if case .decided(.contended) = decision { contended.increment() }
            if case .decided(.contended) = decision, command.waitsWhenContended, !waiters.isFull {
                waiters.add(Waiters.Waiter(command: command, keyed: keyed, deadline: deadline(limit), reply: reply))
                if command.saga != nil { reply(decision) }
            } else {
                reply(decision)
            }
            if waiters.count > 0, command.canEndWaiting { retryFirstWaiter(of: command.account) }
        }
    }

    /// When waiting ends, monotonic milliseconds.
    private func deadline(_ limit: WaitLimit) -> Int64 {
        let now = clock.monotonicMilliseconds
        switch limit {
        case .client(let deadline): return Deadline.ofWaiting(callersDeadline: deadline, now: now)
        case .wall(let deadline):
            // Bounded, whatever the sender's clock says, and this one.
            let left = deadline.subtractingReportingOverflow(clock.wallMilliseconds)
            return now + (left.overflow ? 0 : min(left.partialValue, Limits.longestDeadlineMilliseconds))
        }
    }

    /// Sets the gauges.
    func publish() {
        waiting.record(waiters.count)
        metrics.publish()
    }

    /// Looks at deadlines, and at amounts that another process may have freed.
    func tick() {
        let now = clock.monotonicMilliseconds
        guard waiters.count > 0, now - lastRetry >= Limits.waiterRetryMilliseconds else { return }
        lastRetry = now
        for waiter in waiters.removeExpired(now: now) where waiter.command.saga == nil {
            // Not granted in time. The command is decided once more, so that the refusal tells the present balance.
            engine.submit(waiter.command, keyed: waiter.keyed, reply: waiter.reply)
        }
        for account in waiters.accounts { retryFirstWaiter(of: account) }
    }

    /// Decides the first waiter's command again, and the next one's if that was the end of its waiting.
    private func retryFirstWaiter(of account: GroupKey) {
        guard let waiter = waiters.takeFirst(of: account) else { return }
        engine.submit(waiter.command, keyed: waiter.keyed) { [self] decision in
            if case .decided(.contended) = decision {
                waiters.endRetry(of: account, isContended: true)
            } else {
                waiters.endRetry(of: account, isContended: false)
                waiter.reply(decision)
                retryFirstWaiter(of: account)
            }
        }
    }
}
