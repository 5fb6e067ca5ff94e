// A shop in the test's hands: time stands still until the test moves it, and the store answers when, and as badly as,
// the test wants.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

/// A store that answers late, in any order between requests, and sometimes does not know whether it committed.
final class LateStore: RecordStore {
    private let inner: MemoryStore
    private let random: SeededRandom
    private var pending: [() -> Void] = []
    /// Commits whose outcome is unknown, per hundred.
    var unknownPercent = 0
    /// Groups on a part of the store that has gone: what is committed to them never lands, and nobody knows that.
    var lost: Set<GroupKey> = []
    private(set) var loads = 0
    /// So many of the next loads fail.
    var failingLoads = 0
    /// Why no commit is taken; nil: they are.
    var refusal: StoreError?
    var admission: StoreError? { refusal ?? inner.admission }
    var expiringRecords: Int { inner.expiringRecords }
    var openWorkRecords: Int { inner.openWorkRecords }
    var isIdle: Bool { pending.isEmpty }
    let writer: UInt64

    init(_ inner: MemoryStore, _ random: SeededRandom, writer: UInt64 = 1) {
        self.inner = inner
        self.writer = writer
        self.random = random
    }

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        loads += 1
        if failingLoads > 0 {
            failingLoads -= 1
            pending.append { completion(readSets.map { _ in .failure(.unreachable("the test")) }) }
        } else {
            pending.append { [inner] in inner.load(readSets, completion: completion) }
        }
    }

    /// Commits are written under this store's own writer.
    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        if let refusal { return pending.append { completion(changes.map { _ in .refused(refusal) }) } }
        var known: [(index: Int, change: GroupChange)] = []
        var outcomes: [CommitOutcome] = changes.map { _ in .conflict }
        var landsFirst: [() -> Void] = []
        for (index, change) in changes.enumerated() {
            if lost.contains(change.group) {
                outcomes[index] = .unknown(Version(writer: writer, counter: inner.nextVersion().counter))
                continue
            }
            guard random.below(100) < unknownPercent else {
                known.append((index, change))
                continue
            }
            // It lands before or after the caller hears that nothing is known, or never.
            let version = Version(writer: writer, counter: inner.nextVersion().counter)
            let lands: () -> Void = { [inner] in _ = inner.commit(change, as: version) }
            outcomes[index] = .unknown(version)
            switch random.below(3) {
            case 0: landsFirst.append(lands)
            case 1: pending.append(lands)
            default: break
            }
        }
        pending.append { [inner, writer] in
            for land in landsFirst { land() }
            for entry in known {
                let version = Version(writer: writer, counter: inner.nextVersion().counter)
                outcomes[entry.index] = inner.commit(entry.change, as: version) ? .committed : .conflict
            }
            completion(outcomes)
        }
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        inner.scanOpenWork(kind, partition: partition, after: cursor, completion: completion)
    }

    func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        pending.append { [inner] in inner.scan(range, atMost: bound, completion: completion) }
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        pending.append { completion(.success(())) }
    }

    /// Lets one thing happen.
    func step() {
        if !pending.isEmpty { pending.remove(at: random.below(pending.count))() }
    }

    /// The process that waited for all this is dead. What was on its way may still land.
    func crash() {
        let onTheirWay = pending
        pending = []
        for landing in onTheirWay where random.below(2) == 0 { landing() }
        pending = []
    }
}

/// One process over the records, and what it takes to run it.
final class World {
    let records: MemoryStore
    let clock: ManualClock
    let random: SeededRandom
    let events = RecordedEvents()
    let store: LateStore
    let metrics: ShopMetrics
    let refusals = Refusals()
    private(set) var shop: Shop

