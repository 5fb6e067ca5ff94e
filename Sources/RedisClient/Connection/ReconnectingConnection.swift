// The client's connection to one node for one lane: it is made when it is first needed, and made again whenever it is
// lost.

import NIOCore

/// Is told what happens on a ``ReconnectingConnection``. Called on the event loop.
protocol ReconnectingConnectionOwner: AnyObject {
    /// The node is reached again. Called before anything that waited is sent.
    func connectionDidReconnect(_ connection: ReconnectingConnection)
    /// The request's replies are complete.
    func connection(_ connection: ReconnectingConnection, finished request: RedisRequest)
    /// A connection was lost or not made.
    func connection(_ connection: ReconnectingConnection, lost loss: ConnectionLoss)
}

/// Sends requests to one node, in order, over one ``RedisConnection`` after the other. Lives on one event loop.
final class ReconnectingConnection: RedisConnectionOwner {
    struct Key: Hashable {
        let address: RedisAddress
        let lane: RedisLane
    }

    let key: Key
    private let context: ClientContext
    private weak var owner: (any ReconnectingConnectionOwner)?
    private var state: StateMachine
    private var connection: RedisConnection?

    init(_ key: Key, _ context: ClientContext, owner: any ReconnectingConnectionOwner) {
        self.key = key
        self.context = context
        self.owner = owner
        state = StateMachine(
            maximumRequests: context.options.maximumHeldRequests, maximumBytes: context.options.maximumHeldBytes)
    }

    /// Whether the node could not be reached when it was last tried.
    var isFailing: Bool { state.isFailing }
    /// Whether the latest failure is the first in a row.
    var hasBegunToFail: Bool { state.hasBegunToFail }
    var hasWaiting: Bool { state.hasWaiting }
    /// Whether there is a connection, made or being made.
    var isConnected: Bool { connection != nil }

    /// Sends a request, now or when there is a connection.
    ///
    /// - Returns: Why it did not take the request; nil if it did.
    func submit(_ request: RedisRequest) -> String? {
        switch state.submit(
            request, sentRequests: connection?.heldRequests ?? 0, sentBytes: connection?.heldBytes ?? 0)
        {
        case .send: connection?.send(request)
        case .wait: break
        case .connect: connect()
        case .refuse(let reason): return reason
        }
        return nil
    }

    /// Takes out the requests that wait for a connection and for which `isTaken` is true, in order.
    func takeWaiting(where isTaken: (RedisRequest) -> Bool = { _ in true }) -> [RedisRequest] {
        state.takeWaiting(where: isTaken)
    }

    /// Makes no more connections. Requests in flight may still be answered; waiting ones are left to be taken out.
    func retire() {
        state.retire()
        closeIfRetiredAndIdle()
    }

    /// Closes the connection, and makes another one after a pause.
    func reset(_ reason: String) { connection?.close(reason) }

    /// Closes the connection for good. The owner is told which requests were in flight.
    func close(_ reason: String) {
        state.retire()
        connection?.close(reason)
    }

    private func connect() {
        let connection = RedisConnection(to: key.address, context, owner: self)
        self.connection = connection
        connection.open()
    }

    private func closeIfRetiredAndIdle() {
        guard state.isRetired, let connection, connection.heldRequests == 0 else { return }
        connection.close("the node left the cluster, or owns nothing any more")
    }

    func connectionIsReady(_ connection: RedisConnection) {
        guard connection === self.connection else { return }
        if state.didConnect() { owner?.connectionDidReconnect(self) }
        // The owner may have closed the connection, or sent something first.
        guard connection === self.connection else { return }
        for request in state.takeWaiting() { connection.send(request) }
    }

    func connection(_ connection: RedisConnection, finished request: RedisRequest) {
        owner?.connection(self, finished: request)
        closeIfRetiredAndIdle()
    }

    func connection(_ connection: RedisConnection, closedWith loss: ConnectionLoss) {
        self.connection = nil
        if let pause = state.didLose(context.backoff) {
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(pause)) { [weak self] in
                guard let self, self.state.didPause() else { return }
                self.connect()
            }
        }
        owner?.connection(self, lost: loss)
    }
}
