// A simulated process, from its start to its death: the whole shop over its store, run by the ShopRunner of production,
// on a scheduler instead of a thread.

import KontorCore
import KontorEmbedded
import KontorService

/// Waits for an answer of a simulated process. `@unchecked Sendable`: a world has one thread.
final class SimulatedCaller: Caller, @unchecked Sendable {
    let answer: (ShopAnswer) -> Void
    /// The number of the request in its process.
    fileprivate var number = 0

    init(_ answer: @escaping (ShopAnswer) -> Void) { self.answer = answer }
}

/// `@unchecked Sendable`: a world has one thread.
final class ShopProcess: AnswerSink, EventLog, Waker, @unchecked Sendable {
    /// Makes the store of one instance of the shop. Its completions go to `post`.
    typealias StoreMaker = (_ post: @escaping ShopRunner.Post) -> any RecordStore

    /// The metrics of the shop and its store.
    let counters = CountingMetrics()
    private unowned let world: Surroundings
    private let clock: SimulatedClock
    private let random: SeededRandom
    private let didFail: (_ reason: String) -> Void
    /// nil before the beginning and after the end.
    private var runner: ShopRunner?
    /// The present instance's.
    private weak var shop: Shop?
    private var messages: [Message] = []
    /// The requests in the sockets of a process that stands still, each to be submitted when it goes on.
    private var unread: [() -> Void] = []
    private var lastCaller = 0
    private var isTurnDue = false
    private(set) var isEnded = false
    /// The number of its present instance as a writer of the store, where several processes write.
    var writer: UInt64 = 0
    private var pausedUntil: Int64 = 0
    private var pausedSince: Int64 = 0
    /// How long the links to a process stay open that answers no ping.
    private static let linkPatience: Int64 = .milliseconds(Limits.takeoverAgeMilliseconds)
    /// How long each message of another process takes it, microseconds.
    var commandMicroseconds: Int64 = 0
    /// Until when it is busy with the messages of its last turn.
    private var busyUntil: Int64 = 0

    /// - Parameter didFail: called when the store of an instance says that it cannot go on. Another instance follows,
    ///   unless the process has been ended.
    init(
        _ world: Surroundings, _ clock: SimulatedClock, _ random: SeededRandom,
        didFail: @escaping (_ reason: String) -> Void
    ) {
        self.world = world
        self.clock = clock
        self.random = random
        self.didFail = didFail
    }

    /// Starts the shop: it recovers, and then takes requests.
    func begin(_ deployment: Deployment = .alone, store makeStore: @escaping StoreMaker) {
        let metrics = ShopMetrics(factory: counters)
        var options = ShopRunner.Options(sink: self, clock: clock, metrics: metrics)
        options.recovered = { [unowned self] in recovered($0) }
        options.failed = { [unowned self] failure in
            world.trace.note("shop", "an instance ends: \(failure.reason)")
            didFail(failure.reason)
        }
        let sink = InstanceSink()
        let runner = ShopRunner(options, waker: self) { [weak self, clock, random] post, completion in
            guard let self, !isEnded else { return }
            let store = makeStore(post)
            let environment = ShopEnvironment(store: store, clock: clock, random: random, log: self, metrics: metrics)
            let shop = Shop(environment, sink: sink, deployment: deployment)
            self.shop = shop
            completion(shop, store)
        }
        sink.runner = runner
        self.runner = runner
        runner.begin()
        tick()
    }

    private func recovered(_ result: Result<RecoveryReport, StoreError>) {
        switch result {
        case .success(let report):
            world.trace.note("shop", "recovered: \(report.sagasResumed) sagas, \(report.orphansSettled) orphans")
        case .failure(let error): world.violation("recovery cannot read the store: \(error)")
        }
    }

    func end() {
        isEnded = true
        runner = nil
        (messages, unread) = ([], [])
        counters.add(to: &world.coverage)
    }

    var isAccepting: Bool { runner?.isServing ?? false }

    var openSagas: Int { shop?.openSagas ?? 0 }

    /// Stops taking requests.
    func willClose() {
        runner?.drain {}
        runner?.willClose()
    }

    // MARK: What arrives

