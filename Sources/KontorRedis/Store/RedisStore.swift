// The distributed store: records in Redis 7 or Valkey, standalone, replicated or Cluster, with any number of processes
// over it. RedisKeys names records, CommitScript writes them, RedisClient takes the commands to the servers.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// A store over Redis. Lives on its client's event loop.
///
/// A reply from Redis is durable: with `appendfsync always` Redis syncs before it replies, to whoever asked. With
/// replicas a commit counts once all of them have it (`WAIT`, on the connection of the commit); with fewer it is
/// *unknown*. What was only read leaves the process behind the replication barrier, see ``barrier(_:)``.
public final class RedisStore: RecordStore {
    /// What a store is told when it is made.
    public struct Options: Sendable {
        /// The epoch of the shop, see ``RedisEpoch``.
        public var epoch: [UInt8]
        /// How many replicas of each master must have a commit before it counts.
        public var replicas: Int

        /// - Parameters:
        ///   - epoch: See ``epoch``.
        ///   - replicas: See ``replicas``.
        public init(epoch: [UInt8], replicas: Int = 0) {
            self.epoch = epoch
            self.replicas = replicas
        }
    }

    private let client: RedisClient
    private let epoch: [UInt8]
    private let clock: any ShopClock
    /// Runs a completion in the shop's next turn.
    private let post: (@escaping () -> Void) -> Void
    private let hasReplicas: Bool
    private let commitSender: CommitSender
    private let replicationBarrier: ReplicationBarrier
    /// What this process has read and written.
    private let remembered = GroupCache()
    public let writer: UInt64
    private var commits: UInt64 = 0
    /// When the servers' memory is looked at again, on the clock of ``tick(now:wall:)``.
    private var nextLook: Int64 = .min
    /// Why the store must not be used any more; nil while it may.
    public private(set) var failure: DurabilityError?
    /// Whether a command has met another shop's epoch, or none.
    public private(set) var isForeign = false
    /// Why nothing new may begin; nil while it may.
    public private(set) var admission: StoreError?

    /// - Parameters:
    ///   - client: A client that has started.
    ///   - post: Runs a completion in the shop's next turn.
    public init(
        _ client: RedisClient, options: Options, clock: any ShopClock, random: any RandomSource,
        post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.client = client
        self.clock = clock
        self.post = post
        epoch = options.epoch
        hasReplicas = options.replicas > 0
        let replicaWait = ReplicaWait(replicas: options.replicas)
        commitSender = CommitSender(client: client, epoch: epoch, replicaWait: replicaWait)
        replicationBarrier = ReplicationBarrier(client, replicaWait)
        writer = random.next() | 1
    }

    /// To be called when a master was reached again, or slots changed their masters.
    ///
    /// Without replicas all that Redis replied is durable; what this process remembers may be outdated, but commits
    /// find that out. With replicas the master may have lost what it replied before, and the shop may have built on
    /// that. So the store fails, and the shop must begin anew.
    public func connectionsDidChange() {
        remembered.forgetAll()
        guard hasReplicas else { return }
        fail("the connection to a master, or the master itself, has changed")
    }

    private func fail(_ reason: String) {
        if failure == nil { failure = DurabilityError(reason: reason) }
        replicationBarrier.cancel()
    }

    /// Fails if the error is that the store is not the shop's any more: it must not be served from.
    private func failIfForeign(_ error: StoreError) {
        guard case .unreachable(let reason) = error, reason.hasPrefix(RedisEpoch.foreign) else { return }
        isForeign = true
        fail(reason)
    }

    // MARK: Turns

    /// Looks at the servers' memory from time to time.
    public func tick(now: Int64, wall: Int64) {
        guard now >= nextLook else { return }
        nextLook = now + RedisStoreLimits.memoryLookMilliseconds
        lookAtMemory()
    }

    /// Admits nothing new when memory becomes scarce. Redis refuses whatever needs more than `maxmemory`, and work that
    /// has begun needs some to end.
    private func lookAtMemory() {
        client.sendToAllMasters([RedisCommand("INFO", "memory")], deadline: RedisStoreLimits.callDeadline) {
            [self] answers in
            let isFull = answers.contains { _, result in
                guard case .success(let replies) = result, let info = replies.first?.string else { return false }
                let most = RedisInfo.number("maxmemory", in: info) ?? 0
                let used = RedisInfo.number("used_memory", in: info) ?? 0
                return most > 0 && used > most / 100 * RedisStoreLimits.usedMemoryPercent
            }
            admission = isFull ? .diskFull : nil
        }
    }

    // MARK: Writing

