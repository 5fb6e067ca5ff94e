// Finds out who there is: asks one node after the other, a few at a time, until one gives an answer that is accepted.
// Takes connections of its own, so that a stopped node holds up nothing.

import NIOCore

/// When to ask the next node. Pure.
struct DiscoverySchedule {
    private(set) var isWanted = false
    /// Nodes asked since a finding was wanted.
    private(set) var rounds = 0
    private var lastAsked: NIODeadline?

    /// - Returns: when to ask first; nil if a search is on already.
    mutating func want(now: NIODeadline) -> NIODeadline? {
        if isWanted { return nil }
        isWanted = true
        rounds = 0
        guard let lastAsked else { return now }
        return max(now, lastAsked + .milliseconds(RedisLimits.refreshMilliseconds))
    }

    /// A node is being asked.
    ///
    /// - Returns: when to ask the next one, if there is no answer until then.
    mutating func asked(now: NIODeadline, random: (Int64) -> Int64) -> NIODeadline {
        rounds += 1
        lastAsked = now
        let spread = min(Int64(rounds) * RedisLimits.refreshMilliseconds / 10, RedisLimits.refreshCapMilliseconds)
        return now + .milliseconds(RedisLimits.refreshMilliseconds + random(spread))
    }

    mutating func settle() { isWanted = false }
}

/// Whom discovery asks, and who judges what it finds.
protocol RedisDiscoveryOwner: AnyObject {
    /// Nodes to ask, the most promising first.
    var candidates: [RedisAddress] { get }
    /// - Returns: whether it is believed; then the search is over.
    func learn(_ finding: ClusterFinding, from address: RedisAddress) -> RedisTopology.Change
    /// The search has ended with a finding that was believed.
    func discovered(_ change: RedisTopology.Change)
    func discoveryFailed(_ reason: String, at address: RedisAddress)
}

/// A search for the form of the store. Lives on one event loop.
final class RedisDiscovery: RedisConnectionOwner {
    private let options: RedisOptions
    private let eventLoop: any EventLoop
    private let transport: RedisTransport
    private let random: (Int64) -> Int64
    private weak var owner: (any RedisDiscoveryOwner)?
    private var schedule = DiscoverySchedule()
    private var timer: Scheduled<Void>?
    private var probes: [RedisConnection] = []

    init(
        options: RedisOptions, on eventLoop: any EventLoop, transport: RedisTransport, random: @escaping (Int64) -> Int64,
        owner: any RedisDiscoveryOwner
    ) {
        self.options = options
        self.eventLoop = eventLoop
        self.transport = transport
        self.random = random
        self.owner = owner
    }

    /// Begins a search, unless one is on.
    func want() {
        if let first = schedule.want(now: .now()) { ask(at: first) }
    }

    func stop() {
        schedule.settle()
        timer?.cancel()
        timer = nil
        let left = probes
        probes = []
        for probe in left { probe.close("the search is over") }
    }

    private func ask(at time: NIODeadline) {
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in self?.askNext() }
    }

    private func askNext() {
        guard schedule.isWanted, let candidates = owner?.candidates, !candidates.isEmpty else { return }
        let candidate = candidates[schedule.rounds % candidates.count]
        ask(at: schedule.asked(now: .now(), random: random))
        if probes.count >= RedisLimits.probesAtOnce { return }
        let probe = RedisConnection(to: candidate, options: options, on: eventLoop, owner: self)
        probes.append(probe)
        probe.open(with: transport)
    }

    func connectionIsReady(_ connection: RedisConnection) {
        guard probes.contains(where: { $0 === connection }) else { return }
        let questions = [RedisCommand("CLUSTER", "INFO"), RedisCommand("CLUSTER", "SLOTS")]
        // The connection's own patience is the deadline.
        let unit = RedisUnit(questions, slot: 0, lane: .reads, deadline: .distantFuture) { _ in }
        connection.send(unit, isAsking: false)
    }

    func connection(_ connection: RedisConnection, finished unit: RedisUnit) {
        guard forget(connection) else { return }
        connection.close("it was asked all")
        let finding = ClusterFinding(info: unit.replies[0], slots: unit.replies[1], asked: connection.address)
        guard let change = owner?.learn(finding, from: connection.address) else { return }
        if case .refused(let reason) = change {
            owner?.discoveryFailed(reason, at: connection.address)
        } else {
            stop()
            owner?.discovered(change)
        }
    }

    func connection(_ connection: RedisConnection, closedWith loss: RedisLoss) {
        if forget(connection) { owner?.discoveryFailed(loss.reason, at: connection.address) }
    }

    /// - Returns: whether its answer still matters.
    private func forget(_ connection: RedisConnection) -> Bool {
        guard let index = probes.firstIndex(where: { $0 === connection }) else { return false }
        probes.remove(at: index)
        return true
    }
}
