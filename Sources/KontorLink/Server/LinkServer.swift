// A service's side of the links to it: which clients may connect, and which connections there are. ServerConnection has
// the traffic of each.

import KontorCore
import KontorService
import NIOCore

/// A connection that was accepted: undecided, or a link.
protocol ServedConnection: AnyObject {
    func tick(now: Int64, wasAway: Bool)
    /// Closes the connection, which then calls ``LinkServer/remove(_:)``.
    func close()
    /// Tells the client that this process will end soon.
    func leave()
}

/// Takes links from other processes of the shop. It is used, and calls the service, on its event loop only.
///
/// It has no listener of its own: see ``sniff(_:otherwise:)``.
///
/// `@unchecked Sendable`: everything but the initializer runs on the event loop, which is checked.
public final class LinkServer: @unchecked Sendable {
    let secrets: SharedSecrets
    /// The names of the services that this process is; empty: any client may connect.
    let services: [String]
    /// Gives what this process tells its clients about itself; nil: it tells nothing.
    let status: (() -> PeerStatus)?
    /// Tells whether the client of a connection has the certificate that a link needs; nil: it needs none. To be set
    /// before the first connection.
    public var isProven: ((any Channel) -> Bool)?
    let receiver: any MessageReceiver
    private let epochNow: () -> String?
    private let eventLoop: any EventLoop
    private let log: LinkLog
    private var connections: [ObjectIdentifier: any ServedConnection] = [:]
    /// The open links, by their names in the origins of requests.
    private var links: [UInt64: ServerConnection] = [:]
    private var lastLink: UInt64 = 0
    private var ticking: RepeatedTask?
    private var away = AwayDetector(tickMilliseconds: LinkLimits.serverTickMilliseconds)
    private var isLeaving = false
    private var closed: EventLoopPromise<Void>?
    /// When each reason to refuse was logged last, monotonic milliseconds.
    private var refusalsLogged: [String: Int64] = [:]

    /// - Parameters:
    ///   - secrets: those of the shop's processes: a client must have one of them.
    ///   - epoch: gives the shop's epoch; nil while it is not known: then links are refused, and their clients try
    ///     again.
    ///   - services: the names of the services that this process is: a client that wants another one is refused.
    ///   - status: gives what this process tells its clients about itself.
    ///   - receiver: takes the requests.
    public init(
        secrets: SharedSecrets, epoch: @escaping () -> String?, services: [String] = [], status: (() -> PeerStatus)? = nil,
        receiver: any MessageReceiver, on eventLoop: any EventLoop, log: @escaping LinkLog
    ) {
        self.secrets = secrets
        self.services = services
        self.status = status
        self.epochNow = epoch
        self.receiver = receiver
        self.eventLoop = eventLoop
        self.log = log
    }

    /// Prepares a new connection of an internal listener, which may become a link. To be called on the event loop, when
    /// the channel is initialized; all connections must be on this event loop.
    ///
    /// - Parameter addHTTP: adds the handlers of HTTP to the pipeline. Called if the first bytes are not those of a
    ///   link. The channel is active already, and does not tell the handlers so.
    public func sniff(_ channel: any Channel, otherwise addHTTP: @escaping () throws -> Void) throws {
        eventLoop.preconditionInEventLoop()
        try channel.pipeline.syncOperations.addHandler(LinkSniffer(self, addHTTP: addHTTP))
    }

    /// The epoch that a client must have; nil: links are refused for now.
    var epoch: String? { isLeaving ? nil : epochNow() }

    /// The number of open links and undecided connections.
    public var connectionCount: Int { connections.count }

    /// Sends a reply over the link of its request. If that link is gone, the reply is dropped: the client repeats the
    /// request.
    public func send(_ reply: Message) {
        guard case .link(let link, let number) = reply.origin else { return }
        links[link]?.send(NumberedMessage(number: number, reply.body))
    }

    /// Tells all clients to send their requests elsewhere, and takes no new links. Replies still leave.
    public func leave() {
        eventLoop.preconditionInEventLoop()
        isLeaving = true
        for connection in connections.values { connection.leave() }
    }

    /// Closes all links and takes no new ones.
    /// - Returns: a future that succeeds once they are gone.
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

    /// Adds a connection.
    ///
    /// - Returns: false if there are too many, or the server is closed.
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

    /// Logs that a link was refused; each reason only every `LinkLimits.refusalLogMilliseconds`.
    func refused(because reason: String, from address: SocketAddress?) {
        let now = LinkClock.nowMilliseconds
        if let last = refusalsLogged[reason], now - last < LinkLimits.refusalLogMilliseconds { return }
        refusalsLogged[reason] = now
        log("A link is refused", ["reason": reason, "from": address?.description ?? ""])
    }

    /// Names a new link.
    ///
    /// - Returns: the link's name in the origins of its requests.
    func opened(_ connection: ServerConnection, from address: SocketAddress?) -> UInt64 {
        log("A link was opened by a client", ["from": address?.description ?? ""])
        lastLink += 1
        links[lastLink] = connection
        return lastLink
    }

    /// Removes a link: no more replies go over it.
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
