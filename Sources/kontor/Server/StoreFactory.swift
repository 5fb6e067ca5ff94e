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
    private let random: any RandomSource
    private let registry: MetricsRegistry
    private let log: any EventLog
    private let logger: Logger
    private var opened: (store: EmbeddedStore, lanes: ThreadLanes)?

    init(
        _ directory: String, _ budget: MemoryBudget, random: any RandomSource, registry: MetricsRegistry, logger: Logger
    ) {
        self.directory = directory
        self.budget = budget
        self.random = random
        self.registry = registry
        self.logger = logger
        log = LoggedEvents(logger)
    }

    func open(_ runner: ShopRunner) throws {
        let lanes = ThreadLanes { work in runner.post(work) }
        let store = try EmbeddedStore.open(
            directory, options: budget.options, lanes: lanes, random: random,
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
    private let eventLoop: any EventLoop
    private let clock: any ShopClock
    private let random: any RandomSource
    private let logger: Logger
    private let client: RedisClient
    private var present: RedisStore?
    private var epoch: [UInt8]?
    private var hasBegun = false

    init(
        _ settings: ServiceSettings, on eventLoop: any EventLoop, clock: any ShopClock, random: any RandomSource, logger: Logger
    ) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.clock = clock
        self.random = random
        self.logger = logger
        client = RedisClient(
            RedisOptions(settings.store, name: "kontor"), on: eventLoop,
            log: { message, details in logger.notice("\(message)", metadata: details.mapValues { "\($0)" }) })
    }

    var epochText: String { String(decoding: epoch ?? [], as: UTF8.self) }

    /// Reaches the store, and checks that it belongs to the shop.
    func open(_ runner: ShopRunner) throws {
        let opened = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [self] in
            client.didChange = { [weak self] in self?.present?.connectionsDidChange() }
            client.start(deadline: .now() + .milliseconds(ServerLimits.storeStartMilliseconds)) { [self] result in
                switch result {
                case .failure(let failure): opened.fail(StartError(description: "its store cannot be reached: \(failure)"))
                case .success:
                    check { result in
                        opened.completeWith(result.map { _ in }.mapError { StartError(description: $0.description) })
                    }
                }
            }
        }
        try opened.futureResult.wait()
    }

    /// Checks that the store belongs to the shop, and that its servers are set up safely.
    private func check(_ completion: @escaping (Result<[UInt8], RedisStoreError>) -> Void) {
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

    /// Gives each instance a store of its own. An instance that follows a change of master begins at once: every
    /// command compares the epoch anyway, and the servers' settings are checked meanwhile. If a command has met another
    /// epoch, the check comes first.
    func store(_ post: @escaping ShopRunner.Post, completion: @escaping (any RecordStore) -> Void) {
        let mustCheck = present.map { $0.isForeign } ?? false
        let begin = { [self] in
            let options = RedisStore.Options(epoch: epoch ?? [], replicas: settings.replicas)
            let store = RedisStore(client, options: options, clock: clock, random: random, post: post)
            present = store
            completion(store)
        }
        if !mustCheck { begin() }
        guard hasBegun else { return hasBegun = true }
        checkAgain { if mustCheck { begin() } }
    }

    private func checkAgain(then: @escaping () -> Void) {
        check { [self] result in
            switch result {
            case .success: then()
            case .failure(let refusal) where refusal.isTransient:
                logger.warning("The store cannot be looked at; it is tried again", metadata: ["reason": "\(refusal)"])
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Limits.takeoverScanMilliseconds)) {
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
