// A ledger as a service: an engine with the ledger's rules, and the queue of commands that wait for contended amounts.
// Stock is one ledger, Payment another.

import CoreMetrics
import KontorCore

/// One ledger. It serves clients and sagas alike.
final class LedgerService {
    private let engine: ShardedEngine<LedgerRules>
    private let metrics: EngineMetrics
    private let contended: Counter
    private let waiting: Gauge
    private let clock: any ShopClock
    private let router: MessageRouter
    /// Why refunds and reservations are not taken; nil: they are.
    private let refusalOfFormatFour: StoreError?
    private var waiters = Waiters()
    private var lastRetry: Int64 = 0

    /// How long a command waits if it is contended.
    enum WaitLimit {
        /// Until shortly before a client's deadline, monotonic milliseconds, so that the refusal still arrives.
        case client(Int64)
        /// As long as its saga asks again, which says by a release when it gives up.
        case saga
    }

    /// - Parameters:
    ///   - name: the ledger's name in the metrics.
    ///   - router: takes the replies to messages.
    ///   - canBeLate: whether messages come from other processes, so that expired ones must be refused.
    init(
        _ name: String = "", _ environment: ShopEnvironment, agenda: Agenda, router: MessageRouter, canBeLate: Bool = false
    ) {
        let factory = environment.metrics.factory
        metrics = EngineMetrics(factory, engine: name, isLedger: true)
        contended = Counter(label: "kontor_contended_commands", dimensions: [("ledger", name)], factory: factory)
        waiting = Gauge(label: "kontor_waiters", dimensions: [("ledger", name)], factory: factory)
        clock = environment.clock
        refusalOfFormatFour =
            environment.store.format >= .four
            ? nil
            : .unreachable("the store of \(name) is in a format without refunds and reservations: run kontor upgrade --finish")
        engine = ShardedEngine(
            store: environment.store, agenda: agenda, metrics: metrics, clock: environment.clock, canBeLate: canBeLate)
        self.router = router
    }

    /// Takes a saga's step, or a read. While it has too much to do it drops what is repeated: the steps of sagas, and
    /// whatever came over a link. A hold that may wait can get two replies.
    func receive(_ command: LedgerCommand, from origin: Message.Origin) {
        guard engine.waiting < Limits.mailboxCommands || !(command.isResent || origin.isLink) else { return }
        // The store of orders may have its new format before this one: its refunds and reservations wait.
        if let refusalOfFormatFour, command.isOfFormatFour {
            return router.reply(origin, .ledgerReply(.refused(refusalOfFormatFour)))
        }
        submit(command, waitsUntil: .saga) { [router] in router.reply(origin, .ledgerReply($0)) }
    }

    /// Decides a command. A contended withdrawal or payment is answered when it is granted, refused for good, or out of
    /// time. A contended hold that may wait is answered at once, and once more then.
    func submit(
        _ command: LedgerCommand, keyed: KeyedWrite? = nil, waitsUntil limit: WaitLimit = .client(0),
        reply: @escaping (LedgerReply) -> Void
    ) {
        // The saga's waiting hold must not be granted any more: a hold that is taken after the saga's end would stay
        // for ever. (If another process took the release, its marker refuses the waiting hold.)
        if waiters.count > 0, command.endsHold, let saga = command.saga { waiters.remove(saga, from: command.account) }
        let decided =
            command.waitsWhenContended
            ? waitingOrReplying(to: command, keyed, limit, reply) : replying(to: command, reply)
        if command.isResent {
            engine.submitRepeated(command, reply: decided)
        } else {
            engine.submit(command, keyed: keyed, reply: decided)
        }
    }

    /// What happens once a command is decided that does not wait. The command is not kept for it: it is large, and a
    /// checkout has many.
    private func replying(
        to command: LedgerCommand, _ reply: @escaping (LedgerReply) -> Void
    ) -> (LedgerReply) -> Void {
        guard command.canEndWaiting else {
            return { [self] decision in
                if case .decided(.contended) = decision { contended.increment() }
                reply(decision)
            }
        }
        let account = command.account
        return { [self] decision in
            if case .decided(.contended) = decision { contended.increment() }
            reply(decision)
            if waiters.count > 0 { retryFirstWaiter(of: account) }
        }
    }

    /// What happens once a command is decided that waits while it is contended.
    private func waitingOrReplying(
        to command: LedgerCommand, _ keyed: KeyedWrite?, _ limit: WaitLimit,
        _ reply: @escaping (LedgerReply) -> Void
    ) -> (LedgerReply) -> Void {
        let replying = replying(to: command, reply)
        return { [self] decision in
            guard case .decided(.contended) = decision, !waiters.isFull else { return replying(decision) }
            contended.increment()
            waiters.add(Waiters.Waiter(command: command, keyed: keyed, deadline: deadline(limit), reply: reply))
            if command.saga != nil { reply(decision) }
        }
    }

    /// The end of waiting, monotonic milliseconds.
    private func deadline(_ limit: WaitLimit) -> Int64 {
        let now = clock.monotonicMilliseconds
        switch limit {
        case .client(let deadline): return Deadline.ofWaiting(callersDeadline: deadline, now: now)
        case .saga: return now + Limits.waiterLeaseMilliseconds
        }
    }

    /// Commands that are not decided, or wait for a contended amount.
    var waitingCommands: Int { engine.waiting + waiters.count }

    /// Sets the gauges.
    func publish() {
        waiting.record(waiters.count)
        metrics.publish()
    }

    /// Enforces deadlines, and tries waiters again whose amounts another process may have freed.
    func tick() {
        let now = clock.monotonicMilliseconds
        guard waiters.count > 0, now - lastRetry >= Limits.waiterRetryMilliseconds else { return }
        lastRetry = now
        for waiter in waiters.removeExpired(now: now) where waiter.command.saga == nil {
            // The waiter was not granted in time. Its command is decided once more, so that the refusal tells the
            // present balance.
            engine.submit(waiter.command, keyed: waiter.keyed, reply: waiter.reply)
        }
        for account in waiters.accounts { retryFirstWaiter(of: account) }
    }

    /// Decides the first waiter's command again, and the next one's if the first waiter has left.
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