    /// Commits changes by one call of the commit script; in a cluster by one for each partition.
    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        let batches = PartitionBatch.batches(changes, isCluster: client.isCluster) { Partition.of($0.group.id) }
        let versions = changes.map { _ in nextVersion() }
        var outcomes = [CommitOutcome](repeating: .conflict, count: changes.count)
        var pending = batches.count
        let now = clock.wallMilliseconds
        for batch in batches {
            var call = CommitCall()
            for member in batch.members {
                call.add(changes[member.index], member.partition, versions[member.index], now: now)
            }
            commitSender.send(call, to: batch.partition) { [self] reply in
                if let error = reply.error { failIfForeign(error) }
                for (place, member) in batch.members.enumerated() {
                    let index = member.index
                    outcomes[index] = reply.outcome(of: place, versions[index])
                    remember(changes[index], versions[index], outcomes[index])
                }
                pending -= 1
                if pending == 0 { post { [outcomes] in completion(outcomes) } }
            }
        }
    }

    private func nextVersion() -> Version {
        commits += 1
        return Version(writer: writer, counter: commits)
    }

    private func remember(_ change: GroupChange, _ version: Version, _ outcome: CommitOutcome) {
        if outcome == .committed { remembered.committed(change, as: version) } else { remembered.forget(change.group) }
    }

    /// Waits until the replicas have all that was read so far, see ``ReplicationBarrier``. Without replicas there is
    /// nothing to wait for.
    public func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        if let failure { return completion(.failure(failure)) }
        let isWaiting = replicationBarrier.waitForReplicas { [self] in
            post { [self] in completion(failure.map { .failure($0) } ?? .success(())) }
        }
        if !isWaiting { completion(.success(())) }
    }

    // MARK: Reading

    /// Gives what is remembered, and loads the rest. What is remembered costs no round trip, and most steps of a
    /// checkout are on what the step before wrote.
    public func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void
    ) {
        switch source {
        case .memory, .throughMemory: remembered.load(readSets, from: source, of: self, completion: completion)
        case .store: loadNewest(readSets, completion: completion)
        }
    }

    /// Loads groups by one `MGET`; in a cluster by one for each partition.
    private func loadNewest(
        _ readSets: [ReadSet], completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void
    ) {
        let batches = PartitionBatch.batches(readSets, isCluster: client.isCluster) { Partition.of($0.group.id) }
        var loaded = [LoadedGroup?](repeating: nil, count: readSets.count)
        var loadError: StoreError?
        var pending = batches.count
        for batch in batches {
            let plan = LoadPlan(batch.members.map { (readSets[$0.index], $0.partition) }, epoch: batch.partition)
            read(plan.command, from: batch.partition) { [self] result in
                do throws(StoreError) {
                    let groups = try plan.groups(in: RedisStore.replies(result), epoch: epoch)
                    for (member, group) in zip(batch.members, groups) { loaded[member.index] = group }
                } catch {
                    failIfForeign(error)
                    loadError = error
                }
                replicationBarrier.didRead(batch.members.lazy.map(\.partition))
                pending -= 1
                guard pending == 0 else { return }
                let outcome: Result<[LoadedGroup], StoreError> =
                    loadError.map { .failure($0) } ?? .success(loaded.compactMap { $0 })
                post { completion(outcome) }
            }
        }
    }

    /// Reads one page of a partition's index of open work, and the records in it.
    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        let from = cursor.map { "(" + RedisKeys.member($0.member, ofHead: RedisKeys.head($0.group, partition)) } ?? "-"
        let page = RedisCommand(
            "ZRANGEBYLEX", RedisKeys.open(kind, partition), from, "+", "LIMIT", "0", "\(RedisStoreLimits.scanPage)")
        read(page, from: partition) { [self] result in
            do throws(StoreError) {
                let names = try RedisStore.replies(result).first?.elements?.compactMap(\.string) ?? []
                if names.isEmpty { return post { completion(.success([])) } }
                read(RedisCommand("MGET", arguments: names), from: partition) { [self] result in
                    replicationBarrier.didRead([partition])
                    let found = Result { () throws(StoreError) in
                        try RedisStore.openWork(names, RedisStore.replies(result))
                    }
                    post { completion(found) }
                }
            } catch {
                post { completion(.failure(error)) }
            }
        }
    }

    /// The records of a page, without those that were removed between the two reads. If those were all of a page, the
    /// scan would end too early; the next scan finds the rest.
    private static func openWork(
        _ names: [String], _ replies: [RESPValue]
    ) throws(StoreError) -> [(key: RecordKey, record: Record)] {
        guard let values = replies.first?.elements, values.count == names.count else { throw unreadable("MGET") }
        var found: [(key: RecordKey, record: Record)] = []
        for (name, value) in zip(names, values) {
            guard let key = RedisKeys.record(name) else { throw unreadable(name) }
            if let bytes = value.octets { found.append((key, try RecordBytes.record(bytes[...], name))) }
        }
        return found
    }

    private func read(
        _ command: RedisCommand, from partition: Int,
        completion: @escaping (Result<[RESPValue], RedisClientError>) -> Void
    ) {
        client.send(
            [command], slot: RedisKeys.slots[partition], lane: .reads, deadline: RedisStoreLimits.callDeadline,
            completion: completion)
    }

    private static func replies(_ result: Result<[RESPValue], RedisClientError>) throws(StoreError) -> [RESPValue] {
        switch result {
        case .success(let replies):
            if let error = replies.lazy.compactMap(\.errorText).first { throw .unreachable(error) }
            return replies
        case .failure(let error): throw .unreachable("\(error)")
        }
    }

    /// The error that a reply is not what the command should give.
    static func unreadable(_ what: String) -> StoreError { .unreachable("\(what): what Redis replied cannot be read") }
}
