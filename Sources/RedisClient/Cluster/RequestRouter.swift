// Sends each request to the node that it belongs to, and decides what becomes of it when it comes back: it is done, it
// is sent again, it was not sent, or nobody knows.

import NIOCore

/// Is told of changes that concern whoever uses the client. Called on the event loop.
protocol RequestRouterOwner: AnyObject {
    /// A node was reached again; nil: slots changed their masters.
    func routerDidChange(_ node: RedisAddress?)
    /// It is known (again) which nodes there are.
    func routerKnowsNodes()
}

/// Routes the requests of one client. Lives on one event loop.
final class RequestRouter {
    private let context: ClientContext
    private let discovery: RedisDiscovery
    private weak var owner: (any RequestRouterOwner)?
    private let connections: NodeConnections
    private var retries: RetryQueue
    private var isSweepScheduled = false
    private var isClosed = false

    init(_ context: ClientContext, discovery: RedisDiscovery, owner: any RequestRouterOwner) {
        self.context = context
        self.discovery = discovery
        self.owner = owner
        connections = NodeConnections(context)
        retries = RetryQueue(maximumRequests: context.options.maximumHeldRequests)
    }

    /// Sends a request to the node that it belongs to now.
    func dispatch(_ request: RedisRequest) {
        if isClosed { return fail(request, .notSent(RequestRouter.closed)) }
        if request.deadline <= .now() {
            return fail(request, .notSent(request.lastReason ?? "its deadline has passed"))
        }
        if let pinned = request.pinnedNode, discovery.topology.isKnown, !discovery.topology.masters.contains(pinned) {
            return fail(request, .notSent("\(pinned) is no master any more"))
        }
        guard let node = request.askedNode ?? request.pinnedNode ?? discovery.topology.owner(of: request.slot) else {
            return retryLater(request, discovery.topology.isKnown ? "no node owns the slot" : "no node was found yet")
        }
        let connection = connections.connection(
            ReconnectingConnection.Key(address: node, lane: request.lane), owner: self)
        if let reason = connection.submit(request) { return fail(request, .notSent(reason)) }
        if connection.hasWaiting { scheduleSweep() }
    }

    /// Closes all connections. What was sent is unknown, what waited is not sent.
    func close() {
        isClosed = true
        for request in connections.close(RequestRouter.closed) + retries.takeAll() {
            fail(request, .notSent(RequestRouter.closed))
        }
    }

    /// Closes the connections to a node; new ones are made when they are needed.
    func reset(_ node: RedisAddress, _ reason: String) { connections.reset(node, reason) }

    private static let closed = "the client was closed"

    private func fail(_ request: RedisRequest, _ error: RedisClientError) {
        // Never from within the call that it answers.
        context.eventLoop.assumeIsolated().execute { request.completion(.failure(error)) }
    }

    private func refreshSlotMap() {
        if discovery.topology.isCluster && !isClosed { discovery.begin() }
    }

    // MARK: Sending again

    /// Sends a request that was not executed where the error points, at once or after a pause.
    private func follow(_ error: RetryableError, _ request: RedisRequest) {
        request.askedNode = nil
        request.lastReason = error.reason
        // The first redirection is followed at once. Nodes that point at each other get pauses.
        let isFirst = request.attempts == 0
        switch error {
        case .moved(let slot, let node):
            if discovery.move(slot, to: node) { owner?.routerDidChange(nil) }
            refreshSlotMap()
            if isFirst && discovery.topology.isCluster && request.pinnedNode == nil {
                request.attempts += 1
                return dispatch(request)
            }
        case .ask(let node):
            if isFirst {
                request.attempts += 1
                request.askedNode = node
                return dispatch(request)
            }
            return retryLater(request, error.reason, askedNode: node)
        case .misplaced: refreshSlotMap()
        case .busy: break
        }
        retryLater(request, error.reason)
    }

