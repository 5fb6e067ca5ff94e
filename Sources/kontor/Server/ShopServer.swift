// Puts a shop together: store, serial domain, links, shop and listeners. There are two forms: the whole shop in one
// process has a directory and a thread; one of three services has Redis, an event loop, and links to the others.

import CLinux
import CoreMetrics
import Foundation
import KontorCore
import KontorEmbedded
import KontorHTTP
import KontorLink
import KontorMetrics
import KontorService
import KontorTLS
import Logging
import NIOCore
import NIOPosix

/// The settings of a server.
struct ServerSettings {
    /// The form of the shop.
    enum Form {
        /// The whole shop on an embedded store, whose bounds follow from the memory that there is.
        case embedded(directory: String, memory: MemoryBudget)
        case service(ServiceSettings)
    }

    let form: Form
    let host: String
    let port: Int
    let internalPort: Int
    let isAdminOpen: Bool
    let keys: KeyPolicy
    let access: AccessSettings
    let tls: TLSSettings
    /// How long entries of the audit trail are kept.
    let trailMilliseconds: Int64

    /// The settings of one service of several; nil: it is the whole shop.
    var service: ServiceSettings? { if case .service(let service) = form { service } else { nil } }

    /// The address of the operators' listener.
    var internalHost: String { service?.internalHost ?? "127.0.0.1" }

    /// The services whose routes are served.
    var serving: Set<GroupKey.Kind> { service.map { [$0.service.kind] } ?? Set(GroupKey.Kind.allCases) }
}

/// A running shop, or one of its services, with its two listeners.
///
/// `@unchecked Sendable`: it is put together on one thread; afterwards nothing of it changes.
final class ShopServer: @unchecked Sendable {
    private let settings: ServerSettings
    private let logger: Logger
    // One loop is faster than two on two cores: see docs/decisions/0002-http-layer.md.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let clock = SystemClock()
    private let random = SystemRandom()
    private let registry = MetricsRegistry(MetricCatalogue.families)
    private let metrics: ShopMetrics
    private let refusals = Refusals()
    private let domain: SerialDomain
    private let factory: any StoreFactory
    /// nil: the shop is alone.
    private let links: ServiceLinks?
    private lazy var runner = makeRunner()
    private var listeners: [HTTPListener] = []
    /// nil: callers are not told apart.
    private let credentials: WatchedCredentials?
    /// Those of links; nil: there are no links.
    private let secrets: WatchedSecrets?
    /// Those that open /metrics and nothing else; nil: there are none.
    private let metricsSecrets: WatchedSecrets?
    /// nil: nothing is encrypted.
    private let tls: WatchedTLS?
    private let memory: MemoryBounds

    /// Where the shop's turns run.
    private enum SerialDomain {
        case thread(TurnThread)
        case eventLoop(LoopWaker)
    }

    var port: Int { listeners[0].port }
    var internalPort: Int { listeners[1].port }

    private init(_ settings: ServerSettings, _ logger: Logger, _ memory: MemoryBounds) throws {
        self.settings = settings
        credentials = try settings.access.files.map { try WatchedCredentials($0, logger) }
        secrets = try settings.service.map { try WatchedSecrets($0.secrets, logger) }
        metricsSecrets = try settings.service?.metricsSecrets.map { try WatchedSecrets($0, logger) }
        tls = try settings.tls.files.map { [registry] in try WatchedTLS($0, metrics: registry, logger) }
        self.memory = memory
        self.logger = logger
        metrics = ShopMetrics(factory: registry)
        let eventLoop = group.next()
        switch settings.form {
        case .embedded(let directory, let budget):
            domain = .thread(TurnThread())
            links = nil
            factory = EmbeddedStoreFactory(
                directory, budget, trailMilliseconds: settings.trailMilliseconds, random: random, registry: registry,
                logger: logger)
            // If the event loop shares a processor with the shop's thread, it waits for slices of 0.2 ms instead of 3
            // ms: in an overload that is most of a refusal's time. An older kernel ignores the request.
            eventLoop.execute { _ = kontor_ask_for_time_slice(200_000) }
        case .service(let service):
            domain = .eventLoop(LoopWaker(eventLoop))
            links = ServiceLinks()
            factory = RedisStoreFactory(
                service, trailMilliseconds: settings.trailMilliseconds, on: eventLoop, clock: clock, random: random,
                logger: logger)
        }
    }

    /// Opens the store, listens, and recovers. Throws an error in words for operators.
    static func start(_ settings: ServerSettings, logger: Logger) throws -> ShopServer {
        let server = try ShopServer(
            settings, logger, MemoryBounds(openFiles: try OpenFiles.connections(), isTLS: settings.tls.isServed))
        try server.factory.open(server.runner)
        try server.prepareLinks()
        try server.listen()
        server.begin()
        return server
    }

    // MARK: The shop

