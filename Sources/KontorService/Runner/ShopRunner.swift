// Runs a shop in production: takes what arrives from any thread, and gives it to the shop turn by turn on its serial
// domain. The waker decides whether that domain is a thread or an event loop.

import DequeModule
import Foundation
import KontorCore
import Synchronization

/// Makes the turns of a ``ShopRunner`` run on its serial domain.
public protocol Waker: AnyObject, Sendable {
    /// Makes ``ShopRunner/turn()`` run soon. May be called from any thread; several calls before that turn count as
    /// one.
    func wake()
}

/// Runs a ``Shop``: one instance after the other. When an instance's store fails, another instance may follow. The
/// memory of the failed one may contain what its store has lost, so the next one begins as after a restart of the
/// process.
///
/// `@unchecked Sendable`: `lock` guards what several threads use; the instance is used on the serial domain alone.
public final class ShopRunner: RequestPort, AnswerSink, MessageReceiver, @unchecked Sendable {
    /// Runs work in a turn of one instance; drops it once that instance is gone. From any thread.
    public typealias Post = @Sendable (@escaping () -> Void) -> Void
    /// Makes a shop and its store for one instance. It is called, and completes, on the serial domain.
    public typealias Factory = (_ post: @escaping Post, _ completion: @escaping (Shop, any RecordStore) -> Void) -> Void

    /// The settings of a runner.
    public struct Options {
        /// Takes the answers.
        public let sink: any AnswerSink
        public let clock: any ShopClock
        public let metrics: ShopMetrics
        /// The most requests that one turn takes.
        public var requestsPerTurn = Limits.requestsPerTurn
        /// Counts the work that is refused for want of room.
        public var refusals = Refusals()
        /// Whether the other services can be reached. Without them requests are taken, but not served well.
        public var isReachable: () -> Bool = { true }
        /// Called when an instance has recovered, or cannot read its store.
        public var recovered: (Result<RecoveryReport, StoreError>) -> Void = { _ in }
        /// Called when the store has failed, after the answers are out. Another instance follows if it returns.
        public var failed: (DurabilityError) -> Void = { _ in }

        public init(sink: any AnswerSink, clock: any ShopClock, metrics: ShopMetrics = ShopMetrics()) {
            self.sink = sink
            self.clock = clock
            self.metrics = metrics
        }
    }

    private final class Instance {
        let shop: Shop
        let store: any RecordStore
        var turns: ShopTurns

        init(_ shop: Shop, _ store: any RecordStore, _ clock: any ShopClock) {
            self.shop = shop
            self.store = store
            turns = ShopTurns(shop, store, clock)
        }
    }

    /// What has arrived and waits for a turn.
    private struct Inbox {
        var arrivals = Deque<ShopTurns.Arrival>()
        var completions: [() -> Void] = []
        /// The callers whose requests were taken and are not answered.
        var callers: [ObjectIdentifier: any Caller] = [:]
        /// The callers that do not wait any more for requests that still run.
        var gone: [ObjectIdentifier: any Caller] = [:]
        /// The number of the present instance.
        var number = 0
        var isAccepting = false
        /// No requests are taken any more, in no instance.
        var isDraining = false
        /// What is wrong with the store, as of the last second.
        var troubles: [StoreTrouble] = []
        /// Called when nobody waits for an answer any more.
        var drained: (() -> Void)?
    }

    private let options: Options
    private let factory: Factory
    private let waker: any Waker
    private let lock = NSLock()
    private var inbox = Inbox()
    /// How many more requests would be taken, for readers without the lock.
    private let roomLeft = Atomic(Limits.requestsInFlight)
    private let readiness = Atomic(false)
    // On the serial domain.
    private var instance: Instance?
    private var nextGauge: Int64 = .min

    public init(_ options: Options, waker: any Waker, factory: @escaping Factory) {
        self.options = options
        self.waker = waker
        self.factory = factory
    }