    /// Keeps a request for another attempt after a jittered pause.
    private func retryLater(_ request: RedisRequest, _ reason: String, askedNode: RedisAddress? = nil) {
        request.askedNode = askedNode
        request.lastReason = reason
        request.attempts += 1
        guard !isClosed else { return fail(request, .notSent(RequestRouter.closed)) }
        guard !retries.isFull else {
            return fail(request, .notSent("too many requests wait to be sent again: \(reason)"))
        }
        let pause = context.backoff.pauseMilliseconds(after: request.attempts)
        retries.append(request, dueAt: .now() + .milliseconds(pause))
        scheduleSweep()
    }

    private func scheduleSweep() {
        if isSweepScheduled || isClosed { return }
        isSweepScheduled = true
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(RedisClientLimits.sweepMilliseconds)) {
            self.sweep()
        }
    }

    /// Looks at all requests that wait, for another attempt or for a connection: sends those that are due, and fails
    /// those whose deadline has passed.
    private func sweep() {
        isSweepScheduled = false
        let now = NIODeadline.now()
        for request in retries.takeDue(now: now) { dispatch(request) }
        for (request, node) in connections.takeWaiting(where: { $0.deadline <= now }) {
            fail(request, .notSent(request.lastReason ?? "there was no connection to \(node)"))
        }
        // The node that they wait for may have been replaced, and it can take long until a connection to it fails.
        if connections.hasWaitingForFailing { refreshSlotMap() }
        if !retries.isEmpty || connections.hasWaiting { scheduleSweep() }
    }
}

extension RequestRouter: ReconnectingConnectionOwner {
    func connectionDidReconnect(_ connection: ReconnectingConnection) {
        context.log("a node was reached again", ["node": connection.key.address.description])
        owner?.routerDidChange(connection.key.address)
    }

    func connection(_ connection: ReconnectingConnection, finished request: RedisRequest) {
        let address = connection.key.address
        if let error = RetryableError.decisive(in: request.replies, lane: request.lane, from: address) {
            follow(error, request)
        } else {
            request.completion(.success(request.replies))
        }
    }

    func connection(_ connection: ReconnectingConnection, lost loss: ConnectionLoss) {
        let address = connection.key.address
        connections.didClose(connection)
        if connection.hasBegunToFail && !isClosed {
            context.log(
                "a connection was lost or not made", ["node": address.description, "reason": loss.reason])
        }
        refreshSlotMap()
        for (index, request) in loss.sent.enumerated() {
            handleUnanswered(request, at: address, loss, isPoison: loss.isGarbled && index == 0)
        }
        for request in loss.unsent { retryFromScratch(request, loss.reason) }
        // The owner of the slot can do more for these than a node that cannot be reached.
        for request in connection.takeWaiting(where: { $0.askedNode != nil }) { retryFromScratch(request, loss.reason) }
        let topology = discovery.topology
        if topology.isCluster && !topology.masters.contains(address) { connections.retireIfUnused(connection) }
    }

    /// Decides about a request that was sent and not answered in full.
    ///
    /// - Parameter isPoison: Whether its answer is what ended the connection.
    private func handleUnanswered(
        _ request: RedisRequest, at address: RedisAddress, _ loss: ConnectionLoss, isPoison: Bool
    ) {
        if let error = RetryableError.decisive(in: request.replies, lane: request.lane, from: address) {
            follow(error, request)
        } else if request.lane == .writes {
            fail(request, .unknown("the connection to \(address) was lost: \(loss.reason)"))
        } else if isPoison {
            fail(request, .notSent(loss.reason))
        } else {
            retryFromScratch(request, loss.reason)
        }
    }

    private func retryFromScratch(_ request: RedisRequest, _ reason: String) {
        request.replies.removeAll()
        retryLater(request, reason)
    }
}

extension RequestRouter: RedisDiscoveryOwner {
    var failingNodes: Set<RedisAddress> { connections.failingNodes }

    func discovered(isNew: Bool) {
        if isNew {
            let topology = discovery.topology
            let masters = topology.masters.map(\.description).joined(separator: " ")
            context.log(
                "the nodes of the store are known",
                ["form": topology.isCluster ? "cluster" : "standalone", "masters": masters])
            owner?.routerDidChange(nil)
        }
        // Also if nothing is new: redirections may have told all of it, and what waited before them still waits.
        for request in connections.keepOnly(Set(discovery.topology.masters)) { dispatch(request) }
        owner?.routerKnowsNodes()
    }
}
