// The shop's serial domain in production: one thread that takes requests and completions from any other, runs the shop, and
// ends each turn by letting the store sync what the turn wrote.

import DequeModule
import Foundation
import KontorCore
import Synchronization

/// Runs a ``Shop`` on a thread of its own.
///
/// `@unchecked Sendable`: everything that other threads touch is guarded by `condition`; the shop and its store are touched by the
/// shop's thread alone, which ``start(_:_:begin:failed:)`` begins.
public final class ShopThread: RequestPort, AnswerSink, @unchecked Sendable {
    private let sink: any AnswerSink
    private let clock: any ShopClock
    private let metrics: ShopMetrics
    private let refusals: Refusals
    private let condition = NSCondition()
    private var arrivals = Deque<ShopTurns.Arrival>()
    private var completions: [() -> Void] = []
    private var inFlight = 0
    /// What `inFlight` leaves, for those who only look.
    private let roomLeft = Atomic(Limits.requestsInFlight)
    private var isSleeping = false
    private var isAccepting = false
    private var isEnded = false

    public init(
        sink: any AnswerSink, clock: any ShopClock, metrics: ShopMetrics = ShopMetrics(), refusals: Refusals = Refusals()
    ) {
        self.sink = sink
        self.clock = clock
        self.metrics = metrics
        self.refusals = refusals
    }

    // MARK: From any thread

    public func submit(_ request: ShopRequest, key: IdempotencyKey?, deadline: Int64, caller: any Caller) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard isAccepting, inFlight < request.mostInFlight else {
            if isAccepting { refusals.count(.requestsInFlight) }
            if case .checkout = request { metrics.didRefuseCheckout() }
            return false
        }
        inFlight += 1
        updateRoom()
        arrivals.append(ShopTurns.Arrival(request: request, key: key, deadline: deadline, caller: caller))
        wakeIfSleeping()
        return true
    }

    public var room: Int { roomLeft.load(ordering: .relaxed) }

    public func didShedCheckout() {
        refusals.count(.requestsInFlight)
        metrics.didRefuseCheckout()
    }

    /// Runs `work` on the shop's thread: the completion of something that another thread did.
    public func post(_ work: @escaping () -> Void) {
        condition.lock()
        completions.append(work)
        wakeIfSleeping()
        condition.unlock()
    }

    /// From now on requests are taken (or, before a shutdown, no longer).
    public func accept(_ isOpen: Bool) {
        condition.lock()
        isAccepting = isOpen
        condition.unlock()
    }

    /// Waits until every request that was taken is answered, at most for `seconds`.
    public func drain(seconds: Double) {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        while inFlight > 0, condition.wait(until: end) {}
        condition.unlock()
    }

    /// Requests that were taken and are not answered.
    public var requestsInFlight: Int {
        condition.lock()
        defer { condition.unlock() }
        return inFlight
    }

    /// Ends the thread after its present turn.
    public func end() {
        post { [self] in isEnded = true }
    }

    private func updateRoom() {
        roomLeft.store(Limits.requestsInFlight - inFlight, ordering: .relaxed)
    }

    private func wakeIfSleeping() {
        if isSleeping { condition.broadcast() }
    }

    // MARK: On the shop's thread

    public func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        sink.deliver(answers)
        condition.lock()
        inFlight -= answers.count
        updateRoom()
        if inFlight == 0 { condition.broadcast() }
        condition.unlock()
    }

    /// Starts the thread. From here on it alone uses the shop and the store.
    ///
    /// - Parameters:
    ///   - begin: runs first on the thread.
    ///   - failed: called once on the thread, after its answers are out, when the store has failed.
    public func start(
        _ shop: Shop, _ store: any TurnedStore, begin: @escaping () -> Void,
        failed: @escaping (DurabilityFailure) -> Void
    ) {
        let handover = Handover(shop: shop, store: store, begin: begin, failed: failed)
        let thread = Thread { [self] in
            handover.begin()
            run(handover.shop, handover.store, handover.failed)
        }
        thread.name = "shop"
        thread.start()
    }

    private func run(_ shop: Shop, _ store: any TurnedStore, _ failed: (DurabilityFailure) -> Void) {
        var turns = ShopTurns(shop, store, clock)
        var nextGauge = clock.monotonicMilliseconds
        while !isEnded {
            let (requests, finished) = take(requests: turns.takesRequests)
            turns.run(requests, finished: finished)
            let now = clock.monotonicMilliseconds
            if now >= nextGauge {
                nextGauge = now + Limits.gaugeMilliseconds
                metrics.publish(requestsInFlight: requestsInFlight)
            }
            if let failure = store.failure {
                accept(false)
                return failed(failure)
            }
        }
    }

    /// What has arrived; sleeps while there is nothing, at most until the next tick.
    private func take(requests wantsRequests: Bool) -> (requests: [ShopTurns.Arrival], completions: [() -> Void]) {
        condition.lock()
        defer { condition.unlock() }
        if completions.isEmpty && !(wantsRequests && !arrivals.isEmpty) {
            isSleeping = true
            _ = condition.wait(until: Date(timeIntervalSinceNow: Double(Limits.tickMilliseconds) / 1000))
            isSleeping = false
        }
        let finished = completions
        completions = []
        guard wantsRequests else { return ([], finished) }
        let requests = Array(arrivals.prefix(Limits.requestsPerTurn))
        arrivals.removeFirst(requests.count)
        return (requests, finished)
    }
}

/// `@unchecked Sendable`: it leaves the starting thread for good, and only the new one uses what it carries.
private final class Handover: @unchecked Sendable {
    let shop: Shop
    let store: any TurnedStore
    let begin: () -> Void
    let failed: (DurabilityFailure) -> Void

    init(
        shop: Shop, store: any TurnedStore, begin: @escaping () -> Void, failed: @escaping (DurabilityFailure) -> Void
    ) {
        self.shop = shop
        self.store = store
        self.begin = begin
        self.failed = failed
    }
}