    private func makeRunner() -> ShopRunner {
        var options = ShopRunner.Options(sink: HTTPAnswerSink(), clock: clock, metrics: metrics)
        options.refusals = refusals
        options.recovered = { [unowned self] in recovered($0) }
        options.failed = { [unowned self] in failed($0) }
        let waker: any Waker
        switch domain {
        case .thread(let thread): waker = thread
        case .eventLoop(let loop):
            waker = loop
            // Everything that came in a round of the loop is one turn, whose commits are one round trip.
            options.requestsPerTurn = .max
            options.isReachable = { [links] in links?.isConnected ?? true }
        }
        return ShopRunner(options, waker: waker) { [unowned self] post, completion in
            factory.store(post) { [unowned self] store in completion(makeShop(store), store) }
        }
    }

    private func makeShop(_ store: any RecordStore) -> Shop {
        let environment = ShopEnvironment(
            store: store, clock: clock, random: random, log: LoggedEvents(logger), metrics: metrics)
        let deployment = links.map { Deployment.oneOfSeveral(serving: settings.serving, over: $0) } ?? .alone
        return Shop(environment, sink: runner, deployment: deployment, keys: settings.keys, refusals: refusals)
    }

    private func begin() {
        switch domain {
        case .thread(let thread): thread.start(runner)
        case .eventLoop(let loop):
            group.next().execute { [self] in
                links?.start()
                loop.start(runner)
            }
        }
    }

    private func recovered(_ result: Result<RecoveryReport, StoreError>) {
        switch result {
        // One of several services has nothing to recover: sagas that stand still are taken over while it runs.
        case .success where links != nil: break
        case .success(let report):
            logger.notice(
                "Recovered", metadata: ["sagas": "\(report.sagasResumed)", "orphans": "\(report.orphansSettled)"])
            logger.notice(
                "Ready: requests are served",
                metadata: [
                    "public": "\(url(settings.host, port))", "internal": "\(url(settings.internalHost, internalPort))",
                ].merging(memoryFacts) { first, _ in first })
        case .failure(let error):
            logger.critical("Recovery cannot read the store", metadata: ["reason": "\(error)"])
            exit(1)
        }
    }

    private func failed(_ failure: DurabilityError) {
        if let links {
            links.forgetReplies()
            return logger.warning(
                "The shop begins anew: what it knew may be lost", metadata: ["reason": "\(failure.reason)"])
        }
        logger.critical(
            "The disk failed. Kontor ends; a restart shows what is durable", metadata: ["reason": "\(failure.reason)"])
        // The event loop has the answers (504). They get time to leave; then the process ends without writing to the
        // disk again.
        for listener in listeners { try? listener.shutdown(withinMilliseconds: ServerLimits.lastAnswersMilliseconds).wait() }
        exit(74)
    }

    // MARK: Links and listeners

    private func prepareLinks() throws {
        guard let links, let secrets = secrets?.secrets, let service = settings.service else { return }
        try group.next().submit { [self] in
            let log: LinkLog = { [logger] in LoggedEvents(logger).notice($0, $1) }
            for peer in service.peers {
                let asked = LinkClient.Service(
                    name: peer.name, urls: peer.urls, secrets: secrets, epoch: factory.epochText, tls: linkTLS)
                links.clients[peer.kind] = LinkClient(
                    asked, on: group.next(), random: random, receiver: runner, log: log)
            }
            links.server = LinkServer(
                secrets: secrets, epoch: { [runner, factory] in runner.isServing ? factory.epochText : nil },
                services: [service.service.rawValue],
                status: { [runner, clock] in
                    PeerStatus(wallMilliseconds: clock.wallMilliseconds, admission: runner.admission)
                },
                receiver: runner,
                on: group.next(), log: log)
            if settings.tls.files?.clientAuthorities != nil { links.server?.isProven = TLSCredentials.isProven }
        }.wait()
    }

    private func listen() throws {
        let runner = runner
        let clock = clock
        let forbidden = ForbiddenLog(logger, clock)
        func service(
            _ listener: String, isAdminOpen: Bool, connections: Int, pages: [String: OperatorEndpoint], _ access: AccessControl
        ) -> HTTPService {
            HTTPService(
                shop: runner, isAdminOpen: isAdminOpen, served: settings.serving, access: access, pages: pages,
                maximumConnections: connections, isReady: { runner.isReady },
                troubles: { runner.troubles.map { listener == "internal" ? "\($0.part): \($0.reason)" : $0.publicText } },
                monotonicMilliseconds: { clock.monotonicMilliseconds }, wallMilliseconds: { clock.wallMilliseconds },
                forbade: { forbidden.note($0) },
                metrics: HTTPMetrics(factory: registry, listener: listener, refusals: refusals))
        }
        var rates = settings.access.rates
        rates.keyMilliseconds = settings.keys.retentionMilliseconds
        let shop = service(
            "public", isAdminOpen: settings.isAdminOpen, connections: memory.connections, pages: [:],
            AccessControl(
                hosts: settings.access.hosts(at: settings.host), origins: settings.access.origins,
                credentials: credentials?.credentials,
                proxies: settings.access.proxies, rates: rates))
        let operators = service(
            "internal", isAdminOpen: true, connections: OpenFiles.operatorConnections, pages: operatorPages(),
            AccessControl(
                hosts: settings.access.hosts, secrets: secrets?.secrets, metricsSecrets: metricsSecrets?.secrets,
                credentials: credentials?.credentials))
        var filter: ConnectionFilter?
        if let links { filter = { channel, addHTTP in try links.server?.sniff(channel, otherwise: addHTTP) } }
        listeners = [
            try HTTPListener.started(settings.host, settings.port, group, shop, first: secured(.public, nil)),
            try HTTPListener.started(
                settings.internalHost, settings.internalPort, group, operators, first: secured(.internal, filter)),
        ]
        tellIfOpen()
        guard let service = settings.service else { return }
        logger.notice(
            "The service runs",
            metadata: [
                "version": "\(Kontor.release)", "service": "\(service.service.rawValue)", "store": "\(service.store)",
                "public": "\(url(settings.host, port))", "internal": "\(url(settings.internalHost, internalPort))",
            ].merging(memoryFacts) { first, _ in first })
    }

