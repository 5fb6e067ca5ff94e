// The client of one store, standalone or cluster: what its users see. Routing and repeating are in
// RedisClient+Routing.swift, the slot map in RedisClient+Map.swift, one lane of one node in RedisLink.

import NIOCore

/// Sends units of commands to the nodes that they belong to.
///
/// Everything happens on one event loop: all calls must come on it, all callbacks come on it. A completion is called
/// exactly once, and a failure never from within the call that it answers.
public final class RedisClient {
    /// Takes a constant message, and what it is about.
    public typealias Log = (String, [String: String]) -> Void

    let options: RedisOptions
    let eventLoop: any EventLoop
    let random: (Int64) -> Int64
    let log: Log
    let backoff: RedisBackoff
    var transport: RedisTransport?
    var topology = RedisTopology()
    var discovery: RedisDiscovery?
    var links: [RedisLink.Key: RedisLink] = [:]
    /// Those of nodes that left the map, until what was sent there is answered.
    var retired: [RedisLink] = []
    /// Units that wait to be sent again.
    var delayed: [RedisUnit] = []
    var isSweepScheduled = false
    var isClosed = false
    var lastDiscoveryFailure: String?
    /// What the search that is on has logged already.
    var loggedFailures: Set<String> = []
    /// Since ``start(deadline:completion:)`` until the form of the store is known.
    var starting: (completion: (Result<Void, RedisFailure>) -> Void, timer: Scheduled<Void>)?

    /// Called when a node was reached again, or slots changed their masters: what was read before may be of another
    /// life of the data. What is sent from within goes before all that waited.
    public var didChange: (() -> Void)?

    /// - Parameters:
    ///   - random: A number from 0 up to and including the one that it is given.
    ///   - log: Never called on the hot path.
    public init(
        _ options: RedisOptions, on eventLoop: any EventLoop,
        random: @escaping (Int64) -> Int64 = { Int64.random(in: 0...$0) }, log: @escaping Log = { _, _ in }
    ) {
        precondition(!options.seeds.isEmpty, "a Redis client needs a node to begin with")
        self.options = options
        self.eventLoop = eventLoop
        self.random = random
        self.log = log
        backoff = RedisBackoff(
            baseMilliseconds: options.backoffBaseMilliseconds, capMilliseconds: options.backoffCapMilliseconds,
            random: random)
    }

    /// Finds out whether the store is a cluster, and who its masters are. To be called once, before all else.
    ///
    /// - Parameter deadline: Until then it tries; then the completion gets a failure with the last reason.
    public func start(deadline: NIODeadline, completion: @escaping (Result<Void, RedisFailure>) -> Void) {
        eventLoop.preconditionInEventLoop()
        precondition(starting == nil && !topology.isKnown, "a Redis client is started twice")
        let transport: RedisTransport
        do {
            transport = try RedisTransport(options, on: eventLoop)
        } catch {
            let failure = RedisFailure.notSent("the files for TLS cannot be used: \(error)")
            return later { completion(.failure(failure)) }
        }
        self.transport = transport
        let timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.giveUpStarting() }
        starting = (completion, timer)
        let discovery = RedisDiscovery(
            options: options, on: eventLoop, transport: transport, random: random, owner: self)
        self.discovery = discovery
        discovery.want()
    }

    /// Whether the store is a cluster; false until it has started.
    public var isCluster: Bool { topology.isCluster }

    /// The nodes that own slots: the one node of a store that is no cluster. Empty until it has started.
    public var masters: [RedisAddress] { topology.masters }

    /// The slot that a key belongs to, in any form of store.
    public func slot(of key: some Collection<UInt8>) -> Int { RedisSlot.of(key) }

    /// Sends commands as one unit: in order and back to back, on one connection to the master that owns the slot.
    ///
    /// Where the first command is answered by a redirection or by `TRYAGAIN`, `CLUSTERDOWN`, `LOADING`, `READONLY` or
    /// `MASTERDOWN`, nothing counts as executed, and the whole unit is sent again to where it belongs. So in the lane
    /// of writes only the first command may have an effect. In the lane of reads the same is done for any of its
    /// commands, and when a connection is lost.
    ///
    /// - Parameters:
    ///   - trailer: Is sent once behind all units with one that go to the same connection in this turn, and is answered to each of them, as
    ///     their last reply: one `WAIT` for many writes. It must be the same for all.
    ///   - slot: Which all keys of the unit belong to. Without meaning where the store is no cluster.
    ///   - deadline: After this the unit is not sent (again). Once sent, it is waited for as long as the connection lives.
    ///   - completion: Gets one reply for each command, and the trailer's. All other errors that Redis answers are replies, too.
    public func send(
        _ unit: [RedisCommand], then trailer: RedisCommand? = nil, slot: Int, lane: RedisLane, deadline: NIODeadline,
        completion: @escaping (Result<[RESPValue], RedisFailure>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        dispatch(RedisUnit(unit, then: trailer, slot: slot, lane: lane, deadline: deadline, completion: completion))
    }

    /// Sends the same unit of writes without keys to all masters.
    ///
    /// - Parameter completion: Gets what ``send(_:then:slot:lane:deadline:completion:)`` gives, for each master. Nothing if
    ///   no master is known.
    public func sendToAllMasters(
        _ unit: [RedisCommand], deadline: NIODeadline,
        completion: @escaping ([(RedisAddress, Result<[RESPValue], RedisFailure>)]) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        let masters = masters
        if masters.isEmpty { return later { completion([]) } }
        var results: [RedisAddress: Result<[RESPValue], RedisFailure>] = [:]
        for master in masters {
            dispatch(
                RedisUnit(unit, slot: 0, lane: .writes, deadline: deadline, pinned: master) { result in
                    results[master] = result
                    if results.count == masters.count {
                        completion(masters.compactMap { address in results[address].map { (address, $0) } })
                    }
                })
        }
    }

    /// Closes all connections. What was sent is unknown, what waited is not sent.
    ///
    /// - Parameter completion: Called after the completions of all units.
    public func close(completion: @escaping () -> Void) {
        eventLoop.preconditionInEventLoop()
        isClosed = true
        discovery?.stop()
        giveUpStarting()
        for link in Array(links.values) {
            let waiting = link.takeWaiting()
            link.close("the client was closed")
            for unit in waiting { fail(unit, .notSent("the client was closed")) }
        }
        links = [:]
        for link in retired { link.close("the client was closed") }
        let left = delayed
        delayed = []
        for unit in left { fail(unit, .notSent("the client was closed")) }
        later(completion)
    }

    /// In the next turn of the event loop.
    func later(_ body: @escaping () -> Void) { eventLoop.assumeIsolated().execute(body) }
}
