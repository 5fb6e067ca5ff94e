// A service in other processes, as its clients see it: finds the replicas, keeps a connection to each, and sends each
// request to the replica that its account belongs to.

import KontorCore
import KontorService
import NIOCore

/// The client's side of the links to all replicas of one service. It is used, and calls back, on its event loop only.
///
/// A request may be lost silently, when its connection breaks or there is none. Then no reply ever comes, and the
/// sender must repeat the request. Two replies come only to a hold that may wait: `contended`, and its end.
///
/// To be used from ``start()`` to ``close()``.
public final class LinkClient {
    /// Counts of what happened so far.
    public struct Counts: Hashable, Sendable {
        /// Requests that were sent.
        public var sent: UInt64 = 0
        /// Requests that were dropped: no replica was connected, or the chosen one takes no more.
        public var dropped: UInt64 = 0
        /// Links that were opened.
        public var opened: UInt64 = 0
        /// Links that were lost, or could not be opened.
        public var lost: UInt64 = 0
    }

    /// A service in other processes, and the proof that this process may talk to it.
    public struct Service: Sendable {
        /// The service's name: the one that its servers say, and the log; empty: any service will do.
        public let name: String
        /// Where its replicas listen. All addresses of all names are used.
        public let urls: [LinkURL]
        /// The secrets of the shop's processes. Each connection presents the one that is the first when it is made.
        public let secrets: SharedSecrets
        /// The shop's epoch: a server of another shop refuses it.
        public let epoch: String
        /// How links to URLs with `https://` are encrypted; nil: there is none such.
        public let tls: LinkTLS?

        public init(name: String, urls: [LinkURL], secrets: SharedSecrets, epoch: String, tls: LinkTLS? = nil) {
            precondition(tls != nil || !urls.contains(where: \.isTLS), "a link must not be open that should be encrypted")
            self.name = name
            self.urls = urls
            self.secrets = secrets
            self.epoch = epoch
            self.tls = tls
        }
    }

    private let service: Service
    private let eventLoop: any EventLoop
    private let random: any RandomSource
    private let dialer: any LinkDialer
    private let log: LinkLog
    private weak var receiver: (any MessageReceiver)?
    private let addresses: ReplicaAddresses
    private var replicas: [String: Replica] = [:]
    /// The replicas that take requests.
    private var connected: [(replica: Replica, connection: ClientConnection)] = []
    /// The last problem that was logged for each replica that is not connected: it is not repeated.
    private var problems: [String: String] = [:]
    private var ticking: RepeatedTask?
    private var away = AwayDetector(tickMilliseconds: LinkLimits.tickMilliseconds)
    private var isClosed = false
    /// Counts of what happened so far, for metrics.
    public private(set) var counts = Counts()

    /// - Parameters:
    ///   - random: spreads the attempts to connect again.
    ///   - receiver: takes the replies; it is not retained.
    public convenience init(
        _ service: Service, on eventLoop: any EventLoop, random: any RandomSource, receiver: any MessageReceiver,
        log: @escaping LinkLog
    ) {
        self.init(service, on: eventLoop, random: random, receiver: receiver, resolver: SystemResolver(), log: log)
    }

    /// Makes a client with another resolver or dialer, for tests.
    package init(
        _ service: Service, on eventLoop: any EventLoop, random: any RandomSource, receiver: any MessageReceiver,
        resolver: any LinkResolver = SystemResolver(), dialer: any LinkDialer = TCPDialer(), log: @escaping LinkLog
    ) {
        self.service = service
        self.eventLoop = eventLoop
        self.random = random
        self.receiver = receiver
        self.dialer = dialer
        self.log = log
        addresses = ReplicaAddresses(service.urls, resolver, eventLoop)
    }

    /// Starts to resolve and connect to replicas, until ``close()``.
    public func start() {
        eventLoop.preconditionInEventLoop()
        addresses.start { [weak self] url in
            self?.didResolve(url)
        } failed: { [weak self] url, reason in
            self?.tell("A service's name cannot be resolved", url, reason)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let pause = TimeAmount.milliseconds(LinkLimits.tickMilliseconds)
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in bound.value.tick() }
    }

    /// Whether at least one replica takes requests.
    public var isConnected: Bool { !connected.isEmpty }

