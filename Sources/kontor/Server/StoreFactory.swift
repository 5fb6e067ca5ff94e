// The two stores of a shop: a directory of this process, or Redis. No other file of the servers names them.

import Foundation
import KontorCore
import KontorEmbedded
import KontorMetrics
import KontorRedis
import KontorService
import Logging
import NIOCore
import RedisClient

/// Opens a store, and gives it to each instance of the shop.
protocol StoreFactory: AnyObject {
    /// Opens or reaches the store, and logs it. Throws an error in words for operators.
    func open(_ runner: ShopRunner) throws
    /// Gives the store for one instance. It is called, and completes, on the shop's serial domain.
    func store(_ post: @escaping ShopRunner.Post, completion: @escaping (any RecordStore) -> Void)
    /// The epoch that links of the shop's processes must bear; empty: it is not known, or there are no links.
    var epochText: String { get }
    /// Closes the store behind everything that was committed. Blocks until that is done.
    func close(_ runner: ShopRunner)
}

// MARK: Embedded

/// Opens a store in a directory, for the whole shop.
final class EmbeddedStoreFactory: StoreFactory {
    private let directory: String
    private let budget: MemoryBudget
    private let trailMilliseconds: Int64
    private let random: any RandomSource
    private let registry: MetricsRegistry
    private let log: any EventLog
    private let logger: Logger
    private var opened: (store: EmbeddedStore, lanes: ThreadLanes)?

    init(
        _ directory: String, _ budget: MemoryBudget, trailMilliseconds: Int64, random: any RandomSource,
        registry: MetricsRegistry, logger: Logger
    ) {
        self.directory = directory
        self.budget = budget
        self.trailMilliseconds = trailMilliseconds
        self.random = random
        self.registry = registry
        self.logger = logger
        log = LoggedEvents(logger)
    }

    func open(_ runner: ShopRunner) throws {
        let lanes = ThreadLanes { work in runner.post(work) }
        var options = budget.options
        options.trailMilliseconds = trailMilliseconds
        let store = try EmbeddedStore.open(
            directory, options: options, lanes: lanes, random: random,
            tables: SQLiteTable.opener(pageCacheBytes: budget.pageCacheBytes), metrics: StoreMetrics(factory: registry),
            events: log)
        opened = (store, lanes)
        let report = store.startReport
        let place: Logger.Metadata = ["directory": "\(directory)"]
        if report.isNew { logger.notice("A new store was made, without items, users and orders", metadata: place) }
        if report.isReadOnly { logger.warning("The disk is full: until there is room the store only reads", metadata: place) }
        logger.notice(
            "The store is open",
            metadata: [
                "version": "\(Kontor.release)", "directory": "\(directory)", "replayed": "\(report.recordsReplayed)",
                "tornBytesCut": "\(report.tornBytesCut)", "openWorkRecords": "\(report.openWorkRecords)",
                "milliseconds": "\(report.milliseconds)",
            ])
        logger.notice(
            "Bounds of memory",
            metadata: [
                "cacheRecords": "\(budget.cacheRecords)", "unfoldedMiB": "\(budget.unfoldedBytes >> 20)",
                "foldSliceMiB": "\(budget.foldSliceBytes >> 20)", "pageCachesMiB": "\(2 * (budget.pageCacheBytes >> 20))",
                "limitMiB": "\(MachineMemory.limit.map { String($0.bytes >> 20) } ?? "unknown")",
                "limitOf": "\(MachineMemory.limit?.source.rawValue ?? "unknown")",
            ])
    }

    func store(_ post: @escaping ShopRunner.Post, completion: @escaping (any RecordStore) -> Void) {
        guard let opened else { preconditionFailure("The store is used before it is opened.") }
        completion(opened.store)
    }

    var epochText: String { "" }

    func close(_ runner: ShopRunner) {
        guard let opened else { return }
        let closed = DispatchSemaphore(value: 0)
        runner.post {
            runner.willClose()
            opened.store.close { _ in closed.signal() }
        }
        closed.wait()
        opened.lanes.stop()
    }
}

// MARK: Redis

/// Opens a store in Redis, for one of the three services.
///
/// `@unchecked Sendable`: its variables are used on the event loop alone.
final class RedisStoreFactory: StoreFactory, @unchecked Sendable {
    private let settings: ServiceSettings
    private let trailMilliseconds: Int64
    private let eventLoop: any EventLoop
    private let clock: any ShopClock
    private let random: any RandomSource
    private let logger: Logger
    private let client: RedisClient
    private var present: RedisStore?
    /// What the store was found to be; nil until it was checked.
    private var found: RedisStore.Options?
    private var hasBegun = false