    init(
        seed: UInt64, records: MemoryStore = MemoryStore(), clock: ManualClock = ManualClock(),
        metrics: ShopMetrics = ShopMetrics()
    ) {
        self.metrics = metrics
        self.records = records
        self.clock = clock
        random = SeededRandom(seed: seed)
        store = LateStore(records, random)
        shop = Shop(
            ShopEnvironment(store: store, clock: clock, random: random, log: events, metrics: metrics), sink: RecordingSink(),
            refusals: refusals)
    }

    @discardableResult
    func ask(
        _ request: ShopRequest, key: String? = nil, stamp: RequestStamp? = nil, note: TrailNote? = nil,
        within milliseconds: Int64 = 5_000
    ) -> Request {
        let caller = Request()
        let name = WriteName(key: key.flatMap { IdempotencyKey($0) }, stamp: stamp, note: note)
        shop.handle(request, name: name, deadline: clock.monotonicMilliseconds + milliseconds, caller: caller)
        shop.endTurn()
        return caller
    }

    /// One thing happens, and the shop does what follows from it.
    func step() {
        store.step()
        shop.endTurn()
    }

    func pass(_ milliseconds: Int64) {
        clock.monotonicMilliseconds += milliseconds
        shop.tick()
        shop.endTurn()
    }

    /// Runs until nothing is left to do; time goes on only when nothing else can.
    func settle() {
        for _ in 0..<200_000 {
            while !store.isIdle { step() }
            if shop.openSagas == 0 { return }
            pass(Limits.tickMilliseconds)
        }
        Issue.record("the shop does not come to rest")
    }

    /// Asks, and lets everything that follows happen.
    @discardableResult
    func run(_ request: ShopRequest) -> ShopAnswer? {
        let caller = ask(request)
        settle()
        return caller.answer
    }

    func crashAndRecover() {
        store.crash()
        shop = Shop(
            ShopEnvironment(store: store, clock: clock, random: random, log: events, metrics: metrics), sink: RecordingSink(),
            refusals: refusals)
        var isRecovered = false
        shop.recover { _ in isRecovered = true }
        shop.endTurn()
        for _ in 0..<100_000 where !isRecovered {
            if store.isIdle { pass(Limits.tickMilliseconds) } else { step() }
        }
        #expect(isRecovered)
    }

    func audit() -> AuditReport {
        Audit.report { body in records.forEach { body($0, $1) } }
    }

    /// The books balance, no lock is left, nothing alarmed.
    func expectClean(_ sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(audit().culprits == [], sourceLocation: sourceLocation)
        #expect(events.alarms == [], sourceLocation: sourceLocation)
        var open = 0
        records.forEach { key, _ in if key.member.isOpenWork { open += 1 } }
        #expect(open == 0, "holds, markers or sagas are left", sourceLocation: sourceLocation)
    }

    // MARK: Goods, users, orders

    func item(_ name: String, stock: Int64, price: Int64 = 100) {
        put(GroupKey(.item, id(name)), balance: stock, price: price)
    }

    func user(_ name: String, credit: Int64) { put(GroupKey(.user, id(name)), balance: credit, price: 0) }

    private func put(_ account: GroupKey, balance: Int64, price: Int64) {
        #expect(
            run(.ledger(LedgerCommand(account, .replace(balance: Amount(balance), price: Amount(price))))) == .ledger(.done))
    }

    func order(_ user: String, _ items: [String]) -> Identifier {
        guard case .created(let order)? = run(.createOrder(user: id(user))) else {
            Issue.record("no order was created")
            return id("none")
        }
        for item in items { run(.addItem(order: order, item: id(item), units: Amount(1))) }
        return order
    }

    func account(_ kind: GroupKey.Kind, _ name: String) -> Account? {
        guard case .ledger(.account(let account))? = run(.ledger(LedgerCommand(GroupKey(kind, id(name)), .read))) else {
            return nil
        }
        return account
    }

    func status(_ order: Identifier) -> Order.Status? {
        guard case .order(.order(let order))? = run(.order(OrderCommand(order, .read))) else { return nil }
        return order.status
    }
}