    /// What is known of the service's replicas.
    public var peers: PeerState {
        var state = PeerState()
        state.isReachable = isConnected
        for (_, connection) in connected {
            state.admission = state.admission ?? connection.admission
            guard let skew = connection.clockSkewMilliseconds else { continue }
            if state.clockSkewMilliseconds.map({ abs($0) < abs(skew) }) ?? true { state.clockSkewMilliseconds = skew }
        }
        return state
    }

    /// Sends a request to the replica that its recipient belongs to. All requests of one turn of the event loop leave
    /// together.
    public func send(_ request: Message) {
        guard let recipient = request.recipient else { return }
        let wasSent = connection(for: recipient)?.send(request, now: LinkClock.nowMilliseconds) ?? false
        if wasSent { counts.sent += 1 } else { counts.dropped += 1 }
    }

    /// Forgets the requests that were sent: their replies find nobody.
    public func forgetReplies() { for replica in replicas.values { replica.forgetReplies() } }

    /// Closes all connections, and forgets the replies that it waits for.
    /// - Returns: succeeds once the connections are gone.
    public func close() -> EventLoopFuture<Void> {
        eventLoop.preconditionInEventLoop()
        isClosed = true
        ticking?.cancel()
        addresses.stop()
        connected = []
        let gone = replicas.values.map { $0.close() }
        replicas = [:]
        return EventLoopFuture.andAllComplete(gone, on: eventLoop)
    }

    private func connection(for group: GroupKey) -> ClientConnection? {
        guard connected.count > 1 else { return connected.first?.connection }
        let hash = Rendezvous.hash(group)
        var best: (score: UInt64, connection: ClientConnection)?
        for (replica, connection) in connected {
            let score = Rendezvous.score(hash, replica.seed)
            if best.map({ score > $0.score }) ?? true { best = (score, connection) }
        }
        return best?.connection
    }

    private func tick() {
        let now = LinkClock.nowMilliseconds
        look(at: now, wasAway: away.wasAway(now: now))
        addresses.tick(now: now)
    }

    /// Pings servers, and leaves those that are silent for too long.
    func look(at now: Int64, wasAway: Bool) {
        for replica in replicas.values { replica.tick(now: now, wasAway: wasAway) }
    }
}

// MARK: Replicas

extension LinkClient: ReplicaObserver {
    private func didResolve(_ url: String) {
        guard !isClosed else { return }
        problems[url] = nil
        let wanted = addresses.found
        // A replica that still answers is kept even if its name no longer resolves to it.
        for (name, replica) in replicas where wanted[name] == nil && !replica.isTrying { remove(replica) }
        for (name, address) in wanted where replicas[name] == nil && replicas.count < LinkLimits.replicas {
            let url = addresses.url(of: name)
            let host = url?.authority ?? name
            let replica = Replica(
                address, name: name, on: eventLoop, random: random, dialer: dialer(for: url), observer: self
            ) { [weak receiver, service] in
                let greeting = LinkHandshake.request(
                    host: host, secret: service.secrets.presented, epoch: service.epoch, service: service.name)
                return ClientConnection(greeting: greeting, service: service.name, observer: $0, receiver: receiver)
            }
            replicas[name] = replica
            replica.connect()
        }
    }

    private func dialer(for url: LinkURL?) -> any LinkDialer {
        guard let url, url.isTLS, let tls = service.tls else { return dialer }
        return TLSDialer(dialer: dialer, host: url.host, tls: tls)
    }

    private func remove(_ replica: Replica) {
        replicas[replica.name] = nil
        problems[replica.name] = nil
        _ = replica.close()
    }

    private func updateConnected() {
        // Sorted: a dictionary's order differs between runs.
        connected = replicas.values.sorted { $0.name < $1.name }.compactMap { replica in
            replica.connection.map { (replica, $0) }
        }
    }

    func didOpen(_ replica: Replica) {
        counts.opened += 1
        problems[replica.name] = nil
        log("A link is open", ["service": service.name, "replica": replica.name])
        updateConnected()
    }

    func didLeave(_ replica: Replica) {
        log("A replica leaves", ["service": service.name, "replica": replica.name])
        updateConnected()
    }

    func didLose(_ replica: Replica, reason: String) {
        counts.lost += 1
        guard !isClosed else { return }
        tell("A link is closed", replica.name, reason)
        updateConnected()
        if addresses.found[replica.name] == nil { return remove(replica) }
        addresses.resolveSoon()
    }

    private func tell(_ event: StaticString, _ subject: String, _ reason: String) {
        guard problems.updateValue(reason, forKey: subject) != reason else { return }
        log(event, ["service": service.name, "replica": subject, "reason": reason])
    }
}
