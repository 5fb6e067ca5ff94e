// One process's connection to the shared store: slow, sometimes broken, and sometimes without the outcome of a commit.

import KontorCore
import KontorService

final class StoreConnection: RecordStore {
    private unowned let store: SharedStore
    private unowned let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    /// Gives a completion to the process; a dead one drops it.
    private let post: (@escaping () -> Void) -> Void
    private let epoch: Int
    let writer: UInt64
    private var commits: UInt64 = 0
    private let remembered: GroupCache
    private(set) var failure: DurabilityError?

    init(
        _ store: SharedStore, _ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom,
        post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.store = store
        self.world = world
        self.swarm = swarm
        self.random = random
        self.post = post
        epoch = store.epoch
        writer = store.nextWriter()
        remembered = GroupCache(bound: swarm.rememberedGroups)
    }

    var expiringRecords: Int { store.records.expiringRecords }
    /// The kinds that the process serves: what fills up is told by who serves it.
    var served: Set<GroupKey.Kind> = []
    var admission: StoreError? { store.filling.map { served.contains($0.kind) } == true ? .diskFull : nil }

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void
    ) {
        if source != .store { return remembered.load(readSets, from: source, of: self, completion: completion) }
        ask(completion) { store in
            var result = Result<[LoadedGroup], StoreError>.success([])
            store.records.load(readSets) { result = $0 }
            return result
        }
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        ask(completion) { store in
            var result = Result<[(key: RecordKey, record: Record)], StoreError>.success([])
            store.records.scanOpenWork(kind, partition: partition, after: cursor) { result = $0 }
            return result
        }
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        var outcomes = [CommitOutcome](repeating: .conflict, count: changes.count)
        var pending = changes.count
        for (index, change) in changes.enumerated() {
            commits += 1
            let version = Version(writer: writer, counter: commits)
            commit(change, as: version) { [self] outcome in
                if outcome == .committed { remembered.committed(change, as: version) } else { remembered.forget(change.group) }
                outcomes[index] = outcome
                pending -= 1
                if pending == 0 { completion(outcomes) }
            }
        }
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        let tell: (Bool) -> Void = { [self] isReplicated in
            world.scheduler.after(latency()) { [self] in
                post { [self] in
                    if isReplicated && epoch == store.epoch { return completion(.success(())) }
                    // This process may have read what was lost, and others may have acted on it.
                    let failure = DurabilityError(reason: "the store has failed over")
                    self.failure = failure
                    completion(.failure(failure))
                }
            }
        }
        store.whenReplicated(tell)
    }

    // MARK: On the way

    private func ask<Value>(
        _ completion: @escaping (Result<Value, StoreError>) -> Void,
        _ serve: @escaping (SharedStore) -> Result<Value, StoreError>
    ) {
        if isHit(swarm.storeLossPercent, .storeUnreachable) {
            world.scheduler.after(random.within(.milliseconds(100)...(.seconds(1)))) { [self] in
                post { completion(.failure(.unreachable("the simulated store"))) }
            }
            return
        }
        world.scheduler.after(latency()) { [self] in
            let result = serve(store)
            world.scheduler.after(latency()) { [self] in post { completion(result) } }
        }
    }

    private func commit(_ change: GroupChange, as version: Version, _ completion: @escaping (CommitOutcome) -> Void) {
        if isHit(swarm.storeLossPercent, .commitRefused) {
            world.scheduler.after(latency()) { [self] in post { completion(.refused(.unreachable("the simulated store"))) } }
        } else if isHit(swarm.storeUnknownPercent, .commitUnknown) {
            let heard = random.within(.milliseconds(50)...(.seconds(1)))
            world.scheduler.after(heard) { [self] in post { completion(.unknown(version)) } }
            if random.happens(33) { return }
            let landing = random.happens(50) ? random.within(0...heard) : random.within(heard...(heard + .seconds(10)))
            world.scheduler.after(landing) { [self] in
                let hasLanded = store.land(change, as: version)
                world.coverage[hasLanded ? .unknownLanded : .unknownFenced] += 1
                world.trace.note("store", "an unknown commit to \(change.group) \(hasLanded ? "lands" : "meets a conflict")")
            }
        } else {
            world.scheduler.after(latency()) { [self] in
                let hasLanded = store.land(change, as: version)
                world.scheduler.after(latency()) { [self] in post { completion(hasLanded ? .committed : .conflict) } }
            }
        }
    }

    private func isHit(_ percent: Double, _ branch: Branch) -> Bool {
        guard world.isFaulty, random.happens(percent) else { return false }
        world.coverage[branch] += 1
        return true
    }

    private func latency() -> Int64 {
        if isHit(swarm.storeLatePercent, .storeLate) { return random.within(.milliseconds(10)...(.seconds(2))) }
        return random.within(20...500)
    }
}