    /// Takes a request. A process that stands still reads it when it goes on, and counts its time from then on.
    ///
    /// - Returns: false if nothing was begun.
    func submit(_ request: ShopRequest, name: WriteName?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        guard runner != nil else { return false }
        lastCaller += 1
        caller.number = lastCaller
        guard pausedUntil > world.scheduler.now else { return begin(request, name, milliseconds, caller) }
        unread.append { [unowned self] in
            if !begin(request, name, milliseconds, caller) { caller.answer(.overloaded(.requestsInFlight)) }
        }
        return true
    }

    private func begin(_ request: ShopRequest, _ name: WriteName?, _ milliseconds: Int64, _ caller: SimulatedCaller) -> Bool {
        guard let runner else { return false }
        let deadline = clock.monotonicMilliseconds + milliseconds
        return runner.submit(request, name: name, deadline: deadline, caller: caller) == .taken
    }

    /// Pauses the process for a while, without its knowledge.
    func pause(_ duration: Int64) {
        world.coverage[.processPaused] += 1
        world.trace.note("machine", "the shop is paused for \(duration / 1_000) ms")
        if pausedUntil <= world.scheduler.now { pausedSince = world.scheduler.now }
        pausedUntil = max(pausedUntil, world.scheduler.now + duration)
    }

    /// Ends a pause.
    func resume() {
        guard pausedUntil > world.scheduler.now else { return }
        pausedUntil = 0
        isTurnDue = false
        wake()
    }

    /// Takes messages from any process. One that has too much to do decides them one after the other.
    func receive(_ messages: [Message]) {
        if isEnded { return }
        if pausedUntil > world.scheduler.now, world.scheduler.now - pausedSince > Self.linkPatience { return }
        self.messages += messages
        if self.messages.count > 100 { world.coverage[.processBehind] += 1 }
        wake()
    }

    /// Runs work in the next turn: the completion of blocking work.
    func post(_ completion: @escaping () -> Void) { runner?.post(completion) }

    // MARK: Turns

    private func tick() {
        if isEnded { return }
        wake()
        world.scheduler.after(.milliseconds(Limits.tickMilliseconds)) { [weak self] in self?.tick() }
    }

    func wake() {
        guard !isTurnDue else { return }
        isTurnDue = true
        let delay = max(random.within(2...60), max(pausedUntil, busyUntil) - world.scheduler.now)
        world.scheduler.after(delay) { [weak self] in self?.turn() }
    }

    private func turn() {
        guard let runner else { return }
        if pausedUntil > world.scheduler.now {
            isTurnDue = false
            return wake()
        }
        let arrived = unread
        unread = []
        for submit in arrived { submit() }
        receiveSome(runner)
        isTurnDue = false
        runner.turn()
        world.largestQueue = max(world.largestQueue, messages.count + (shop?.queued ?? 0))
        if !messages.isEmpty { wake() }
    }

    /// Hands over the messages that came: where they cost time, only a few at once, as from a socket.
    private func receiveSome(_ runner: ShopRunner) {
        if messages.isEmpty { return }
        let count = commandMicroseconds == 0 ? messages.count : min(messages.count, 16)
        let received = Array(messages.prefix(count))
        messages.removeFirst(count)
        busyUntil = world.scheduler.now + Int64(count) * commandMicroseconds
        runner.receive(received)
    }

    /// In the order of the requests: the runner's own order differs between runs when an instance fails.
    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        let callers = answers.compactMap { entry in (entry.caller as? SimulatedCaller).map { ($0, entry.answer) } }
        for (caller, answer) in callers.sorted(by: { $0.0.number < $1.0.number }) { caller.answer(answer) }
    }

    // MARK: What operators would see

    func alarm(_ event: StaticString, _ details: [String: String]) {
        if Self.tellsTrouble.contains("\(event)") { return world.coverage[.troubleTold] += 1 }
        let text = details.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        world.violation("alarm: \(event): \(text)")
    }

    /// The alarms that follow from faults of the store.
    private static let tellsTrouble = ["A part of the store is not used", "A record cannot be read"]

    func warning(_ event: StaticString, _ details: [String: String]) { world.trace.note("shop", "\(event)") }
    func notice(_ event: StaticString, _ details: [String: String]) { world.trace.note("shop", "\(event)") }
}

/// Takes an instance's answers to its runner. It holds no runner: else an ended process would stay in memory.
private final class InstanceSink: AnswerSink {
    weak var runner: ShopRunner?

    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) { runner?.deliver(answers) }
}