    private func tellIfOpen() {
        let isOpen = credentials == nil && !AccessSettings.isLoopback(settings.host)
        Gauge(label: "kontor_open_to_everyone", factory: registry).record(isOpen ? 1 : 0)
        guard isOpen else { return }
        logger.warning(
            "Whoever reaches the public port may do everything, and nobody is asked who he is: --auth closes it (docs/security.md)",
            metadata: ["public": "http://\(settings.host):\(port)"])
    }

    /// Puts TLS below what a listener's connections are otherwise; nil: there is neither.
    private func secured(_ listener: TLSCredentials.Listener, _ next: ConnectionFilter?) -> ConnectionFilter? {
        guard let tls, settings.tls.isServed else { return next }
        return { channel, addHTTP in
            try tls.secure(channel, of: listener)
            if let next { try next(channel, addHTTP) } else { try addHTTP() }
        }
    }

    private var linkTLS: LinkTLS? {
        guard let credentials = tls?.credentials else { return nil }
        return { channel, host in try credentials.secure(channel, to: host) }
    }

    private func url(_ host: String, _ port: Int) -> String { "\(settings.tls.scheme)://\(host):\(port)" }

    private var memoryFacts: Logger.Metadata { memory.facts.mapValues { "\($0)" } }

    /// The pages of the operators' listener.
    private func operatorPages() -> [String: OperatorEndpoint] {
        let runner = runner
        let logger = logger
        func metrics(_ directory: String?) -> OperatorEndpoint {
            let page = MetricsPage(
                registry: registry, directory: directory, version: Kontor.release, isReady: { runner.isReady })
            return OperatorEndpoint(.metrics, OperatorPages.page("/metrics", logger) { page.page() })
        }
        let trail = OperatorEndpoint(
            .operate, TrailPage.route { runner.readTrail(behind: $0, atMost: $1, completion: $2) })
        switch settings.form {
        case .embedded(let directory, _):
            let audit = OperatorPages.oneAtATime(
                "/audit", logger,
                busy: "The books are being added up for somebody else, one audit at a time. Ask again when it has ended."
            ) { try auditPage(of: directory) }
            return ["/audit": OperatorEndpoint(.operate, audit), "/metrics": metrics(directory), "/trail": trail]
        case .service: return ["/metrics": metrics(nil), "/trail": trail]
        }
    }

    // MARK: The end

    /// Answers what is in flight, and closes the store. If that hangs, it gives up after a while: nothing is lost, and
    /// the next start, or another process, ends what is open.
    func stop() {
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(stopMilliseconds))) { [logger] in
            logger.critical("The shutdown takes too long. Kontor ends; the next start goes on with what is open")
            exit(75)
        }
        logger.notice(
            "The shutdown begins: requests in flight end first",
            metadata: ["requestsInFlight": "\(runner.requestsInFlight)"])
        // Processes with links to this one send their requests elsewhere from now on.
        if let links { try? group.next().submit { links.server?.leave() }.wait() }
        let began = clock.monotonicMilliseconds
        // The links stay open: they bring the replies that open requests wait for.
        let closing = (links == nil ? listeners : Array(listeners.prefix(1))).map {
            $0.shutdown(withinMilliseconds: ServerLimits.drainMilliseconds)
        }
        for listener in closing {
            do { try listener.wait() } catch {
                logger.warning("A listener did not close", metadata: ["reason": "\(error)"])
            }
        }
        let drained = TimedSignal()
        runner.drain { drained.raise() }
        let left = ServerLimits.drainMilliseconds - (clock.monotonicMilliseconds - began)
        drained.wait(milliseconds: max(1_000, left))
        let unanswered = runner.requestsInFlight
        factory.close(runner)
        if case .thread(let thread) = domain { thread.end() }
        logger.notice("The shutdown is complete", metadata: ["unanswered": "\(unanswered)"])
    }

    private var stopMilliseconds: Int64 {
        links == nil ? ServerLimits.stopMilliseconds : ServerLimits.serviceStopMilliseconds
    }
}

extension StoreTrouble {
    /// What anybody may know of it: addresses and keys are for operators.
    fileprivate var publicText: String {
        switch kind {
        case .shard: "a part of the store is not used"
        case .record: "a record cannot be read"
        }
    }
}
