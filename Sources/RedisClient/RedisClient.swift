// What users of the client see: one client for one store, which is a standalone server or a cluster. RequestRouter
// routes and repeats, RedisDiscovery finds the nodes, ReconnectingConnection keeps the connection to one of them.

import NIOCore

/// Sends requests, each of one or more commands, to the nodes that they belong to.
///
/// Everything happens on one event loop: call it there, and it calls back there. A completion is called exactly once,
/// and with an error never from within the call that it answers.
public final class RedisClient {
    /// Logs a constant message and the facts that belong to it. Never called on the hot path.
    public typealias Log = (_ message: String, _ metadata: [String: String]) -> Void

    /// The event loop of the client.
    public let eventLoop: any EventLoop
    private let options: RedisOptions
    private let random: (Int64) -> Int64
    private let log: Log
    /// nil until the client is started.
    private var discovery: RedisDiscovery?
    /// nil until the client is started.
    private var router: RequestRouter?
    /// Who waits for the end of ``start(deadline:completion:)``; nil before and after it.
    private var starting: (completion: (Result<Void, RedisClientError>) -> Void, timer: Scheduled<Void>)?

    /// Called with a node that was reached again, which may have been restarted since; and with nil when slots changed
    /// their masters. Requests that are sent from within go before all that waited.
    public var didChange: ((_ node: RedisAddress?) -> Void)?

    /// - Parameters:
    ///   - random: Draws a number from 0 up to and including its argument.
    ///   - log: See ``Log``.
    public init(
        _ options: RedisOptions, on eventLoop: any EventLoop,
        random: @escaping (Int64) -> Int64 = { Int64.random(in: 0...$0) }, log: @escaping Log = { _, _ in }
    ) {
        precondition(!options.seeds.isEmpty, "a Redis client needs a node to begin with")
        self.options = options
        self.eventLoop = eventLoop
        self.random = random
        self.log = log
    }

