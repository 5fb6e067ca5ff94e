// The distributed store: records in Redis 7 or Valkey, standalone, replicated or Cluster, with any number of processes
// over it. RedisKeys names records, CommitScript writes them, RedisClient takes the commands to the servers.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// A store over Redis. Lives on its client's event loop.
///
/// A reply from Redis is durable: with `appendfsync always` Redis syncs before it replies, to whoever asked. With
/// replicas a read or a commit counts once enough of them have it (``ReplicaWait``): a read that is not confirmed
/// fails, a commit is *unknown*. So all that the process knows stays, whatever becomes of a master, and nothing has to
/// wait at the barrier.
public final class RedisStore: RecordStore {
    /// What a store is told when it is made.
    public struct Options: Sendable {
        /// The epoch of the store, see ``RedisEpoch``.
        public var epoch: StoreEpoch
        /// The secret from which ids are derived; nil in format 3.
        public var idSecret: [UInt8]?
        /// How many replicas masters have, and must confirm.
        public var replicas: ReplicaRule
        /// See `Limits.trailMilliseconds`.
        public var trailMilliseconds = Limits.trailMilliseconds

        public init(epoch: StoreEpoch, idSecret: [UInt8]? = nil, replicas: ReplicaRule = ReplicaRule()) {
            self.epoch = epoch
            self.idSecret = idSecret
            self.replicas = replicas
        }
    }

    private let client: RedisClient
    /// The epoch's copy of each partition.
    private let epochs: [[UInt8]]
    private let clock: any ShopClock
    /// Runs a completion in the shop's next turn.
    let post: (@escaping () -> Void) -> Void
    private let replicaWait: ReplicaWait
    private let commitSender: CommitSender
    private let trailMilliseconds: Int64
    private lazy var shards = makeShardWatch()
    /// What this process has read and written.
    private let remembered = GroupCache()
    private var unreadable = UnreadableRecords()
    /// Whether the lists were found to be complete: they stay so.
    private var isListed = false
    public let writer: UInt64
    private var commits: UInt64 = 0
    /// Why the store must not be used any more; nil while it may.
    public private(set) var failure: DurabilityError?
    /// Whether a command has met another epoch, or none.
    public private(set) var isForeign = false
    public let format: RecordFormat
    public let idSecret: [UInt8]?
    public let lanes: Int

    /// - Parameters:
    ///   - client: A client that has started, and whose masters have been examined.
    ///   - post: Runs a completion in the shop's next turn.
    public init(
        _ client: RedisClient, options: Options, clock: any ShopClock, random: any RandomSource,
        post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.client = client
        self.clock = clock
        self.post = post
        epochs = options.epoch.copies
        format = options.epoch.format
        trailMilliseconds = options.trailMilliseconds
        idSecret = options.idSecret
        // In a cluster a call is for one partition anyway.
        lanes = client.isCluster ? Partition.count : 1
        replicaWait = ReplicaWait(options.replicas)
        commitSender = CommitSender(client: client, epochs: epochs, replicaWait: replicaWait)
        writer = random.next() | 1
        // The masters that were examined are those of now.
        _ = shards
    }

    private func makeShardWatch() -> ShardWatch {
        ShardWatch(client, replicaWait, epochs: epochs) { [weak self] in
            self?.failIfForeign(.unreachable(RedisEpoch.foreign))
        }
    }

    /// To be called when a master was reached again (nil: when slots changed their masters). What this process knows
    /// stays true, but a server that was restarted may be set up differently.
    public func connectionsDidChange(_ master: RedisAddress?) {
        if let master { shards.didReconnect(master) } else { shards.topologyDidChange() }
    }

    /// Fails if the error is that the store is not the shop's any more: it must not be served from.
    private func failIfForeign(_ error: StoreError) {
        guard case .unreachable(let reason) = error, reason.hasPrefix(RedisEpoch.foreign) else { return }
        isForeign = true
        if failure == nil { failure = DurabilityError(reason: reason) }
    }

    // MARK: Turns and states

    public func tick(now: Int64, wall: Int64) {
        shards.tick(now: now)
        unreadable.tick(now: now)
    }

