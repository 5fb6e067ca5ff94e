// The services of one shop, and the way its answers leave: none before everything that it tells is durable.

import KontorCore

/// A whole shop on one serial domain: a thread or event loop in production, the scheduler in the simulator.
///
/// Its owner calls ``handle(_:name:deadline:caller:)`` for requests, ``receive(_:)`` for messages of other processes,
/// and ``tick()`` every `Limits.tickMilliseconds`. After each of these, and after the completion of a store's call, it
/// calls ``endTurn()``.
public final class Shop {
    private let parts: ShopParts
    private let handler: RequestHandler
    private let admission: Admission
    private let gate: IdempotencyGate
    private let ids: CreationIDs
    private let refusalLog: RefusalLog
    private let troubleLog: TroubleLog
    private let sink: any AnswerSink
    private var outbox: [(caller: any Caller, answer: ShopAnswer)] = []
    private var recovery: Recovery?
    /// Carries messages to other processes; nil: the shop is alone.
    private let transport: (any Transport)?
    private let duties: SharedDuties?
    /// nil: no orders are served here.
    private let reservations: ReservationExpiry?
    private let skew: SkewWatch?
    private var nextGauges: Int64 = .min

    /// - Parameters:
    ///   - sink: takes the answers.
    ///   - deployment: which other processes work on the store.
    ///   - keys: how long idempotency keys are kept, and how many.
    ///   - refusals: counts of what was refused before it reached the shop; logged with the shop's own.
    public init(
        _ environment: ShopEnvironment, sink: any AnswerSink, deployment: Deployment = .alone, keys: KeyPolicy = KeyPolicy(),
        refusals: Refusals = Refusals()
    ) {
        parts = ShopParts(environment, deployment)
        handler = RequestHandler(parts)
        admission = Admission(parts, refusals, handler)
        gate = IdempotencyGate(parts, keys, refusals)
        ids = CreationIDs(environment, agenda: parts.agenda, retention: keys.retentionMilliseconds)
        refusalLog = RefusalLog(refusals, log: environment.log, factory: environment.metrics.factory)
        troubleLog = TroubleLog(log: environment.log, factory: environment.metrics.factory)
        self.sink = sink
        reservations = deployment.servesOrders ? ReservationExpiry(parts) : nil
        switch deployment {
        case .alone: (transport, duties, skew) = (nil, nil, nil)
        case .oneOfSeveral(let serving, let transport):
            (self.transport, duties) = (transport, SharedDuties(parts, serving: serving))
            skew = SkewWatch(transport, log: environment.log, factory: environment.metrics.factory)
        }
    }

    deinit { parts.router.disconnect() }

    /// Ends what a crash interrupted. Requests may follow once it has completed. One of several processes has nothing
    /// to wait for: the first process that sees a saga standing still takes it over.
    public func recover(completion: @escaping (Result<RecoveryReport, StoreError>) -> Void) {
        if duties != nil { return parts.agenda.add { completion(.success(RecoveryReport())) } }
        let recovery = Recovery(parts) { [unowned self] result in
            self.recovery = nil
            guard case .success = result else { return completion(result) }
            reservations?.tick(now: parts.clock.monotonicMilliseconds)
            ids.load { completion(result) }
        }
        self.recovery = recovery
        recovery.run()
    }

    /// Checkouts and refunds that have begun and not ended.
    public var openSagas: Int { parts.orders.coordinator.openCount + parts.orders.refunds.openCount }

    /// All that waits in its queues: commands, waiters, messages that leave, reads, and the legs of its checkouts and
    /// refunds.
    public var queued: Int {
        parts.orders.coordinator.openLegs + parts.orders.refunds.openLegs + parts.orders.waiting + parts.stock.waitingCommands
            + parts.payment.waitingCommands + parts.router.waiting + parts.reads.waiting
    }

    /// Begins a request, and does everything for it that need not wait.
    ///
    /// - Parameters:
    ///   - name: what a write is known by, and whose it is, if anything; ignored for a read.
    ///   - deadline: monotonic milliseconds.
    public func handle(_ request: ShopRequest, name: WriteName? = nil, deadline: Int64, caller: any Caller) {
        if case .shown(let write) = request {
            return handle(write, name, deadline: deadline) { [self] result in
                parts.orders.show(result, of: write) { [self] in outbox.append((caller, $0)) }
            }
        }
        handle(request, name, deadline: deadline) { [self] in outbox.append((caller, $0)) }
    }

