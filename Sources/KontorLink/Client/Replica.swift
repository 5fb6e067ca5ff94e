// One replica of a service: its address, and the connection to it, which is made again after a random time when it is
// lost.

import KontorService
import NIOCore

/// Observes a replica.
protocol ReplicaObserver: AnyObject {
    func didOpen(_ replica: Replica)
    /// The replica takes no more requests; it may still send replies.
    func didLeave(_ replica: Replica)
    /// A connection was lost, or could not be made.
    func didLose(_ replica: Replica, reason: String)
}

/// One replica. Used on its event loop only.
final class Replica {
    private enum State {
        case idle
        case waiting(Scheduled<Void>)
        /// The connection is being made, is being opened as a link, or is open.
        case trying(ClientConnection)
        case closed
    }

    let address: SocketAddress
    let name: String
    /// The replica's hash for ``Rendezvous``.
    let seed: UInt64
    private let eventLoop: any EventLoop
    private let random: any RandomSource
    private let dialer: any LinkDialer
    private let makeConnection: (any ConnectionObserver) -> ClientConnection
    private weak var observer: (any ReplicaObserver)?
    private var state = State.idle
    /// Attempts to connect since the replica last answered.
    private var failures: Int64 = 0
    /// The link, while requests may be sent over it; nil: none is open.
    private(set) var connection: ClientConnection?
    /// Succeeds when the latest connection is gone.
    private var gone: EventLoopFuture<Void>

    /// - Parameter makeConnection: makes the handler of the next connection's channel.
    init(
        _ address: SocketAddress, name: String, on eventLoop: any EventLoop, random: any RandomSource,
        dialer: any LinkDialer, observer: any ReplicaObserver,
        makeConnection: @escaping (any ConnectionObserver) -> ClientConnection
    ) {
        self.address = address
        self.name = name
        seed = Rendezvous.hash(name.utf8)
        self.eventLoop = eventLoop
        self.random = random
        self.dialer = dialer
        self.observer = observer
        self.makeConnection = makeConnection
        gone = eventLoop.makeSucceededVoidFuture()
    }

    /// Whether there is a connection, or one is being made.
    var isTrying: Bool { if case .trying = state { true } else { false } }

    func connect() {
        switch state {
        case .idle, .waiting: break
        case .trying, .closed: return
        }
        let connection = makeConnection(self)
        state = .trying(connection)
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let channel = dialer.connect(to: address, on: eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
        }
        gone = channel.flatMap { $0.closeFuture }.recover { _ in }
        channel.assumeIsolated().whenFailure { [weak self] error in self?.didClose(connection, reason: "\(error)") }
    }

    /// Forgets the requests that were sent over its connection.
    func forgetReplies() { if case .trying(let connection) = state { connection.forgetReplies() } }

    func tick(now: Int64, wasAway: Bool) {
        if case .trying(let connection) = state { connection.tick(now: now, wasAway: wasAway) }
    }

    /// Closes the connection for good.
    ///
    /// - Returns: a future that succeeds once the connection is gone.
    func close() -> EventLoopFuture<Void> {
        let ended = state
        state = .closed
        connection = nil
        switch ended {
        case .waiting(let retry): retry.cancel()
        case .trying(let connection): connection.close("the client is closed")
        case .idle, .closed: break
        }
        return gone
    }
}

extension Replica: ConnectionObserver {
    func didOpen(_ connection: ClientConnection) {
        self.connection = connection
        observer?.didOpen(self)
    }

    func didHear(_ connection: ClientConnection) { failures = 0 }

    func isLeaving(_ connection: ClientConnection) {
        guard self.connection === connection else { return }
        self.connection = nil
        observer?.didLeave(self)
    }

    func didClose(_ connection: ClientConnection, reason: String) {
        guard case .trying(let current) = state, current === connection else { return }
        self.connection = nil
        let longest = min(LinkLimits.longestBackoffMilliseconds, LinkLimits.backoffMilliseconds << min(failures, 16))
        failures += 1
        let pause = Int64(random.next() % UInt64(longest)) + 1
        state = .waiting(
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(pause)) { [weak self] in self?.connect() })
        observer?.didLose(self, reason: reason)
    }
}
