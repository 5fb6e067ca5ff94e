// One process's connection to the shared store: slow, sometimes broken, and sometimes without the outcome of a commit.
// As over Redis, what is read or committed counts only when the shard's replica has it.

import KontorCore
import KontorService

final class StoreConnection: RecordStore {
    private unowned let store: SharedStore
    private unowned let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    /// Gives a completion to the process; a dead one drops it.
    private let post: (@escaping () -> Void) -> Void
    let writer: UInt64
    private var commits: UInt64 = 0
    private let remembered: GroupCache
    let format: RecordFormat
    let lanes: Int

    init(
        _ store: SharedStore, _ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom,
        post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.store = store
        self.world = world
        self.swarm = swarm
        self.random = random
        self.post = post
        writer = store.nextWriter()
        remembered = GroupCache(bound: swarm.rememberedGroups)
        format = store.format
        lanes = store.shards.count
    }

    var expiringRecords: Int { store.records.expiringRecords }
    /// The kinds that the process serves: what fills up is told by who serves it.
    var served: Set<GroupKey.Kind> = []

    /// The store has another epoch since it was upgraded: whoever knows the old one begins anew.
    var failure: DurabilityError? {
        format == store.format ? nil : DurabilityError(reason: "the store was upgraded")
    }

    var troubles: [StoreTrouble] {
        store.shards.indices.compactMap { shard in
            guard let trouble = store.shards[shard].trouble, trouble != .full, trouble != .moving else { return nil }
            return StoreTrouble(.shard, "\(shard)", "\(trouble)")
        }
    }

    var admission: StoreError? {
        if store.filling.map({ served.contains($0.kind) }) == true { return .diskFull }
        return store.shards.contains { $0.trouble == .full } ? .memoryFull : nil
    }