    private func handle(
        _ request: ShopRequest, _ name: WriteName?, deadline: Int64, answer tell: @escaping (ShopAnswer) -> Void
    ) {
        var answer = tell
        if let note = name?.note {
            answer = { [self] in
                log(note, of: request, $0)
                tell($0)
            }
        }
        guard let name, !request.isRead else { return admit(request, nil, deadline: deadline, answer: answer) }
        let trail = name.note.map(trailEntry)
        if let trail, name.creationKey == nil {
            let write = KeyedRequest(request, trail: trail, newID: parts.environment.newID)
            return admit(request, write, deadline: deadline, answer: answer)
        }
        ids.choose(for: request, name) { [self] ids in
            switch ids {
            // Another copy of the request may have found what this one did not.
            case .failure(let error): answer(name.stamp?.isRepeated == true ? .unknown : .unavailable(error))
            case .success(let ids):
                gate.pass(request, name, ids, trail, deadline: deadline, answer: answer) { [self] keyed, answer in
                    admit(request, keyed, deadline: deadline, answer: answer)
                }
            }
        }
    }

    private func trailEntry(_ note: TrailNote) -> TrailEntry {
        TrailEntry(
            id: TrailID(time: parts.clock.wallMilliseconds, number: parts.environment.random.next()), note: note)
    }

    /// Says in the log what the audit trail says of a write, and what became of it.
    private func log(_ note: TrailNote, of request: ShopRequest, _ answer: ShopAnswer) {
        parts.log.notice(
            "A write by an admin or operator",
            [
                "principal": note.principal, "address": note.address, "operation": note.operation,
                "record": request.ids.map { "\($0)" }.joined(separator: " "),
                "arguments": note.arguments.map { "\($0.name)=\($0.value)" }.joined(separator: " "),
                "outcome": answer.trailText,
            ])
    }

    private func admit(
        _ request: ShopRequest, _ keyed: KeyedRequest?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        if let refusal = admission.refusal(of: request) {
            admission.refuse(request, keyed, refusal, deadline: deadline, answer: answer)
        } else {
            handler.begin(request, keyed, deadline: deadline, answer: answer)
        }
    }

    /// Takes messages of other processes: requests to what is served here, and replies to what this process asked. Its
    /// own replies leave behind the barrier.
    ///
    /// A request may get no reply while there is too much to do, and two if it is a hold that may wait.
    public func receive(_ messages: [Message]) {
        for message in messages { parts.router.receive(message) }
    }

    /// Does what is due: repeats messages, enforces deadlines, sets gauges.
    public func tick() {
        parts.router.tick(now: parts.clock.monotonicMilliseconds)
        parts.agenda.tick()
        parts.orders.coordinator.tick()
        parts.orders.refunds.tick()
        parts.stock.tick()
        parts.payment.tick()
        let now = parts.clock.monotonicMilliseconds
        duties?.tick(now: now)
        if recovery == nil { reservations?.tick(now: now) }
        refusalLog.tick(now: now, admission: parts.store.admission)
        guard now >= nextGauges else { return }
        nextGauges = now + Limits.gaugeMilliseconds
        parts.orders.publish()
        parts.stock.publish()
        parts.payment.publish()
        troubleLog.update(parts.store.troubles)
        skew?.look()
    }

    /// Stops the log of refusals: the store will be closed, so it takes no more work.
    public func willClose() { refusalLog.isSilent = true }

    /// Runs the steps that are left, and lets answers and messages leave once everything committed before is durable.
    public func endTurn() {
        parts.agenda.runUntilQuiet()
        let messages = parts.router.takeOutbox()
        guard !outbox.isEmpty || !messages.isEmpty else { return }
        let answers = outbox
        outbox = []
        parts.store.barrier { [sink, transport, router = parts.router] result in
            if !messages.isEmpty { router.didLeave(messages.count) }
            switch result {
            case .success:
                if !answers.isEmpty { sink.deliver(answers) }
                if !messages.isEmpty { transport?.send(messages) }
            // The messages are dropped: any message may be lost at any time.
            case .failure: sink.deliver(answers.map { ($0.caller, .unknown) })
            }
        }
    }
}

extension ShopAnswer {
    /// What became of a write, for the log.
    fileprivate var trailText: String {
        switch self {
        case .created(let id): "made \(id)"
        case .ledger(.done), .order(.done), .initialized, .refunded: "done"
        case .replayed: "done before"
        case .unknown: "unknown"
        default: "refused"
        }
    }
}
