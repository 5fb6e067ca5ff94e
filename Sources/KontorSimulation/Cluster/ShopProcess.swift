// A simulated process, from its start to its death: the whole shop over its store, turn by turn, as ShopRunner runs it
// in production.

import KontorCore
import KontorEmbedded
import KontorService

/// Waits for an answer of a simulated process. `@unchecked Sendable`: a world has one thread.
final class SimulatedCaller: Caller, @unchecked Sendable {
    let answer: (ShopAnswer) -> Void
    init(_ answer: @escaping (ShopAnswer) -> Void) { self.answer = answer }
}

final class ShopProcess: AnswerSink, EventLog {
    /// The metrics of the shop and its store.
    let counters = CountingMetrics()
    private unowned let world: Surroundings
    private let clock: SimulatedClock
    private let random: SeededRandom
    private let didFail: () -> Void
    private var store: (any RecordStore)?
    private var shop: Shop?
    private var turns: ShopTurns?
    private var arrivals: [ShopTurns.Arrival] = []
    private var completions: [() -> Void] = []
    private var isTurnDue = false
    private(set) var isEnded = false
    /// Its number as a writer of the store, where several processes write.
    var writer: UInt64 = 0
    private var pausedUntil: Int64 = 0
    private(set) var isAccepting = false

    /// - Parameter didFail: called when its store says that it cannot go on.
    init(_ world: Surroundings, _ clock: SimulatedClock, _ random: SeededRandom, didFail: @escaping () -> Void) {
        self.world = world
        self.clock = clock
        self.random = random
        self.didFail = didFail
    }

    /// Starts the shop: it recovers, and then takes requests.
    func begin(_ store: any RecordStore, _ deployment: Deployment = .alone) {
        let environment = ShopEnvironment(
            store: store, clock: clock, random: random, log: self, metrics: ShopMetrics(factory: counters))
        let shop = Shop(environment, sink: self, deployment: deployment)
        self.store = store
        self.shop = shop
        turns = ShopTurns(shop, store, clock)
        shop.recover { [self] result in
            switch result {
            case .success(let report):
                world.trace.note("shop", "recovered: \(report.sagasResumed) sagas, \(report.orphansSettled) orphans")
                isAccepting = true
            case .failure(let error): world.violation("recovery cannot read the store: \(error)")
            }
        }
        tick()
    }

    func end() {
        isEnded = true
        isAccepting = false
        // Closures that are under way would keep the process in memory.
        shop = nil
        turns = nil
        store = nil
        arrivals = []
        completions = []
        counters.add(to: &world.coverage)
    }

    var openSagas: Int { shop?.openSagas ?? 0 }

    /// Stops taking requests.
    func willClose() {
        isAccepting = false
        shop?.willClose()
    }

    // MARK: What arrives

    /// Takes a request.
    ///
    /// - Returns: false if nothing was begun.
    func submit(_ request: ShopRequest, key: IdempotencyKey?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        guard isAccepting else { return false }
        let deadline = clock.monotonicMilliseconds + milliseconds
        arrivals.append(ShopTurns.Arrival(request: request, key: key, deadline: deadline, caller: caller))
        wake()
        return true
    }

    /// Pauses the process for a while, without its knowledge.
    func pause(_ duration: Int64) {
        world.coverage[.processPaused] += 1
        world.trace.note("machine", "the shop is paused for \(duration / 1_000) ms")
        pausedUntil = world.scheduler.now + duration
    }

    /// Takes messages from any process.
    func receive(_ messages: [Message]) {
        post { [self] in shop?.receive(messages) }
    }

    /// Runs work in the next turn: the completion of blocking work, or a reply.
    func post(_ completion: @escaping () -> Void) {
        if isEnded { return }
        completions.append(completion)
        wake()
    }

    // MARK: Turns

    private func tick() {
        if isEnded { return }
        wake()
        world.scheduler.after(.milliseconds(Limits.tickMilliseconds)) { [weak self] in self?.tick() }
    }

    private func wake() {
        guard !isTurnDue else { return }
        isTurnDue = true
        let delay = max(random.within(2...60), pausedUntil - world.scheduler.now)
        world.scheduler.after(delay) { [weak self] in self?.turn() }
    }

    private func turn() {
        isTurnDue = false
        if isEnded { return }
        if pausedUntil > world.scheduler.now { return wake() }
        let finished = completions
        completions = []
        var requests: [ShopTurns.Arrival] = []
        if turns?.takesRequests == true {
            requests = Array(arrivals.prefix(Limits.requestsPerTurn))
            arrivals.removeFirst(requests.count)
        }
        turns?.run(requests, finished: finished)
        if isEnded { return }
        if let failure = store?.failure {
            world.trace.note("shop", "it ends: \(failure.reason)")
            return didFail()
        }
        if !arrivals.isEmpty || !completions.isEmpty { wake() }
    }

    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        for (caller, answer) in answers { (caller as? SimulatedCaller)?.answer(answer) }
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
