// A service's side of the links to it: who may connect, and which connections there are. What they say is ServerConnection's.

import KontorCore
import KontorService
import NIOCore

/// A connection that was accepted: undecided, or a link.
protocol ServedConnection: AnyObject {
    func tick(now: Int64, wasAway: Bool)
    /// Closes it. It calls ``LinkServer/remove(_:)``.
    func close()
    /// Tells the other side that this process will be gone soon.
    func leave()
}

/// Takes links from other processes of the shop. Used on its event loop only, on which it also calls the service.
///
/// It has no listener of its own: see ``sniff(_:otherwise:)``.
///
/// `@unchecked Sendable`: everything but its making is called on the event loop, which is checked.
public final class LinkServer: @unchecked Sendable {
    let secret: [UInt8]
    let receiver: any MessageReceiver
    private let epochNow: () -> String?
    private let eventLoop: any EventLoop
    private let log: LinkLog
    private var connections: [ObjectIdentifier: any ServedConnection] = [:]
    /// Those that are open, by the names that the origins of their requests bear.
    private var links: [UInt64: ServerConnection] = [:]
    private var lastLink: UInt64 = 0
    private var ticking: RepeatedTask?
    private var away = AwayDetector(tickMilliseconds: LinkLimits.serverTickMilliseconds)
    private var isLeaving = false
    private var closed: EventLoopPromise<Void>?
    /// When each reason to refuse was logged last, monotonic milliseconds.
    private var refusalsLogged: [String: Int64] = [:]

    /// - Parameters:
    ///   - secret: what all processes of the shop know, without line ends.
    ///   - epoch: of the shop; nil while it is not known: then links are refused, and tried again by their clients.
    ///   - receiver: takes the requests.
    public init(
        secret: [UInt8], epoch: @escaping () -> String?, receiver: any MessageReceiver, on eventLoop: any EventLoop,
        log: @escaping LinkLog
    ) {
        self.secret = secret
        self.epochNow = epoch
        self.receiver = receiver
        self.eventLoop = eventLoop
        self.log = log
    }

    /// Makes a new connection of an internal listener one that can become a link. To be called on the event loop, when the channel
    /// is initialized; all connections must be on this event loop.
    ///
    /// - Parameter addHTTP: adds the handlers of HTTP to the pipeline. Called if the first bytes are not those of a link, when the
    ///   channel is active already: they must not wait to be told so.
    public func sniff(_ channel: any Channel, otherwise addHTTP: @escaping () throws -> Void) throws {
        eventLoop.preconditionInEventLoop()
        try channel.pipeline.syncOperations.addHandler(LinkSniffer(self, addHTTP: addHTTP))
    }

    /// Which epoch a client must have; nil: links are refused for now.
    var epoch: String? { isLeaving ? nil : epochNow() }

    /// The links that are open, and connections that have not said yet what they are.
    public var connectionCount: Int { connections.count }

    /// Sends a reply over the link that its request came over, unless that is gone: then the request is sent again, over another one.
    public func send(_ reply: Message) {
        guard case .link(let link, let number) = reply.origin else { return }
        links[link]?.send(NumberedMessage(number: number, reply.body))
    }

    /// Tells all clients to send what they have elsewhere, and takes no new links. Replies still leave.
    public func leave() {
        eventLoop.preconditionInEventLoop()
        isLeaving = true
        for connection in connections.values { connection.leave() }
    }

    /// Closes all links and takes no new ones.
    /// - Returns: succeeds once they are gone.
    public func close() -> EventLoopFuture<Void> {
        eventLoop.preconditionInEventLoop()
        if let closed { return closed.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        closed = promise
        for connection in connections.values { connection.close() }
        endIfClosed()
        return promise.futureResult
    }

    // MARK: Connections

    /// - Returns: false if there are too many, or it is closed.
    func add(_ connection: any ServedConnection) -> Bool {
        eventLoop.preconditionInEventLoop()
        guard closed == nil else { return false }
        guard connections.count < LinkLimits.serverConnections else {
            refused(because: "there are too many connections", from: nil)
            return false
        }
        connections[ObjectIdentifier(connection)] = connection
        if ticking == nil { startTicking() }
        return true
    }

    func remove(_ connection: any ServedConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        endIfClosed()
    }

    /// Logs that a link was refused, each reason only now and then.
    func refused(because reason: String, from address: SocketAddress?) {
        let now = LinkClock.nowMilliseconds
        if let last = refusalsLogged[reason], now - last < LinkLimits.refusalLogMilliseconds { return }
        refusalsLogged[reason] = now
        log("A link is refused", ["reason": reason, "from": address?.description ?? ""])
    }

    /// - Returns: what the link is called in the origins of its requests.
    func opened(_ connection: ServerConnection, from address: SocketAddress?) -> UInt64 {
        log("A link was opened by a client", ["from": address?.description ?? ""])
        lastLink += 1
        links[lastLink] = connection
        return lastLink
    }

    /// Nothing is said over the link any more.
    func forget(_ link: UInt64) { links[link] = nil }

    func closed(because reason: String, from address: SocketAddress?) {
        log("A link of a client is closed", ["reason": reason, "from": address?.description ?? ""])
    }

    private func startTicking() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let pause = TimeAmount.milliseconds(LinkLimits.serverTickMilliseconds)
        away = AwayDetector(tickMilliseconds: LinkLimits.serverTickMilliseconds)
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in bound.value.tick() }
    }

    private func tick() {
        let now = LinkClock.nowMilliseconds
        look(at: now, wasAway: away.wasAway(now: now))
        guard connections.isEmpty else { return }
        ticking?.cancel()
        ticking = nil
    }

    /// Closes connections that are silent for too long.
    func look(at now: Int64, wasAway: Bool) {
        for connection in connections.values { connection.tick(now: now, wasAway: wasAway) }
    }

    private func endIfClosed() {
        guard let closed, connections.isEmpty else { return }
        ticking?.cancel()
        ticking = nil
        closed.succeed()
    }
}