    // MARK: Reading

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        if source != .store { return remembered.load(readSets, from: source, of: self, completion: completion) }
        var outcomes = [LoadOutcome?](repeating: nil, count: readSets.count)
        var pending = 0
        // By shard, as a call has keys of one shard only.
        for shard in store.shards.indices {
            let members = readSets.indices.filter { store.shard(of: readSets[$0].group) == shard }
            if members.isEmpty { continue }
            pending += 1
            ask(shard) { [self] in
                members.map { read(readSets[$0], shard) }
            } done: { result in
                for (place, member) in members.enumerated() { outcomes[member] = result.flatMap { $0[place] } }
                pending -= 1
                if pending == 0 { completion(outcomes.compactMap { $0 }) }
            }
        }
    }

    private func read(_ readSet: ReadSet, _ shard: Int) -> LoadOutcome {
        if isMoving(readSet.group, shard) {
            world.coverage[.shardRefused] += 1
            return .failure(.unreachable("TRYAGAIN"))
        }
        for member in [Member.head, readSet.member].compactMap({ $0 }) {
            let key = RecordKey(readSet.group, member)
            if store.unreadable.contains(key) {
                world.coverage[.unreadableMet] += 1
                return .failure(.unreadable("\(key.group): \(key.member)"))
            }
        }
        return .success(store.records.load(readSet))
    }

    /// Asks a shard for something that counts once its replica has all that was read.
    private func ask<Value>(
        _ shard: Int, _ read: @escaping () -> Value, done: @escaping (Result<Value, StoreError>) -> Void
    ) {
        let fail = { [self] (reason: String, delay: Int64) in
            world.scheduler.after(delay) { [self] in post { done(.failure(.unreachable(reason))) } }
        }
        if isHit(swarm.storeLossPercent, .storeUnreachable) {
            return fail("the simulated store", random.within(.milliseconds(100)...(.seconds(1))))
        }
        if store.shards[shard].trouble?.endsReads == true { world.coverage[.shardRefused] += 1 }
        switch store.shards[shard].trouble {
        case .away, .hung: return fail("no answer", random.within(.milliseconds(1)...(.milliseconds(1_500))))
        case .refusing: return fail("MISCONF", latency())
        case .replicaAway, .full, .moving, nil: break
        }
        world.scheduler.after(latency()) { [self] in
            let value = read()
            store.whenConfirmed(shard) { [self] isConfirmed in
                if !isConfirmed { return fail("not confirmed", latency()) }
                world.scheduler.after(latency()) { [self] in post { done(.success(value)) } }
            }
        }
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        let shard = partition % store.shards.count
        if isHit(swarm.storeLossPercent, .storeUnreachable) || store.shards[shard].trouble?.endsReads == true {
            world.scheduler.after(latency()) { [self] in post { completion(.failure(.unreachable("the simulated store"))) } }
            return
        }
        world.scheduler.after(latency()) { [self] in
            var page: [(key: RecordKey, record: Record)] = []
            store.records.scanOpenWork(kind, partition: partition, after: cursor) { page = (try? $0.get()) ?? [] }
            let readable = page.filter { !store.unreadable.contains($0.key) }
            world.scheduler.after(latency()) { [self] in
                // An empty page would be the end.
                if readable.isEmpty, let last = page.last {
                    return post { [self] in scanOpenWork(kind, partition: partition, after: last.key, completion: completion) }
                }
                post { completion(.success(readable)) }
            }
        }
    }

    /// Asks all shards; if one of them does not answer, there is no part.
    func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        if range.isOfLists, !store.isListed {
            return world.scheduler.after(latency()) { [self] in
                post { completion(.failure(.unreachable("the lists are not complete"))) }
            }
        }
        var found: [(bytes: [UInt8], entry: IndexEntry)] = []
        var failure: StoreError?
        var pending = store.shards.count
        for shard in store.shards.indices {
            ask(shard) { [self] in
                isAnyMoving(shard) ? .failure(.unreachable("TRYAGAIN")) : .success(store.first(of: range, in: shard, bound + 1))
            } done: { (result: Result<Result<[(bytes: [UInt8], entry: IndexEntry)], StoreError>, StoreError>) in
                switch result.flatMap({ $0 }) {
                case .success(let part): found += part
                case .failure(let error): if !range.isOfDues { failure = error }
                }
                pending -= 1
                if pending > 0 { return }
                if let failure { return completion(.failure(failure)) }
                found.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
                completion(.success(IndexPart(of: found.map(\.entry), atMost: bound)))
            }
        }
    }

    func time(of group: GroupKey, completion: @escaping (Result<Int64?, StoreError>) -> Void) {
        let shard = store.shard(of: group)
        ask(shard) { [self] in
            store.time(of: shard)
        } done: { (result: Result<Int64, StoreError>) in
            completion(result.map { $0 })
        }
    }

    /// What was read or committed is on the replica, or was not told.
    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        completion(failure.map { .failure($0) } ?? .success(()))
    }

    // MARK: Writing

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

    private func commit(_ change: GroupChange, as version: Version, _ completion: @escaping (CommitOutcome) -> Void) {
        let shard = store.shard(of: change.group)
        let tell = { [self] (outcome: CommitOutcome, delay: Int64) in
            world.scheduler.after(delay) { [self] in post { completion(outcome) } }
        }
        if let error = refusal(of: change, shard) {
            world.coverage[.shardRefused] += 1
            return tell(.refused(error), latency())
        }
        if isHit(swarm.storeLossPercent, .commitRefused) {
            return tell(.refused(.unreachable("the simulated store")), latency())
        }
        if store.shards[shard].trouble == .hung || isHit(swarm.storeUnknownPercent, .commitUnknown) {
            let heard = random.within(.milliseconds(50)...(.seconds(1)))
            tell(.unknown(version), heard)
            if random.happens(33) { return }
            let landing = random.happens(50) ? random.within(0...heard) : random.within(heard...(heard + .seconds(10)))
            return world.scheduler.after(landing) { [self] in
                // The epoch is compared by the script that commits.
                guard failure == nil else { return }
                let hasLanded = store.land(change, as: version)
                world.coverage[hasLanded ? .unknownLanded : .unknownFenced] += 1
                world.trace.note("store", "an unknown commit to \(change.group) \(hasLanded ? "lands" : "meets a conflict")")
            }
        }
        world.scheduler.after(latency()) { [self] in
            guard failure == nil else { return tell(.refused(.unreachable("EPOCH")), latency()) }
            guard store.land(change, as: version) else { return tell(.conflict, latency()) }
            store.whenConfirmed(shard) { [self] isConfirmed in tell(isConfirmed ? .committed : .unknown(version), latency()) }
        }
    }

    /// Why the shard refuses a change at once; nil if it does not.
    private func refusal(of change: GroupChange, _ shard: Int) -> StoreError? {
        switch store.shards[shard].trouble {
        case .away: .unreachable("no answer")
        case .refusing: .unreachable("MISCONF")
        // Some room is left for what has begun, and sometimes too little.
        case .full: random.happens(30) ? .memoryFull : nil
        case .moving: isMoving(change.group, shard) ? .unreachable("TRYAGAIN") : nil
        case .replicaAway, .hung, nil: nil
        }
    }

    /// Whether a group's slot is on its way now: slots move one after the other.
    private func isMoving(_ group: GroupKey, _ shard: Int) -> Bool {
        guard store.shards[shard].trouble == .moving else { return false }
        let slot = Partition.of(group.id) / store.shards.count % 8
        return slot == Int(world.scheduler.now / .milliseconds(300)) % 8
    }

    private func isAnyMoving(_ shard: Int) -> Bool {
        guard store.shards[shard].trouble == .moving else { return false }
        world.coverage[.shardRefused] += 1
        return true
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

extension SimulatedShard.Trouble {
    /// Whether nothing can be read while it lasts.
    fileprivate var endsReads: Bool {
        switch self {
        case .away, .hung, .refusing: true
        case .replicaAway, .full, .moving: false
        }
    }
}
