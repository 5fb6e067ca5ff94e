// Puts the shop together: the only file that names the concrete store, listener and threads.

import CLinux
import Foundation
import KontorEmbedded
import KontorHTTP
import KontorMetrics
import KontorService
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A running shop with its two listeners.
final class Server {
    let port: Int
    let internalPort: Int
    private let group: MultiThreadedEventLoopGroup
    private let listeners: [HTTPListener]
    private let thread: ShopThread
    private let shop: Shop
    private let store: EmbeddedStore
    private let lanes: ThreadLanes
    private let logger: Logger

    private init(
        group: MultiThreadedEventLoopGroup, listeners: [HTTPListener], thread: ShopThread, shop: Shop,
        store: EmbeddedStore, lanes: ThreadLanes, logger: Logger
    ) {
        port = listeners[0].port
        internalPort = listeners[1].port
        self.group = group
        self.listeners = listeners
        self.thread = thread
        self.shop = shop
        self.store = store
        self.lanes = lanes
        self.logger = logger
    }

    /// Opens the store, recovers, and listens. Throws what an operator must read.
    static func start(
        host: String, port: Int, internalPort: Int, directory: String, options: EmbeddedOptions, isAdminOpen: Bool,
        keys: KeyPolicy, logger: Logger
    ) throws -> Server {
        let clock = SystemClock()
        let random = SystemRandom()
        let registry = MetricsRegistry(MetricCatalogue.families)
        let metrics = ShopMetrics(factory: registry)
        let refusals = Refusals()
        let log = LoggedEvents(logger)
        let thread = ShopThread(sink: HTTPAnswerSink(), clock: clock, metrics: metrics, refusals: refusals)
        let lanes = ThreadLanes { work in thread.post(work) }
        let store = try EmbeddedStore.open(
            directory, options: options, lanes: lanes, random: random, metrics: StoreMetrics(factory: registry), events: log)
        let report = store.startReport
        logger.notice(
            "The store is open",
            metadata: [
                "version": "\(Kontor.release)", "directory": "\(directory)", "replayed": "\(report.recordsReplayed)",
                "tornBytesCut": "\(report.tornBytesCut)", "openWorkRecords": "\(report.openWorkRecords)",
                "milliseconds": "\(report.milliseconds)",
            ])

        // One loop is faster than two on two cores: see docs/decisions/0002-http-layer.md.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // Where the loop shares a processor with the shop's thread, it waits for 0.2 ms turns instead of 3 ms ones: under an
        // overload that is what most of a refusal's time goes to. Best effort: an older kernel changes nothing.
        for loop in group.makeIterator() { loop.execute { _ = kontor_ask_for_time_slice(200_000) } }
        let readiness = Readiness()
        let connections = OpenFiles.connections()
        let service = HTTPService(
            shop: thread, isAdminOpen: isAdminOpen, maximumConnections: connections, isReady: { readiness.isReady },
            monotonicMilliseconds: { clock.monotonicMilliseconds },
            metrics: HTTPMetrics(factory: registry, listener: "public", refusals: refusals))
        let metricsPage = MetricsPage(
            registry: registry, directory: directory, version: Kontor.release, isReady: { readiness.isReady })
        let operators = HTTPService(
            shop: thread, pages: ["/audit": { try auditPage(of: directory) }, "/metrics": { metricsPage.page() }],
            maximumConnections: OpenFiles.operatorConnections, isReady: { readiness.isReady },
            monotonicMilliseconds: { clock.monotonicMilliseconds },
            metrics: HTTPMetrics(factory: registry, listener: "internal", refusals: refusals))
        let listeners = [
            try HTTPListener.started(host, port, group, service),
            try HTTPListener.started("127.0.0.1", internalPort, group, operators),
        ]

        let shop = Shop(
            store: store, clock: clock, random: random, log: log, sink: thread, keys: keys, metrics: metrics,
            refusals: refusals)
        thread.start(shop, store) {
            shop.recover { result in
                switch result {
                case .success(let report):
                    logger.notice(
                        "Recovered",
                        metadata: ["sagas": "\(report.sagasResumed)", "orphans": "\(report.orphansSettled)"])
                    thread.accept(true)
                    readiness.isReady = true
                    logger.notice(
                        "Ready: requests are served",
                        metadata: [
                            "public": "http://\(host):\(listeners[0].port)",
                            "internal": "http://127.0.0.1:\(listeners[1].port)",
                        ])
                case .failure(let trouble):
                    logger.critical("Recovery cannot read the store", metadata: ["reason": "\(trouble)"])
                    exit(1)
                }
            }
        } failed: { failure in
            logger.critical(
                "The disk failed. Kontor ends; a restart shows what is durable", metadata: ["reason": "\(failure.reason)"])
            // The answers (504) are with the event loops: let them out, then end without another word to the disk.
            for listener in listeners { try? listener.shutdown(withinMilliseconds: 500).wait() }
            exit(74)
        }
        return Server(
            group: group, listeners: listeners, thread: thread, shop: shop, store: store, lanes: lanes, logger: logger)
    }

    /// Answers what is in flight, folds the journal into the table, and gives the directory back. If the disk hangs it gives
    /// up after a while: nothing is lost, the next start only replays more.
    func stop() {
        let deadline = DispatchTime.now() + .seconds(Self.stopSeconds)
        DispatchQueue.global().asyncAfter(deadline: deadline) { [logger] in
            logger.critical("The shutdown takes too long. Kontor ends; the next start replays the journal")
            exit(75)
        }
        logger.notice(
            "The shutdown begins: requests in flight end first",
            metadata: ["requestsInFlight": "\(thread.requestsInFlight)"])
        let drained = Date(timeIntervalSinceNow: Double(Self.drainMilliseconds) / 1000)
        let closing = listeners.map { $0.shutdown(withinMilliseconds: Self.drainMilliseconds) }
        for listener in closing {
            do { try listener.wait() } catch {
                logger.warning("A listener did not close", metadata: ["reason": "\(error)"])
            }
        }
        thread.accept(false)
        thread.drain(seconds: max(1, drained.timeIntervalSinceNow))
        let unanswered = thread.requestsInFlight
        let closed = DispatchSemaphore(value: 0)
        thread.post { [store, shop] in
            shop.willClose()
            store.close { _ in closed.signal() }
        }
        closed.wait()
        thread.end()
        lanes.stop()
        logger.notice("The shutdown is complete", metadata: ["unanswered": "\(unanswered)"])
    }

    /// Longer than the longest deadline that a request can have.
    private static let drainMilliseconds: Int64 = 31_000
    /// Draining, and then folding what is left.
    private static let stopSeconds = 60
}

/// Whether requests can be served; read on event loops, set on the shop's thread.
private final class Readiness: Sendable {
    private let flag = Atomic(false)
    var isReady: Bool {
        get { flag.load(ordering: .acquiring) }
        set { flag.store(newValue, ordering: .releasing) }
    }
}