    public var admission: StoreError? { shards.isFull ? .memoryFull : nil }
    public var isUsable: Bool { shards.isUsable }
    public var troubles: [StoreTrouble] { shards.troubles + unreadable.troubles }

    /// Calls back at once: what was read or committed is durable, or was not told.
    public func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        completion(failure.map { .failure($0) } ?? .success(()))
    }

    // MARK: Writing

    /// Commits changes by one call of the commit script; in a cluster by one for each partition.
    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        let batches = PartitionBatch.batches(changes, isCluster: client.isCluster) { Partition.of($0.group.id) }
        let versions = changes.map { _ in nextVersion() }
        var outcomes = [CommitOutcome](repeating: .conflict, count: changes.count)
        var pending = batches.count
        let now = clock.wallMilliseconds
        let finish = { [self] (batch: PartitionBatch, outcome: (Int, Version) -> CommitOutcome) in
            for (place, member) in batch.members.enumerated() {
                let index = member.index
                outcomes[index] = outcome(place, versions[index])
                remember(changes[index], versions[index], outcomes[index])
            }
            pending -= 1
            if pending == 0 { post { [outcomes] in completion(outcomes) } }
        }
        for batch in batches {
            if let refusal = shards.refusal(of: batch.partition) {
                finish(batch) { _, _ in .refused(refusal) }
                continue
            }
            var call = CommitCall(format, trailMilliseconds: trailMilliseconds)
            for member in batch.members {
                call.add(changes[member.index], member.partition, versions[member.index], now: now)
            }
            commitSender.send(call, to: batch.partition) { [self] reply in
                if let error = reply.error { failIfForeign(error) }
                if let trouble = reply.unconfirmed { shards.didNotConfirm(batch.partition, trouble) }
                let isTrusted = shards.isTrusted(batch.partition)
                finish(batch) { place, version in
                    let outcome = reply.outcome(of: place, version)
                    return outcome == .committed && !isTrusted ? .unknown(version) : outcome
                }
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

    // MARK: Reading

    /// Gives what is remembered, and loads the rest. What is remembered costs no round trip, and most steps of a
    /// checkout are on what the step before wrote.
    public func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        switch source {
        case .memory, .throughMemory: remembered.load(readSets, from: source, of: self, completion: completion)
        case .store: loadNewest(readSets, completion: completion)
        }
    }

    /// Loads groups by one `MGET`; in a cluster by one for each partition.
    private func loadNewest(_ readSets: [ReadSet], completion: @escaping ([LoadOutcome]) -> Void) {
        let batches = PartitionBatch.batches(readSets, isCluster: client.isCluster) { Partition.of($0.group.id) }
        var loaded = [LoadOutcome?](repeating: nil, count: readSets.count)
        var pending = batches.count
        for batch in batches {
            let plan = LoadPlan(batch.members.map { (readSets[$0.index], $0.partition) }, epoch: batch.partition)
            read(plan.command, from: batch.partition, isConfirmed: true) { [self] result in
                do throws(StoreError) {
                    let outcomes = try plan.outcomes(in: result.get(), epoch: epochs[batch.partition])
                    for (member, outcome) in zip(batch.members, outcomes) {
                        if case .failure(let error) = outcome { note(error) }
                        loaded[member.index] = outcome
                    }
                } catch {
                    failIfForeign(error)
                    for member in batch.members { loaded[member.index] = .failure(error) }
                }
                pending -= 1
                if pending == 0 { post { [loaded] in completion(loaded.compactMap { $0 }) } }
            }
        }
    }

    /// Reads one page of a partition's index of open work, and the records in it. Records that cannot be read are left
    /// out, and noted. A page is not confirmed by replicas: whoever acts on it reads anew first.
    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        let from = cursor.map { "(" + RedisKeys.member($0.member, ofHead: RedisKeys.head($0.group, partition)) } ?? "-"
        let page = RedisCommand(
            "ZRANGEBYLEX", RedisKeys.open(kind, partition), from, "+", "LIMIT", "0", "\(RedisStoreLimits.scanPage)")
        read(page, from: partition) { [self] result in
            do throws(StoreError) {
                let names = try result.get().first?.elements?.compactMap(\.string) ?? []
                let keys = names.compactMap { RedisKeys.record($0) }
                guard let last = keys.last else { return post { completion(.success([])) } }
                read(RedisCommand("MGET", arguments: names), from: partition) { [self] result in
                    let found = Result { () throws(StoreError) in try openWork(names, result.get()) }
                    // An empty page would be the end.
                    if case .success(let records) = found, records.isEmpty {
                        return scanOpenWork(kind, partition: partition, after: last, completion: completion)
                    }
                    post { completion(found) }
                }
            } catch {
                post { completion(.failure(error)) }
            }
        }
    }

    /// The records of a page, without those that were removed between the two reads.
    private func openWork(
        _ names: [String], _ replies: [RESPValue]
    ) throws(StoreError) -> [(key: RecordKey, record: Record)] {
        guard let values = replies.first?.elements, values.count == names.count else { throw Self.unreadable("MGET") }
        var found: [(key: RecordKey, record: Record)] = []
        for (name, value) in zip(names, values) {
            guard let bytes = value.octets else { continue }
            do throws(StoreError) {
                guard let key = RedisKeys.record(name) else { throw .unreadable("\(name): no name of a record") }
                found.append((key, try RecordBytes.record(bytes[...], name)))
            } catch { note(error) }
        }
        return found
    }

    /// Tells why the lists cannot be read; nil: they can.
    func checkLists(completion: @escaping (StoreError?) -> Void) {
        if isListed { return completion(nil) }
        if format < .four { return completion(.unreachable("there are no lists before kontor upgrade --finish")) }
        read(RedisCommand("GET", RedisKeys.listed), from: 0, isConfirmed: true) { [self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success(let replies):
                isListed = replies.first?.octets != nil
                completion(isListed ? nil : .unreachable("the lists are not complete: kontor upgrade --finish makes them"))
            }
        }
    }

    func note(_ error: StoreError) {
        if case .unreadable(let text) = error { unreadable.note(text) }
    }

    /// - Parameter isConfirmed: Whether the replicas must have what is read.
    func read(
        _ command: RedisCommand, from partition: Int, isConfirmed: Bool = false,
        completion: @escaping (Result<[RESPValue], StoreError>) -> Void
    ) {
        if let refusal = shards.refusal(of: partition) { return completion(.failure(refusal)) }
        client.send(
            [command], then: isConfirmed ? replicaWait.command : nil, slot: RedisKeys.slots[partition], lane: .reads,
            deadline: RedisStoreLimits.callDeadline
        ) { [self] result in
            completion(
                Result { () throws(StoreError) in
                    let replies = try Self.replies(result)
                    if isConfirmed, let trouble = replicaWait.trouble(in: replies) {
                        shards.didNotConfirm(partition, trouble)
                        throw .unreachable(trouble)
                    }
                    if !shards.isTrusted(partition) { throw shards.refusal(of: partition) ?? .unreachable("a master") }
                    return replies
                })
        }
    }

    private static func replies(_ result: Result<[RESPValue], RedisClientError>) throws(StoreError) -> [RESPValue] {
        switch result {
        case .success(let replies):
            if let error = replies.lazy.compactMap(\.errorText).first { throw .unreachable(error) }
            return replies
        case .failure(let error): throw .unreachable(error.reason)
        }
    }

    /// The error that a reply is not what the command should give.
    static func unreadable(_ what: String) -> StoreError { .unreachable("\(what): what Redis replied cannot be read") }
}

/// The records that were met and could not be read, for operators.
struct UnreadableRecords {
    /// When each was met last, by what is wrong with it.
    private var seen: [String: Int64] = [:]
    private var now: Int64 = 0

    mutating func note(_ text: String) {
        guard seen[text] != nil || seen.count < RedisStoreLimits.namedRecords else { return }
        seen[text] = now
    }

    /// Forgets those that were not met for long: they may be mended.
    mutating func tick(now: Int64) {
        self.now = now
        if !seen.isEmpty { seen = seen.filter { now - $0.value < RedisStoreLimits.unreadableMilliseconds } }
    }

    var troubles: [StoreTrouble] {
        seen.keys.sorted().map { text in
            StoreTrouble(.record, String(text.prefix { $0 != " " }), text)
        }
    }
}