    /// Finds out whether the store is a cluster, and who its masters are. To be called once, before all else.
    ///
    /// - Parameters:
    ///   - deadline: When it stops trying.
    ///   - completion: Gets an error with the last reason if no node could be used until then.
    public func start(deadline: NIODeadline, completion: @escaping (Result<Void, RedisClientError>) -> Void) {
        eventLoop.preconditionInEventLoop()
        precondition(router == nil, "a Redis client is started twice")
        let context: ClientContext
        do {
            context = try ClientContext(options, on: eventLoop, random: random, log: log)
        } catch {
            let error = RedisClientError.notSent("the files for TLS cannot be used: \(error)")
            return later { completion(.failure(error)) }
        }
        let discovery = RedisDiscovery(context)
        let router = RequestRouter(context, discovery: discovery, owner: self)
        discovery.owner = router
        self.discovery = discovery
        self.router = router
        let timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.giveUpStarting() }
        starting = (completion, timer)
        discovery.begin()
    }

    private func giveUpStarting() {
        guard let (completion, timer) = starting else { return }
        starting = nil
        timer.cancel()
        discovery?.stop()
        let reason = discovery?.lastError ?? "no node has answered"
        later { completion(.failure(.notSent(reason))) }
    }

    /// Whether the store is a cluster; false until it is known.
    public var isCluster: Bool { discovery?.topology.isCluster ?? false }

    /// The nodes that own slots. For a standalone server it is that one; empty until they are known.
    public var masters: [RedisAddress] { discovery?.topology.masters ?? [] }

    /// The master that owns a slot; nil if none is known.
    public func master(of slot: Int) -> RedisAddress? { discovery?.topology.owner(of: slot) }

    /// Closes the connections to a node, and makes new ones when they are needed. What was sent in the lane of writes
    /// is unknown.
    ///
    /// - Parameter reason: Why, for those whose requests it ends.
    public func reset(_ node: RedisAddress, _ reason: String) {
        eventLoop.preconditionInEventLoop()
        router?.reset(node, reason)
    }

    /// Sends commands as one request: in order and back to back, on one connection to the master that owns the slot.
    ///
    /// A request counts as not executed if its first reply is a redirection or one of the errors `TRYAGAIN`,
    /// `CLUSTERDOWN`, `LOADING`, `READONLY` and `MASTERDOWN`. Then all of it is sent again to where it belongs. So in
    /// the lane of writes only the first command may have an effect. In the lane of reads any reply decides, and a
    /// request is also sent again when its connection is lost.
    ///
    /// - Parameters:
    ///   - trailer: A command that is sent once behind all requests that go to the same connection in this turn of the
    ///     event loop and have one; its reply becomes the last reply of each of them. For example one `WAIT` for many
    ///     writes. It must be the same for all. nil for none.
    ///   - slot: The hash slot of all keys of the request. Without meaning if the store is no cluster.
    ///   - deadline: After it the request is not sent (again). Once sent, it is waited for while its connection lives.
    ///   - completion: Gets one reply for each command, and the trailer's. Other errors of the server are replies, too.
    public func send(
        _ commands: [RedisCommand], then trailer: RedisCommand? = nil, slot: Int, lane: RedisLane, deadline: NIODeadline,
        completion: @escaping (Result<[RESPValue], RedisClientError>) -> Void
    ) {
        dispatch(
            RedisRequest(
                commands, then: trailer, slot: slot, lane: lane, deadline: deadline, completion: completion))
    }

    /// Sends commands without effects as one request to one master, whatever the slots of their keys.
    ///
    /// - Parameters:
    ///   - trailer: See ``send(_:then:slot:lane:deadline:completion:)``.
    ///   - completion: Gets one reply for each command, and the trailer's, as if sent in the lane of reads.
    public func send(
        _ commands: [RedisCommand], then trailer: RedisCommand? = nil, to master: RedisAddress, deadline: NIODeadline,
        completion: @escaping (Result<[RESPValue], RedisClientError>) -> Void
    ) {
        dispatch(
            RedisRequest(
                commands, then: trailer, slot: 0, lane: .reads, deadline: deadline, pinnedTo: master,
                completion: completion))
    }

    /// Sends the same commands without keys to all masters, in the lane of writes.
    ///
    /// - Parameter completion: Gets for each master what ``send(_:then:slot:lane:deadline:completion:)`` would give;
    ///   nothing if no master is known.
    public func sendToAllMasters(
        _ commands: [RedisCommand], deadline: NIODeadline,
        completion: @escaping ([(RedisAddress, Result<[RESPValue], RedisClientError>)]) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        let masters = masters
        if masters.isEmpty { return later { completion([]) } }
        var results: [RedisAddress: Result<[RESPValue], RedisClientError>] = [:]
        for master in masters {
            dispatch(
                RedisRequest(commands, slot: 0, lane: .writes, deadline: deadline, pinnedTo: master) { result in
                    results[master] = result
                    if results.count == masters.count {
                        completion(masters.compactMap { address in results[address].map { (address, $0) } })
                    }
                })
        }
    }

    private func dispatch(_ request: RedisRequest) {
        eventLoop.preconditionInEventLoop()
        guard let router else {
            return later { request.completion(.failure(.notSent("the client has not started"))) }
        }
        router.dispatch(request)
    }

    /// Closes all connections. What was sent is unknown, what waited is not sent.
    ///
    /// - Parameter completion: Called after the completions of all requests.
    public func close(completion: @escaping () -> Void) {
        eventLoop.preconditionInEventLoop()
        discovery?.stop()
        giveUpStarting()
        router?.close()
        later(completion)
    }

    /// Calls `body` in the next turn of the event loop.
    private func later(_ body: @escaping () -> Void) { eventLoop.assumeIsolated().execute(body) }
}

extension RedisClient: RequestRouterOwner {
    func routerDidChange(_ node: RedisAddress?) { didChange?(node) }

    func routerKnowsNodes() {
        guard let (completion, timer) = starting else { return }
        starting = nil
        timer.cancel()
        completion(.success(()))
    }
}