    // MARK: From any thread

    public func submit(_ request: ShopRequest, name: WriteName?, deadline: Int64, caller: any Caller) -> Intake {
        lock.lock()
        guard inbox.isAccepting, inbox.callers.count < request.mostInFlight, inbox.gone.count < Limits.unfinishedRequests else {
            let refusal: Intake = inbox.isAccepting ? .full : inbox.isDraining ? .ending : .starting
            lock.unlock()
            if refusal == .full { options.refusals.count(.requestsInFlight) }
            if case .checkout = request { options.metrics.didRefuseCheckout() }
            return refusal
        }
        inbox.callers[ObjectIdentifier(caller)] = caller
        inbox.arrivals.append(ShopTurns.Arrival(request: request, name: name, deadline: deadline, caller: caller))
        updateRoom()
        lock.unlock()
        waker.wake()
        return .taken
    }

    public func didGiveUp(_ caller: any Caller) {
        lock.lock()
        if let gone = inbox.callers.removeValue(forKey: ObjectIdentifier(caller)) {
            inbox.gone[ObjectIdentifier(caller)] = gone
        }
        updateRoom()
        let drained = takeDrained()
        lock.unlock()
        drained?()
    }

    /// What is to be called because nobody waits any more; nil: somebody does, or it was called. Callers must hold the
    /// lock.
    private func takeDrained() -> (() -> Void)? {
        guard inbox.callers.isEmpty else { return nil }
        defer { inbox.drained = nil }
        return inbox.drained
    }

    public var room: Int { roomLeft.load(ordering: .relaxed) }

    public func didShedCheckout() {
        options.refusals.count(.requestsInFlight)
        options.metrics.didRefuseCheckout()
    }

    /// Whether requests are served, and can be served well, as of the last turn.
    public var isReady: Bool { readiness.load(ordering: .relaxed) }

    /// What is wrong with the store, as of the last second.
    public var troubles: [StoreTrouble] { lock.withLock { inbox.troubles } }

    /// Requests that were taken and are not answered.
    public var requestsInFlight: Int { lock.withLock { inbox.callers.count } }

    /// Whether requests are taken.
    public var isServing: Bool { lock.withLock { inbox.isAccepting } }

    /// Runs work in a turn of the present instance: the completion of what another thread did.
    public func post(_ work: @escaping () -> Void) { post(work, to: nil) }

    /// - Parameter number: the instance's number; nil: the present one.
    private func post(_ work: @escaping () -> Void, to number: Int?) {
        lock.lock()
        let isCurrent = number == nil || number == inbox.number
        if isCurrent { inbox.completions.append(work) }
        lock.unlock()
        if isCurrent { waker.wake() }
    }

    /// Reads a page of the audit trail, durable entries alone. See
    /// ``RecordStore/scanTrail(behind:atMost:completion:)``.
    ///
    /// - Parameter completion: called on the serial domain.
    public func readTrail(
        behind id: TrailID?, atMost bound: Int,
        completion: @escaping @Sendable (Result<TrailPart, StoreError>) -> Void
    ) {
        post { [self] in
            guard let store = instance?.store else { return completion(.failure(.unreachable("the shop starts"))) }
            store.scanTrail(behind: id, atMost: bound) { found in
                store.barrier { durable in
                    if case .failure(let error) = durable { return completion(.failure(.unreachable(error.reason))) }
                    completion(found)
                }
            }
        }
    }

    /// Stops taking requests.
    ///
    /// - Parameter completion: called once, from any thread, when all requests that were taken are answered.
    public func drain(completion: @escaping () -> Void) {
        lock.lock()
        inbox.isAccepting = false
        inbox.isDraining = true
        let isDrained = inbox.callers.isEmpty
        if !isDrained { inbox.drained = completion }
        lock.unlock()
        if isDrained { completion() }
    }

