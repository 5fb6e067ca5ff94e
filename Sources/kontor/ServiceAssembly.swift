// Puts one of the three services together: its store in Redis, its links to the others, and its listeners, all on one event loop.

import Foundation
import KontorCore
import KontorHTTP
import KontorLink
import KontorMetrics
import KontorRedis
import KontorService
import Logging
import NIOCore
import NIOPosix
import RedisClient

/// One running service.
///
/// `@unchecked Sendable`: what changes is touched on the event loop alone.
final class ServiceServer: @unchecked Sendable {
    private let settings: ServiceSettings
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let eventLoop: any EventLoop
    private let clock = SystemClock()
    private let random = SystemRandom()
    private let registry = MetricsRegistry(MetricCatalogue.families)
    private let metrics: ShopMetrics
    private let refusals = Refusals()
    private let events: LoggedEvents
    private let keys: KeyPolicy
    private let client: RedisClient
    private var links: [GroupKey.Kind: LinkClient] = [:]
    private var store: RedisStore?
    private var epoch: [UInt8]?
    private var lives = 0
    private lazy var loop = ShopLoop(
        on: eventLoop, sink: HTTPAnswerSink(), clock: clock, metrics: metrics, refusals: refusals, log: events,
        isReachable: { [unowned self] in links.values.allSatisfy(\.isConnected) }
    ) { [unowned self] post, completion in bear(post, completion) }
    private(set) var listeners: [HTTPListener] = []
    private var linkServer: LinkServer?

    private init(_ settings: ServiceSettings, keys: KeyPolicy, logger: Logger) {
        self.settings = settings
        self.keys = keys
        self.logger = logger
        eventLoop = group.next()
        metrics = ShopMetrics(factory: registry)
        events = LoggedEvents(logger)
        client = RedisClient(
            RedisOptions(settings.store, name: "kontor"), on: eventLoop,
            log: { [logger] message, details in logger.notice("\(message)", metadata: details.mapValues { "\($0)" }) })
    }

    /// Reaches its store, checks that it is the shop's, and listens. Throws what an operator must read.
    static func start(
        _ settings: ServiceSettings, host: String, port: Int, internalPort: Int, isAdminOpen: Bool, keys: KeyPolicy,
        logger: Logger
    ) throws -> ServiceServer {
        let server = ServiceServer(settings, keys: keys, logger: logger)
        try server.openStore()
        server.eventLoop.execute {
            server.startLinks()
            server.loop.start()
        }
        try server.listen(host, port, internalPort, isAdminOpen)
        logger.notice(
            "The service runs",
            metadata: [
                "version": "\(Kontor.release)", "service": "\(settings.service.rawValue)", "store": "\(settings.store)",
                "public": "http://\(host):\(server.listeners[0].port)",
                "internal": "http://\(settings.internalHost):\(server.listeners[1].port)",
            ])
        return server
    }

    // MARK: The store

