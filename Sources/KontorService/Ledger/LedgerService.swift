// A ledger as a service: the engine with the ledger's rules, and the queue of those who wait for contended amounts.
// Stock is one, Payment is another.

import CoreMetrics
import KontorCore

/// One ledger. It serves clients and sagas alike.
public final class LedgerService: Participant {
    private let engine: Engine<LedgerRules>
    private let probe: EngineProbe
    private let contended: Counter
    private let waiting: Gauge
    private let clock: any ShopClock
    private var waiters = Waiters()
    private var lastProbe: Int64 = 0

    /// - Parameters:
    ///   - name: of the ledger, in the metrics.
    ///   - canBeLate: messages may come from other processes, so those that have expired are refused.
    init(
        _ name: String = "", store: any RecordStore, agenda: Agenda, clock: any ShopClock,
        metrics: ShopMetrics = ShopMetrics(), canBeLate: Bool = false
    ) {
        probe = EngineProbe(metrics.factory, engine: name, isLedger: true)
        contended = Counter(
            label: "kontor_contended_commands", dimensions: [("ledger", name)], factory: metrics.factory)
        waiting = Gauge(label: "kontor_waiters", dimensions: [("ledger", name)], factory: metrics.factory)
        engine = Engine(store: store, agenda: agenda, probe: probe, lateness: canBeLate ? clock : nil)
        self.clock = clock
    }

    public func send(_ messages: [ParticipantMessage]) {
        for message in messages where engine.waiting < Limits.mailboxCommands || !message.command.isRepeated {
            submit(message.command, reply: message.reply) { [clock] in
                // Bounded, whatever the sender's clock says, and this one.
                let left = message.deadline.subtractingReportingOverflow(clock.wallMilliseconds)
                let most = Limits.longestDeadlineMilliseconds
                return clock.monotonicMilliseconds + (left.overflow ? 0 : min(left.partialValue, most))
            }
        }
    }

    /// Decides a command. A withdrawal or payment that is contended is answered when it is granted, refused for good, or when
    /// its deadline (monotonic milliseconds) comes; a hold that may wait is answered at once, and again then.
    func submit(
        _ command: LedgerCommand, keyed: KeyedWrite? = nil, reply: @escaping (LedgerReply) -> Void,
        deadline: @escaping () -> Int64 = { 0 }
    ) {
        // From here on the saga must not be granted anything: a hold behind its forget would stay for ever. (Of several processes
        // another one may have taken its release: then the marker refuses what waits here.)
        if waiters.count > 0, command.endsHold, let saga = command.saga { waiters.remove(saga, from: command.account) }
        engine.submit(command, keyed: keyed) { [self] decision in
            if case .decided(.contended) = decision { contended.increment() }
            if case .decided(.contended) = decision, command.waitsWhenContended, !waiters.isFull {
                waiters.add(Waiters.Waiter(command: command, keyed: keyed, deadline: deadline(), reply: reply))
                if command.saga != nil { reply(decision) }
            } else {
                reply(decision)
            }
            if waiters.count > 0, command.canEndWaiting { probe(command.account) }
        }
    }

    /// Sets the gauges.
    func publish() {
        waiting.record(waiters.count)
        probe.publish()
    }

    /// Looks at deadlines, and at amounts that another process may have freed.
    func tick() {
        let now = clock.monotonicMilliseconds
        guard waiters.count > 0, now - lastProbe >= Limits.probeMilliseconds else { return }
        lastProbe = now
        for waiter in waiters.removeExpired(now: now) where waiter.command.saga == nil {
            // Not granted in time. The command is decided once more, so that the refusal tells the present balance.
            engine.submit(waiter.command, keyed: waiter.keyed, reply: waiter.reply)
        }
        for account in waiters.accounts { probe(account) }
    }

    /// Decides the first waiter's command again, and the next one's if that was the end of its waiting.
    private func probe(_ account: GroupKey) {
        guard let waiter = waiters.takeFirst(of: account) else { return }
        engine.submit(waiter.command, keyed: waiter.keyed) { [self] decision in
            if case .decided(.contended) = decision {
                waiters.endProbe(of: account, isContended: true)
            } else {
                waiters.endProbe(of: account, isContended: false)
                waiter.reply(decision)
                probe(account)
            }
        }
    }
}
