// One lane of one node: a connection that is made when first needed, and made again whenever it is lost.

import NIOCore

/// Who is told what a link sees. Called on the event loop.
protocol RedisLinkOwner: AnyObject {
    /// The node is reached again, before anything that waited is sent.
    func linkReconnected(_ link: RedisLink)
    func link(_ link: RedisLink, finished unit: RedisUnit)
    func link(_ link: RedisLink, lost loss: RedisLoss)
}

/// Sends the units of one lane to one node, in order. Lives on one event loop.
final class RedisLink: RedisConnectionOwner {
    struct Key: Hashable {
        let address: RedisAddress
        let lane: RedisLane
    }

    let key: Key
    private let options: RedisOptions
    private let eventLoop: any EventLoop
    private let transport: RedisTransport
    private let backoff: RedisBackoff
    private weak var owner: (any RedisLinkOwner)?
    private var state: RedisLinkState
    private var connection: RedisConnection?

    init(
        _ key: Key, options: RedisOptions, on eventLoop: any EventLoop, transport: RedisTransport, backoff: RedisBackoff,
        owner: any RedisLinkOwner
    ) {
        self.key = key
        self.options = options
        self.eventLoop = eventLoop
        self.transport = transport
        self.backoff = backoff
        self.owner = owner
        state = RedisLinkState(maximumUnits: options.maximumHeldUnits, maximumBytes: options.maximumHeldBytes)
    }

    var isFailing: Bool { state.isFailing }
    var hasBegunToFail: Bool { state.hasBegunToFail }
    var hasWaiting: Bool { state.hasWaiting }
    /// Whether there is a connection, made or in the making.
    var isConnected: Bool { connection != nil }

    /// Sends a unit, now or when there is a connection.
    ///
    /// - Returns: why it did not take it; nil if it did.
    func submit(_ unit: RedisUnit) -> String? {
        switch state.submit(unit, sentUnits: connection?.heldUnits ?? 0, sentBytes: connection?.heldBytes ?? 0) {
        case .send: connection?.send(unit, isAsking: unit.asked != nil)
        case .wait: break
        case .connect: connect()
        case .refuse(let reason): return reason
        }
        return nil
    }

    /// Takes out all units that wait for a connection, or those that a condition holds for, in order.
    func takeWaiting(where isTaken: (RedisUnit) -> Bool = { _ in true }) -> [RedisUnit] {
        state.takeWaiting(where: isTaken)
    }

    /// Connects no more. What is sent already may still be answered; what waits is left to be taken.
    func retire() {
        state.retire()
        if connection?.heldUnits == 0 { connection?.close(RedisLink.leftReason) }
    }

    private static let leftReason = "the node left the cluster, or owns nothing any more"

    /// Closes the connection; the owner is told what was on it.
    func close(_ reason: String) {
        state.retire()
        connection?.close(reason)
    }

    private func connect() {
        let connection = RedisConnection(to: key.address, options: options, on: eventLoop, owner: self)
        self.connection = connection
        connection.open(with: transport)
    }

    func connectionIsReady(_ connection: RedisConnection) {
        guard connection === self.connection else { return }
        if state.didConnect() { owner?.linkReconnected(self) }
        // The owner may have closed it, or sent something first.
        guard connection === self.connection else { return }
        for unit in state.takeWaiting() { connection.send(unit, isAsking: unit.asked != nil) }
    }

    func connection(_ connection: RedisConnection, finished unit: RedisUnit) {
        owner?.link(self, finished: unit)
        if state.isRetired && connection.heldUnits == 0 { connection.close(RedisLink.leftReason) }
    }

    func connection(_ connection: RedisConnection, closedWith loss: RedisLoss) {
        self.connection = nil
        if let pause = state.didLose(backoff) {
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(pause)) { [weak self] in
                guard let self, self.state.didPause() else { return }
                self.connect()
            }
        }
        owner?.link(self, lost: loss)
    }
}
