// The three services of one shop, and the gate through which answers leave: none before all that it tells is durable.

import KontorCore

/// A whole shop on one serial domain: one thread or event loop in production, the scheduler in the simulator.
///
/// Its owner calls ``handle(_:key:deadline:caller:)`` for requests, ``receive(_:)`` for messages of other processes and ``tick()`` every
/// `Limits.tickMilliseconds`, each followed by ``endTurn()``, and ``endTurn()`` after it has delivered a completion to the store.
public final class Shop {
    private let parts: ShopParts
    private let handler: RequestHandler
    private let admission: Admission
    private let gate: IdempotencyGate
    private let refusalLog: RefusalLog
    private let sink: any AnswerSink
    private var outbox: [(caller: any Caller, answer: ShopAnswer)] = []
    private var recovery: Recovery?
    /// nil: the shop is alone.
    private let transport: (any Transport)?
    private let duties: SharedDuties?
    private var nextGauges: Int64 = .min

    /// - Parameters:
    ///   - sink: takes the answers.
    ///   - deployment: who else works on the store.
    ///   - keys: how long idempotency keys are kept, and how many.
    ///   - refusals: what others refused on the shop's behalf, to be told with its own.
    public init(
        _ environment: ShopEnvironment, sink: any AnswerSink, deployment: Deployment = .alone, keys: KeyPolicy = KeyPolicy(),
        refusals: Refusals = Refusals()
    ) {
        parts = ShopParts(environment, deployment)
        handler = RequestHandler(parts)
        admission = Admission(parts, refusals, handler)
        gate = IdempotencyGate(parts, keys, refusals)
        refusalLog = RefusalLog(refusals, log: environment.log, factory: environment.metrics.factory)
        self.sink = sink
        switch deployment {
        case .alone: (transport, duties) = (nil, nil)
        case .oneOfSeveral(let serving, let transport):
            (self.transport, duties) = (transport, SharedDuties(parts, serving: serving))
        }
    }

    deinit { parts.router.disconnect() }

    /// Goes on with all that a crash interrupted. Requests may follow once it has completed. One of several has nothing to wait for:
    /// whatever stands still is taken over while it runs, by whoever comes first.
    public func recover(completion: @escaping (Result<RecoveryReport, StoreError>) -> Void) {
        if duties != nil { return parts.agenda.add { completion(.success(RecoveryReport())) } }
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
    ///
    /// - Parameters:
    ///   - key: the request's idempotency key; of no meaning for a read.
    ///   - deadline: monotonic milliseconds.
    public func handle(_ request: ShopRequest, key: IdempotencyKey? = nil, deadline: Int64, caller: any Caller) {
        let answer: (ShopAnswer) -> Void = { [self] in outbox.append((caller, $0)) }
        guard let key, !request.isRead else { return admit(request, nil, deadline: deadline, answer: answer) }
        gate.pass(request, key, deadline: deadline, answer: answer) { [self] keyed, answer in
            admit(request, keyed, deadline: deadline, answer: answer)
        }
    }

    private func admit(
        _ request: ShopRequest, _ keyed: KeyedRequest?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        if let refusal = admission.refusal(of: request) {
            admission.refuse(request, refusal, deadline: deadline, answer: answer)
        } else {
            handler.begin(request, keyed, deadline: deadline, answer: answer)
        }
    }

    /// Takes messages of other processes: requests to what is served here, and replies to what this process has asked.
    ///
    /// Replies leave behind the barrier. There may be none, if there is too much to do, and two, if a hold may wait.
    public func receive(_ messages: [Message]) {
        for message in messages { parts.router.receive(message) }
    }

    /// Looks at the time.
    public func tick() {
        parts.agenda.tick()
        parts.orders.coordinator.tick()
        parts.stock.tick()
        parts.payment.tick()
        let now = parts.clock.monotonicMilliseconds
        duties?.tick(now: now)
        refusalLog.tick(now: now, admission: parts.store.admission)
        guard now >= nextGauges else { return }
        nextGauges = now + Limits.gaugeMilliseconds
        parts.orders.publish()
        parts.stock.publish()
        parts.payment.publish()
    }

    /// The store will be closed: that it takes no work from now on is nothing to tell.
    public func willClose() { refusalLog.isSilent = true }

    /// Runs what is left to do and lets answers and messages go, behind all that was committed before them.
    public func endTurn() {
        parts.agenda.runUntilQuiet()
        let messages = parts.router.takeOutbox()
        guard !outbox.isEmpty || !messages.isEmpty else { return }
        let answers = outbox
        outbox = []
        parts.store.barrier { [sink, transport] result in
            switch result {
            case .success:
                if !answers.isEmpty { sink.deliver(answers) }
                if !messages.isEmpty { transport?.send(messages) }
            // Messages are lost, as they may be at any time.
            case .failure: sink.deliver(answers.map { ($0.caller, .unknown) })
            }
        }
    }
}