    /// Publishes the room. Callers must hold the lock.
    private func updateRoom() {
        let isFull = inbox.gone.count >= Limits.unfinishedRequests
        roomLeft.store(isFull ? 0 : Limits.requestsInFlight - inbox.callers.count, ordering: .relaxed)
    }

    // MARK: On the serial domain

    /// Makes the first instance, or the one after an instance that failed.
    public func begin() {
        let number = lock.withLock {
            inbox.number += 1
            return inbox.number
        }
        let post: Post = { [weak self] work in self?.post(work, to: number) }
        factory(post) { [self] shop, store in
            guard lock.withLock({ inbox.number == number }) else { return }
            instance = Instance(shop, store, options.clock)
            shop.recover { [self] result in
                if case .success = result { lock.withLock { inbox.isAccepting = !inbox.isDraining } }
                updateReadiness()
                options.recovered(result)
            }
            waker.wake()
        }
    }

    private func updateReadiness() {
        let isUsable = instance?.store.isUsable ?? false
        readiness.store(isServing && isUsable && options.isReachable(), ordering: .relaxed)
    }

    /// Why the store takes no new work; nil: it takes it. To be asked on the serial domain.
    public var admission: StoreError? { instance?.store.admission }

    public func receive(_ messages: [Message]) {
        guard let instance else { return }
        instance.shop.receive(messages)
        waker.wake()
    }

    /// Runs one turn of the shop. To be called when the waker was woken, and every `Limits.tickMilliseconds` at least.
    public func turn() {
        updateReadiness()
        guard let instance else { return }
        let (requests, completions) = take(requests: instance.turns.takesRequests)
        instance.turns.run(requests, finished: completions)
        let now = options.clock.monotonicMilliseconds
        if now >= nextGauge {
            nextGauge = now + Limits.gaugeMilliseconds
            options.metrics.publish(requestsInFlight: requestsInFlight)
            let troubles = instance.store.troubles
            lock.withLock { inbox.troubles = troubles }
        }
        if let failure = instance.store.failure { return beginAnew(because: failure) }
        if instance.turns.takesRequests, lock.withLock({ !inbox.arrivals.isEmpty }) { waker.wake() }
    }

    /// Takes what has arrived.
    ///
    /// - Parameter wantsRequests: false while the disk must catch up; a completion will wake the runner then.
    private func take(requests wantsRequests: Bool) -> (requests: [ShopTurns.Arrival], completions: [() -> Void]) {
        lock.lock()
        defer { lock.unlock() }
        let completions = inbox.completions
        inbox.completions = []
        guard wantsRequests, !inbox.arrivals.isEmpty else { return ([], completions) }
        let requests = Array(inbox.arrivals.prefix(options.requestsPerTurn))
        inbox.arrivals.removeFirst(requests.count)
        return (requests, completions)
    }

    private func beginAnew(because failure: DurabilityError) {
        lock.lock()
        // From here on completions for the failed instance are dropped.
        inbox.number += 1
        inbox.isAccepting = false
        inbox.arrivals = []
        inbox.completions = []
        let unanswered = Array(inbox.callers.values)
        inbox.gone = [:]
        lock.unlock()
        instance = nil
        deliver(unanswered.map { ($0, .unknown) })
        options.failed(failure)
        begin()
    }

    public func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        var current: [(caller: any Caller, answer: ShopAnswer)] = []
        current.reserveCapacity(answers.count)
        lock.lock()
        // A caller that is missing here was answered when its instance failed.
        for answer in answers {
            let caller = ObjectIdentifier(answer.caller)
            if inbox.callers.removeValue(forKey: caller) != nil {
                current.append(answer)
            } else if !inbox.gone.isEmpty {
                inbox.gone[caller] = nil
            }
        }
        updateRoom()
        let drained = takeDrained()
        lock.unlock()
        if !current.isEmpty { options.sink.deliver(current) }
        drained?()
    }

    /// Tells the shop that its store will be closed.
    public func willClose() { instance?.shop.willClose() }
}
