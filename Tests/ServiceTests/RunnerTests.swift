import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

/// Turns run when the test says so. `@unchecked Sendable`: tests have one thread.
private final class ManualWaker: Waker, @unchecked Sendable {
    private(set) var isWoken = false

    func wake() { isWoken = true }

    /// Runs turns until nobody wants one any more.
    func run(_ runner: ShopRunner) {
        while isWoken {
            isWoken = false
            runner.turn()
        }
    }
}

/// A store that fails when the test says so, as one over Redis does when its master changes.
private final class FailingStore: RecordStore {
    private let records: MemoryStore
    var failure: DurabilityError?

    init(_ records: MemoryStore) { self.records = records }

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        records.load(readSets, from: source, completion: completion)
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        records.commit(changes, completion: completion)
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        records.scanOpenWork(kind, partition: partition, after: cursor, completion: completion)
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        completion(failure.map { .failure($0) } ?? .success(()))
    }
}

/// A runner in the test's hands, and all instances that it had.
private final class Stage {
    let waker = ManualWaker()
    let sink = RecordingSink()
    private(set) var stores: [FailingStore] = []
    private(set) var posts: [ShopRunner.Post] = []
    private(set) var failures: [String] = []
    private(set) lazy var runner = makeRunner()
    private let requestsPerTurn: Int

    init(requestsPerTurn: Int = 16) { self.requestsPerTurn = requestsPerTurn }

    private func makeRunner() -> ShopRunner {
        let clock = ManualClock()
        let records = MemoryStore()
        var options = ShopRunner.Options(sink: sink, clock: clock)
        options.requestsPerTurn = requestsPerTurn
        options.failed = { [unowned self] in failures.append($0.reason) }
        return ShopRunner(options, waker: waker) { [unowned self] post, completion in
            let store = FailingStore(records)
            stores.append(store)
            posts.append(post)
            let random = SeededRandom(seed: UInt64(stores.count))
            let environment = ShopEnvironment(store: store, clock: clock, random: random, log: RecordedEvents())
            completion(Shop(environment, sink: runner), store)
        }
    }

    func submit(_ request: ShopRequest = .createUser) -> (isTaken: Bool, caller: Request) {
        let caller = Request()
        return (runner.submit(request, key: nil, deadline: .max, caller: caller), caller)
    }

    func run() { waker.run(runner) }
}

@Suite("The runner of a shop")
struct RunnerTests {
    @Test("requests are taken once the shop has recovered, and answered in turns of at most so many")
    func turns() {
        let stage = Stage(requestsPerTurn: 2)
        #expect(!stage.submit().isTaken && !stage.runner.isReady)
        stage.runner.begin()
        stage.run()
        #expect(stage.runner.isReady)
        let callers = (0..<5).map { _ in stage.submit().caller }
        #expect(stage.runner.requestsInFlight == 5)
        stage.runner.turn()
        #expect(callers.count { $0.answer != nil } == 2)
        stage.run()
        #expect(callers.allSatisfy { $0.answer != nil } && stage.runner.requestsInFlight == 0)
    }

    @Test("at the bound of requests in flight the next is refused, and a read finds room")
    func bound() {
        let stage = Stage()
        stage.runner.begin()
        stage.run()
        for _ in 0..<Limits.requestsInFlight { #expect(stage.submit().isTaken) }
        #expect(stage.runner.room == 0)
        #expect(!stage.submit().isTaken)
        #expect(stage.submit(.ledger(LedgerCommand(GroupKey(.user, id("u")), .read))).isTaken)
    }

    @Test("when the store fails, whoever waits is told that the outcome is not known, and another instance serves")
    func failure() {
        let stage = Stage(requestsPerTurn: 1)
        stage.runner.begin()
        stage.run()
        let callers = (0..<3).map { _ in stage.submit().caller }
        stage.stores[0].failure = DurabilityError(reason: "a test")
        stage.run()
        #expect(callers.allSatisfy { $0.answers == [.unknown] }, "each once")
        #expect(stage.failures == ["a test"] && stage.stores.count == 2)
        let next = stage.submit()
        stage.run()
        guard next.isTaken, case .created? = next.caller.answer else {
            Issue.record("the second instance does not serve")
            return
        }
    }

    @Test("what comes late for an earlier instance does nothing")
    func latePost() {
        let stage = Stage()
        stage.runner.begin()
        stage.run()
        stage.stores[0].failure = DurabilityError(reason: "a test")
        stage.runner.turn()
        stage.run()
        nonisolated(unsafe) var done: [Int] = []
        for (number, post) in stage.posts.enumerated() { post { done.append(number) } }
        stage.run()
        #expect(done == [1])
    }

    @Test("a runner that drains answers what it took and takes nothing more, whatever becomes of its store")
    func drain() {
        let stage = Stage()
        stage.runner.begin()
        stage.run()
        let caller = stage.submit().caller
        nonisolated(unsafe) var drained = 0
        stage.runner.drain { drained += 1 }
        #expect(drained == 0 && !stage.submit().isTaken)
        stage.run()
        #expect(drained == 1 && caller.answer != nil)
        stage.stores[0].failure = DurabilityError(reason: "a test")
        stage.runner.turn()
        stage.run()
        #expect(stage.stores.count == 2 && !stage.submit().isTaken, "the next instance takes nothing either")
    }
}