    private func openStore() throws {
        let opened = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [self] in
            client.didChange = { [weak self] in self?.store?.connectionsDidChange() }
            client.start(deadline: .now() + .seconds(30)) { [self] result in
                switch result {
                case .failure(let failure): opened.fail(StartFailure(description: "its store cannot be reached: \(failure)"))
                case .success:
                    checkStore { result in
                        opened.completeWith(result.map { _ in }.mapError { StartFailure(description: $0.description) })
                    }
                }
            }
        }
        try opened.futureResult.wait()
    }

    /// Whether what is there is the shop's, and kept as it must be.
    private func checkStore(_ completion: @escaping (Result<[UInt8], RedisStoreError>) -> Void) {
        RedisInspection.check(client, replicas: settings.replicas) { [self] result in
            if case .failure(let refusal) = result { return completion(.failure(refusal)) }
            RedisEpoch.read(client) { [self] result in
                if case .success(let found) = result {
                    if let epoch, epoch != found {
                        return completion(.failure(RedisStoreError(description: "The store is another shop's than it was.")))
                    }
                    epoch = found
                }
                completion(result)
            }
        }
    }

    /// A life that begins because a master has changed can begin at once: every command is compared with the epoch anyway, and the
    /// servers' settings are looked at meanwhile. If a command has met another epoch, the look comes first.
    private func bear(_ post: @escaping ShopLoop.Post, _ completion: @escaping (Shop, any TurnedStore) -> Void) {
        let mustCheck = store.map { $0.isForeign } ?? false
        func begin() {
            let (shop, store) = shop(epoch ?? [], post)
            self.store = store
            completion(shop, store)
        }
        if !mustCheck { begin() }
        guard mustCheck || lives > 0 else { return lives += 1 }
        lookAgain { if mustCheck { begin() } }
    }

    private func lookAgain(then: @escaping () -> Void) {
        checkStore { [self] result in
            switch result {
            case .success: then()
            case .failure(let refusal) where refusal.isTransient:
                logger.warning("The store cannot be looked at; it is tried again", metadata: ["reason": "\(refusal)"])
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Limits.takeoverScanMilliseconds)) {
                    self.lookAgain(then: then)
                }
            case .failure(let refusal):
                logger.critical("Kontor ends: it must not serve from this store", metadata: ["reason": "\(refusal)"])
                exit(1)
            }
        }
    }

    private func shop(_ epoch: [UInt8], _ post: @escaping ShopLoop.Post) -> (Shop, RedisStore) {
        let options = RedisStore.Options(epoch: epoch, replicas: settings.replicas)
        let store = RedisStore(client, options: options, clock: clock, random: random, post: post)
        let neighbours = Neighbours(
            served: [settings.service.kind], stock: way(to: .item, post), payment: way(to: .user, post),
            orders: way(to: .order, post))
        let shop = Shop(
            store: store, clock: clock, random: random, log: events, sink: loop, world: .oneOfSeveral(neighbours), keys: keys,
            metrics: metrics, refusals: refusals)
        return (shop, store)
    }

    private func way(to kind: GroupKey.Kind, _ post: @escaping ShopLoop.Post) -> Way { Way(links[kind], post) }

    // MARK: Links and listeners

    private func startLinks() {
        let urls: [(GroupKey.Kind, String, [LinkURL])] =
            settings.service == .order
            ? [(.item, "stock", settings.stock), (.user, "payment", settings.payment)] : [(.order, "order", settings.orders)]
        for (kind, name, urls) in urls {
            let link = LinkClient(
                name: name, urls: urls, secret: settings.secret.bytes, epoch: epochText, on: eventLoop,
                random: random, log: { [events] in events.notice($0, $1) })
            links[kind] = link
            link.start()
        }
    }

    private var epochText: String { String(decoding: epoch ?? [], as: UTF8.self) }

    private func listen(_ host: String, _ port: Int, _ internalPort: Int, _ isAdminOpen: Bool) throws {
        let clock = clock
        let loop = try eventLoop.submit { self.loop }.wait()
        let service = HTTPService(
            shop: loop, isAdminOpen: isAdminOpen, served: [settings.service.kind],
            maximumConnections: OpenFiles.connections(), isReady: { loop.isReady },
            monotonicMilliseconds: { clock.monotonicMilliseconds },
            metrics: HTTPMetrics(factory: registry, listener: "public", refusals: refusals))
        let page = MetricsPage(registry: registry, directory: nil, version: Kontor.release, isReady: { loop.isReady })
        let operators = HTTPService(
            shop: loop, served: [settings.service.kind], secret: settings.secret, pages: ["/metrics": { page.page() }],
            maximumConnections: OpenFiles.operatorConnections, isReady: { loop.isReady },
            monotonicMilliseconds: { clock.monotonicMilliseconds },
            metrics: HTTPMetrics(factory: registry, listener: "internal", refusals: refusals))
        let links = try eventLoop.submit { [self] in
            let server = LinkServer(
                secret: settings.secret.bytes, epoch: { [unowned self] in loop.isServing ? epochText : nil }, service: loop,
                on: eventLoop, log: { [events] in events.notice($0, $1) })
            linkServer = server
            return NIOLoopBound(server, eventLoop: eventLoop)
        }.wait()
        listeners = [
            try HTTPListener.started(host, port, group, service),
            try HTTPListener.started(settings.internalHost, internalPort, group, operators) { channel, addHTTP in
                try links.value.sniff(channel, otherwise: addHTTP)
            },
        ]
    }

    // MARK: The end

    /// Answers what is in flight, and leaves the rest to other replicas, or to the next start.
    func stop() {
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Self.stopSeconds)) { exit(75) }
        logger.notice("The shutdown begins: requests in flight end first")
        // Who has links to this process sends elsewhere from now on. What it has begun ends, or is taken over by another one.
        try? eventLoop.submit { self.linkServer?.leave() }.wait()
        try? listeners[0].shutdown(withinMilliseconds: Limits.longestDeadlineMilliseconds).wait()
        try? eventLoop.flatSubmit { self.loop.drain() }.wait()
        logger.notice("The shutdown is complete")
    }

    /// Longer than the longest deadline that a request can have.
    private static let stopSeconds = 40
}

/// The way to another service, for one life of the shop: what comes back is handled in one of its turns.
private final class Way: Participant, OrderReader {
    private let link: LinkClient?
    private let post: ShopLoop.Post

    init(_ link: LinkClient?, _ post: @escaping ShopLoop.Post) {
        self.link = link
        self.post = post
    }

    func send(_ messages: [ParticipantMessage]) {
        link?.send(
            messages.map { message in
                ParticipantMessage(command: message.command, deadline: message.deadline) { [post] reply in
                    post { message.reply(reply) }
                }
            })
    }

    func ask(_ questions: [OrderQuestion]) {
        link?.ask(
            questions.map { question in
                OrderQuestion(command: question.command) { [post] reply in post { question.reply(reply) } }
            })
    }
}
