// The serial domain of a service over Redis: its event loop. Requests, links, the store's replies and the shop's turns are all there, so
// nothing hops between threads: such a service does little but wait for others.

import KontorCore
import KontorHTTP
import KontorLink
import KontorService
import NIOCore
import Synchronization

/// Runs a ``Shop`` on an event loop, one life after the other: when its store has failed, what is in memory may rest on what is lost, so
/// the shop is made anew, as if the process had been started again.
///
/// `@unchecked Sendable`: everything is called on the event loop, which is checked.
final class ShopLoop: RequestPort, AnswerSink, LinkService, @unchecked Sendable {
    /// Does something in a turn of the life that it was given to: what comes from elsewhere goes through it.
    typealias Post = (@escaping () -> Void) -> Void
    /// Makes a shop with its store. Called at each start of a life.
    typealias Birth = (_ post: @escaping Post, _ completion: @escaping (Shop, any TurnedStore) -> Void) -> Void

    private final class Life {
        let shop: Shop
        let store: any TurnedStore
        var turns: ShopTurns

        init(_ shop: Shop, _ store: any TurnedStore, _ clock: any ShopClock) {
            self.shop = shop
            self.store = store
            turns = ShopTurns(shop, store, clock)
        }
    }

    let eventLoop: any EventLoop
    private let sink: any AnswerSink
    private let clock: any ShopClock
    private let metrics: ShopMetrics
    private let refusals: Refusals
    private let log: any EventLog
    /// Whether the other services are there.
    private let isReachable: () -> Bool
    private let birth: Birth
    /// For any thread.
    private let readiness = Atomic(false)
    private var life: Life?
    private var lives = 0
    private var arrivals: [ShopTurns.Arrival] = []
    private var completions: [() -> Void] = []
    /// Whose requests were taken and are not answered.
    private var callers: [ObjectIdentifier: any Caller] = [:]
    private var isTurnDue = false
    private var isAccepting = false
    private var ticking: RepeatedTask?
    private var drained: EventLoopPromise<Void>?
    private var nextGauge: Int64 = .min

    init(
        on eventLoop: any EventLoop, sink: any AnswerSink, clock: any ShopClock, metrics: ShopMetrics, refusals: Refusals,
        log: any EventLog, isReachable: @escaping () -> Bool, birth: @escaping Birth
    ) {
        self.eventLoop = eventLoop
        self.sink = sink
        self.clock = clock
        self.metrics = metrics
        self.refusals = refusals
        self.log = log
        self.isReachable = isReachable
        self.birth = birth
    }

    // MARK: Lives

    /// Begins to serve.
    func start() {
        eventLoop.preconditionInEventLoop()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let pause = TimeAmount.milliseconds(Limits.tickMilliseconds)
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in bound.value.wake() }
        begin()
    }

    private func begin() {
        lives += 1
        let number = lives
        let post: Post = { [weak self] work in
            guard let self, lives == number else { return }
            completions.append(work)
            wake()
        }
        birth(post) { [self] shop, store in
            guard lives == number else { return }
            life = Life(shop, store, clock)
            shop.recover { [self] _ in isAccepting = drained == nil }
            wake()
        }
    }

    private func beginAnew(because failure: DurabilityFailure) {
        log.warning("The shop begins anew: what it knew may be lost", ["reason": failure.reason])
        isAccepting = false
        life = nil
        arrivals = []
        completions = []
        deliver(callers.values.map { ($0, .unknown) })
        begin()
    }

    /// Whether requests are served.
    var isServing: Bool { isAccepting && life != nil }

    /// Whether they are, and can be served well: others are there, too. From any thread, as of the last tick.
    var isReady: Bool { readiness.load(ordering: .relaxed) }

    // MARK: What arrives

    func submit(_ request: ShopRequest, key: IdempotencyKey?, deadline: Int64, caller: any Caller) -> Bool {
        eventLoop.preconditionInEventLoop()
        guard isServing, callers.count < request.mostInFlight else {
            if isServing { refusals.count(.requestsInFlight) }
            if case .checkout = request { metrics.didRefuseCheckout() }
            return false
        }
        callers[ObjectIdentifier(caller)] = caller
        arrivals.append(ShopTurns.Arrival(request: request, key: key, deadline: deadline, caller: caller))
        wake()
        return true
    }

    /// While nobody serves, each request is told so by ``submit(_:key:deadline:caller:)``.
    var room: Int { isServing ? Limits.requestsInFlight - callers.count : .max }

    func didShedCheckout() {
        refusals.count(.requestsInFlight)
        metrics.didRefuseCheckout()
    }

    func receive(_ messages: [ParticipantMessage], for kind: GroupKey.Kind) {
        guard let life else { return }
        life.shop.receive(messages, for: kind)
        wake()
    }

    func receive(_ questions: [OrderQuestion]) {
        guard let life else { return }
        life.shop.receive(questions)
        wake()
    }

    // MARK: Turns

    /// A turn at the end of this round of the event loop: with all that has come in it.
    private func wake() {
        guard !isTurnDue else { return }
        isTurnDue = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.turn() }
    }

    private func turn() {
        isTurnDue = false
        readiness.store(isServing && isReachable(), ordering: .relaxed)
        guard let life else { return }
        let finished = completions
        completions = []
        let requests = arrivals
        arrivals = []
        life.turns.run(requests, finished: finished)
        let now = clock.monotonicMilliseconds
        if now >= nextGauge {
            nextGauge = now + Limits.gaugeMilliseconds
            metrics.publish(requestsInFlight: callers.count)
        }
        if let failure = life.store.failure { beginAnew(because: failure) }
    }

    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        var current: [(caller: any Caller, answer: ShopAnswer)] = []
        current.reserveCapacity(answers.count)
        // A caller of an earlier life has its answer.
        for answer in answers where callers.removeValue(forKey: ObjectIdentifier(answer.caller)) != nil {
            current.append(answer)
        }
        if !current.isEmpty { sink.deliver(current) }
        if callers.isEmpty { drained?.succeed() }
    }

    // MARK: The end

    /// Takes nothing any more.
    /// - Returns: succeeds once all that was taken is answered.
    func drain() -> EventLoopFuture<Void> {
        eventLoop.preconditionInEventLoop()
        let promise = drained ?? eventLoop.makePromise()
        drained = promise
        isAccepting = false
        life?.shop.willClose()
        if callers.isEmpty { promise.succeed() }
        return promise.futureResult
    }

    var openSagas: Int { life?.shop.openSagas ?? 0 }

    func stop() {
        ticking?.cancel()
        life = nil
        lives += 1
    }
}