    init(
        _ settings: ServiceSettings, trailMilliseconds: Int64, on eventLoop: any EventLoop, clock: any ShopClock,
        random: any RandomSource, logger: Logger
    ) {
        self.settings = settings
        self.trailMilliseconds = trailMilliseconds
        self.eventLoop = eventLoop
        self.clock = clock
        self.random = random
        self.logger = logger
        client = RedisClient(
            settings.store, on: eventLoop,
            log: { message, details in logger.notice("\(message)", metadata: details.mapValues { "\($0)" }) })
    }

    var epochText: String { String(decoding: found?.epoch.shop ?? [], as: UTF8.self) }

    /// Reaches the store, and checks that it belongs to the shop. Waits for what may pass, such as a failover.
    func open(_ runner: ShopRunner) throws {
        let opened = eventLoop.makePromise(of: Void.self)
        let deadline = NIODeadline.now() + .milliseconds(ServerLimits.storeStartMilliseconds)
        eventLoop.execute { [self] in
            client.didChange = { [weak self] in self?.present?.connectionsDidChange($0) }
            client.start(deadline: deadline) { [self] result in
                switch result {
                case .failure(let failure): opened.fail(StartError(description: "its store cannot be reached: \(failure)"))
                case .success: check(until: deadline) { opened.completeWith($0) }
                }
            }
        }
        try opened.futureResult.wait()
    }

    /// Checks the store until it may be served from; until the deadline, as long as what is wrong may pass.
    ///
    /// - Parameter known: what was logged already.
    private func check(
        until deadline: NIODeadline, known: String = "", _ completion: @escaping (Result<Void, any Error>) -> Void
    ) {
        check { [self] result in
            guard case .failure(let refusal) = result else { return completion(.success(())) }
            guard refusal.isTransient, NIODeadline.now() < deadline else {
                return completion(.failure(StartError(description: refusal.description)))
            }
            let reason = refusal.description
            if reason != known { logger.notice("The start waits for the store", metadata: ["reason": "\(reason)"]) }
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(ServerLimits.storeRetryMilliseconds)) {
                self.check(until: deadline, known: reason, completion)
            }
        }
    }

    /// Checks that the store belongs to the shop and the service, and that its servers are set up safely.
    private func check(_ completion: @escaping (Result<Void, RedisStoreError>) -> Void) {
        RedisInspection.check(client, settings.replicas) { [self] result in
            if case .failure(let refusal) = result { return completion(.failure(refusal)) }
            RedisEpoch.read(client) { [self] result in
                switch result {
                case .failure(let refusal): completion(.failure(refusal))
                case .success(let epoch):
                    if let known = found?.epoch, known.shop != epoch.shop {
                        return completion(.failure(RedisStoreError(description: "The store is another shop's than it was.")))
                    }
                    RedisInspection.probe(client) { [self] result in
                        if case .failure(let refusal) = result { return completion(.failure(refusal)) }
                        claim(epoch, completion)
                    }
                }
            }
        }
    }

    private func claim(_ epoch: StoreEpoch, _ completion: @escaping (Result<Void, RedisStoreError>) -> Void) {
        RedisEpoch.claim(client, for: settings.service.kind) { [self] result in
            if case .failure(let refusal) = result { return completion(.failure(refusal)) }
            RedisEpoch.readSecret(client, epoch) { [self] result in
                if case .success(let secret) = result {
                    found = RedisStore.Options(epoch: epoch, idSecret: secret, replicas: settings.replicas)
                    found?.trailMilliseconds = trailMilliseconds
                }
                completion(result.map { _ in })
            }
        }
    }

    /// Gives each instance a store of its own. There is a second one only if a command has met another epoch, so the
    /// store is checked first.
    func store(_ post: @escaping ShopRunner.Post, completion: @escaping (any RecordStore) -> Void) {
        let begin = { [self] in
            guard let found else { preconditionFailure("The store is used before it is opened.") }
            let store = RedisStore(client, options: found, clock: clock, random: random, post: post)
            present = store
            completion(store)
        }
        guard hasBegun else {
            hasBegun = true
            return begin()
        }
        checkAgain(then: begin)
    }

    private func checkAgain(then: @escaping () -> Void) {
        check { [self] result in
            switch result {
            case .success: then()
            case .failure(let refusal) where refusal.isTransient:
                logger.warning("The store cannot be looked at; it is tried again", metadata: ["reason": "\(refusal)"])
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(ServerLimits.storeRetryMilliseconds)) {
                    self.checkAgain(then: then)
                }
            case .failure(let refusal):
                logger.critical("Kontor ends: it must not serve from this store", metadata: ["reason": "\(refusal)"])
                exit(1)
            }
        }
    }

    /// Leaves alone what is under way: another process takes it over.
    func close(_ runner: ShopRunner) {
        try? eventLoop.submit { runner.willClose() }.wait()
    }
}
