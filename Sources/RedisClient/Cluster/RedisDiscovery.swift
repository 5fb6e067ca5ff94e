// Finds out which nodes there are: asks one after the other, a few at a time, until one gives an answer that is
// believed. Its connections are its own, so that it is not held up by the requests to a stopped node, and holds up
// none.

import NIOCore

/// Decides when to ask the next node. Pure.
struct DiscoverySchedule {
    private(set) var isSearching = false
    /// How many nodes this search has asked.
    private(set) var asked = 0
    private var lastAsked: NIODeadline?
    /// How many searches in a row have found nothing new.
    private var fruitless = 0

    /// Begins a search. Searches that find nothing new come less and less often.
    ///
    /// - Returns: When to ask the first node; nil if a search is on already.
    mutating func begin(now: NIODeadline, random: (Int64) -> Int64) -> NIODeadline? {
        if isSearching { return nil }
        isSearching = true
        asked = 0
        guard let lastAsked else { return now }
        if now - lastAsked > .milliseconds(RedisClientLimits.calmMilliseconds) { fruitless = 0 }
        let least = RedisClientLimits.refreshMilliseconds
        let most = min(RedisClientLimits.searchCapMilliseconds, least << min(fruitless, 10))
        return max(now, lastAsked + .milliseconds(least + random(most - least)))
    }

    /// A node is being asked.
    ///
    /// - Returns: When to ask the next one, if there is no answer until then.
    mutating func didAsk(now: NIODeadline, random: (Int64) -> Int64) -> NIODeadline {
        asked += 1
        lastAsked = now
        let spread = min(
            Int64(asked) * RedisClientLimits.refreshMilliseconds / 10, RedisClientLimits.refreshCapMilliseconds)
        return now + .milliseconds(RedisClientLimits.refreshMilliseconds + random(spread))
    }

    mutating func end() { isSearching = false }

    /// The search has found something.
    mutating func found(isNew: Bool) { fruitless = isNew ? 0 : fruitless + 1 }
}

/// Is told what a search finds, and knows which nodes answer. Called on the event loop.
protocol RedisDiscoveryOwner: AnyObject {
    /// Nodes that could not be reached when they were last tried.
    var failingNodes: Set<RedisAddress> { get }
    /// The search has ended.
    ///
    /// - Parameter isNew: Whether the topology has changed.
    func discovered(isNew: Bool)
}

/// Keeps the topology of the store, and searches for a newer one when someone doubts it. Lives on one event loop.
final class RedisDiscovery: RedisConnectionOwner {
    private let context: ClientContext
    weak var owner: (any RedisDiscoveryOwner)?
    private(set) var topology = RedisTopology()
    private var schedule = DiscoverySchedule()
    private var timer: Scheduled<Void>?
    /// The connections to the nodes that are being asked.
    private var connections: [RedisConnection] = []
    /// Why the node that was asked last could not be used; nil if none has failed since the last search that found
    /// something.
    private(set) var lastError: String?
    /// The errors that were logged since then.
    private var loggedErrors: Set<String> = []

    init(_ context: ClientContext) { self.context = context }

    /// Begins a search, unless one is on.
    func begin() {
        if let first = schedule.begin(now: .now(), random: context.random) { ask(at: first) }
    }

    /// Ends the search, if one is on.
    func stop() {
        schedule.end()
        timer?.cancel()
        timer = nil
        let left = connections
        connections = []
        for connection in left { connection.close("the search is over") }
    }

    /// Takes in what a redirection said, until the next search finds a slot map.
    ///
    /// - Returns: Whether that is news.
    func move(_ slot: Int, to master: RedisAddress) -> Bool { topology.move(slot, to: master) }

    private func ask(at time: NIODeadline) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in self?.askNext() }
    }

    private func askNext() {
        guard schedule.isSearching, let failing = owner?.failingNodes else { return }
        let candidates = candidates(failing: failing)
        let candidate = candidates[schedule.asked % candidates.count]
        ask(at: schedule.didAsk(now: .now(), random: context.random))
        if connections.count >= RedisClientLimits.nodesAskedAtOnce { return }
        let connection = RedisConnection(to: candidate, context, owner: self)
        connections.append(connection)
        connection.open()
    }

    /// The nodes to ask, in order: masters that answer, then replicas, then masters that do not answer, then the seeds.
    private func candidates(failing: Set<RedisAddress>) -> [RedisAddress] {
        let masters = topology.masters
        let nodes = masters.filter { !failing.contains($0) } + topology.replicas + masters.filter { failing.contains($0) }
        return nodes + context.options.seeds.filter { !nodes.contains($0) }
    }

    func connectionIsReady(_ connection: RedisConnection) {
        guard connections.contains(where: { $0 === connection }) else { return }
        let questions = [RedisCommand("CLUSTER", "INFO"), RedisCommand("CLUSTER", "SLOTS")]
        // It has no deadline of its own: the connection closes itself if it times out.
        connection.send(RedisRequest(questions, slot: 0, lane: .reads, deadline: .distantFuture) { _ in })
    }

    func connection(_ connection: RedisConnection, finished request: RedisRequest) {
        guard forget(connection) else { return }
        connection.close("it was asked all")
        let report = NodeReport(info: request.replies[0], slots: request.replies[1], asked: connection.address)
        switch topology.learn(report, from: connection.address) {
        case .refused(let reason): didFail(reason, at: connection.address)
        case .same: finish(isNew: false)
        case .changed: finish(isNew: true)
        }
    }

    func connection(_ connection: RedisConnection, closedWith loss: ConnectionLoss) {
        if forget(connection) { didFail(loss.reason, at: connection.address) }
    }

    /// - Returns: Whether the search still waits for the connection's answer.
    private func forget(_ connection: RedisConnection) -> Bool {
        guard let index = connections.firstIndex(where: { $0 === connection }) else { return false }
        connections.remove(at: index)
        return true
    }

    private func finish(isNew: Bool) {
        stop()
        schedule.found(isNew: isNew)
        lastError = nil
        loggedErrors = []
        owner?.discovered(isNew: isNew)
    }

    private func didFail(_ reason: String, at address: RedisAddress) {
        let error = "\(address): \(reason)"
        lastError = error
        guard loggedErrors.count < RedisClientLimits.loggedErrors, loggedErrors.insert(error).inserted else {
            return
        }
        context.log("a node cannot be used", ["node": address.description, "reason": reason])
    }
}
