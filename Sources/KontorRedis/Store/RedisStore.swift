// The distributed store: records in Redis 7 or Valkey, standalone, replicated or Cluster, with any number of processes over it.
// How records are named is RedisKeys' business, how they are written CommitScript's, and how they get there RedisClient's.

import KontorCore
import KontorService
import NIOCore

/// Lives on its event loop. A reply from Redis is durable: with `appendfsync always` Redis syncs before it replies, to whoever asked.
/// With `replicas` a commit counts once all of them have it (`WAIT`, on the connection of the commit), fewer mean *unknown*; and what
/// was only read leaves the process behind a write of our own that they all have, see ``barrier(_:)``.
public final class RedisStore: TurnedStore {
    public struct Options: Sendable {
        /// Of each master, that must have a commit.
        public var replicas = 0
        public init() {}
    }

    let client: RedisClient
    let options: Options
    let epoch: [UInt8]
    let clock: any ShopClock
    /// Hands a completion to the shop's next turn.
    let post: (@escaping () -> Void) -> Void
    private let writer: UInt64
    private var commits: UInt64 = 0
    /// Partitions from whose masters something was read since the last barrier. Only with replicas.
    var readPartitions: Set<Int> = []
    /// Fences on their way, by number, and who waits for those up to a number.
    var fences: Set<Int> = []
    var fenceNumber = 0
    var fenceWaiters: [(through: Int, tell: () -> Void)] = []
    /// Of what this process read and wrote: see ``recall(_:fresh:completion:)``.
    let remembered = RememberedGroups()
    private var nextLook: Int64 = .min
    public internal(set) var failure: DurabilityFailure?
    /// It has met another shop's epoch, or none.
    public private(set) var isForeign = false
    public internal(set) var admission: StoreTrouble?

    /// - Parameters:
    ///   - client: started.
    ///   - epoch: of the shop; see ``RedisEpoch``.
    ///   - post: runs a completion in the shop's next turn.
    public init(
        _ client: RedisClient, epoch: [UInt8], options: Options, clock: any ShopClock, random: any RandomSource,
        post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.client = client
        self.epoch = epoch
        self.options = options
        self.clock = clock
        self.post = post
        writer = random.next() | 1
    }

    /// Without replicas all that Redis told is durable, and what is remembered of it is put to the test by commits. With them, a master that was reached
    /// anew may have lost what it told before, and the shop may have built on that: it must begin anew.
    public func connectionsDidChange() {
        remembered.forgetAll()
        guard options.replicas > 0 else { return }
        fail("the connection to a master, or the master itself, has changed")
    }

    func fail(_ reason: String) {
        if failure == nil { failure = DurabilityFailure(reason: reason) }
    }

    func nextVersion() -> Version {
        commits += 1
        return Version(writer: writer, counter: commits)
    }

    var deadline: NIODeadline { .now() + .milliseconds(RedisStoreLimits.patienceMilliseconds) }

    // MARK: Turns

    public var unsyncedRecords: Int { 0 }
    /// What is kept is bounded by memory: see ``admission``.
    public var expiringRecords: Int { 0 }
    public func flush() {}

    public func tick(now: Int64, wall: Int64) {
        guard now >= nextLook else { return }
        nextLook = now + RedisStoreLimits.memoryLookMilliseconds
        lookAtMemory()
    }

    /// Room is kept for what has begun: Redis refuses whatever would need more memory than it may have.
    private func lookAtMemory() {
        client.sendToAllMasters([RedisCommand("INFO", "memory")], deadline: deadline) { [self] answers in
            let isFull = answers.contains { _, result in
                guard case .success(let replies) = result, let info = replies.first?.string else { return false }
                let most = RedisInfo.number("maxmemory", in: info) ?? 0
                let used = RedisInfo.number("used_memory", in: info) ?? 0
                return most > 0 && used > most / 100 * RedisStoreLimits.usedMemoryPercent
            }
            admission = isFull ? .diskFull : nil
        }
    }

    // MARK: Reading

    /// What is remembered costs no round trip, and most of a checkout's steps are on what the step before wrote.
    public func recall(
        _ touches: [Touch], fresh: Bool, completion: @escaping (Result<[LoadedGroup], StoreTrouble>) -> Void
    ) {
        remembered.recall(touches, fresh: fresh, from: self, completion: completion)
    }

    public func load(_ touches: [Touch], completion: @escaping (Result<[LoadedGroup], StoreTrouble>) -> Void) {
        let batches = batches(touches) { Partition.of($0.group.id) }
        var loaded = [LoadedGroup?](repeating: nil, count: touches.count)
        var trouble: StoreTrouble?
        var pending = batches.count
        for batch in batches {
            let plan = LoadPlan(batch.members.map { (touches[$0.index], $0.partition) }, epoch: batch.partition)
            client.send([plan.command], slot: RedisKeys.slots[batch.partition], lane: .reads, deadline: deadline) {
                [self] result in
                do throws(StoreTrouble) {
                    let groups = try plan.groups(in: replies(result), epoch: epoch)
                    for (member, group) in zip(batch.members, groups) { loaded[member.index] = group }
                } catch {
                    noteIfForeign(error)
                    trouble = error
                }
                note(read: batch.members.lazy.map(\.partition))
                pending -= 1
                guard pending == 0 else { return }
                let outcome: Result<[LoadedGroup], StoreTrouble> =
                    trouble.map { .failure($0) } ?? .success(loaded.compactMap { $0 })
                post { completion(outcome) }
            }
        }
    }

    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreTrouble>) -> Void
    ) {
        let from = cursor.map { "(" + RedisKeys.member($0.member, ofHead: RedisKeys.head($0.group, partition)) } ?? "-"
        let page = RedisCommand(
            "ZRANGEBYLEX", RedisKeys.open(kind, partition), from, "+", "LIMIT", "0", "\(RedisStoreLimits.scanPage)")
        let slot = RedisKeys.slots[partition]
        client.send([page], slot: slot, lane: .reads, deadline: deadline) { [self] result in
            do throws(StoreTrouble) {
                let names = try replies(result).first?.elements?.compactMap(\.string) ?? []
                if names.isEmpty { return post { completion(.success([])) } }
                client.send(
                    [RedisCommand("MGET", arguments: names)], slot: slot, lane: .reads, deadline: deadline
                ) { [self] result in
                    note(read: [partition])
                    let found = Result { () throws(StoreTrouble) in try open(names, replies(result)) }
                    post { completion(found) }
                }
            } catch {
                post { completion(.failure(error)) }
            }
        }
    }

    /// An index may name what is gone since; but a page must not be empty before the end.
    private func open(
        _ names: [String], _ replies: [RESPValue]
    ) throws(StoreTrouble) -> [(key: RecordKey, record: Record)] {
        guard let values = replies.first?.elements, values.count == names.count else { throw Self.unreadable("MGET") }
        var found: [(key: RecordKey, record: Record)] = []
        for (name, value) in zip(names, values) {
            guard let key = RedisKeys.record(name) else { throw Self.unreadable(name) }
            if let bytes = value.octets { found.append((key, try RecordBytes.record(bytes[...], name))) }
        }
        return found
    }

    // MARK: Calls

    struct Batch {
        let partition: Int
        var members: [(index: Int, partition: Int)]
    }

    /// What one call may have: in a cluster one slot's, else everything.
    func batches<Element>(_ elements: [Element], _ partition: (Element) -> Int) -> [Batch] {
        let members = elements.enumerated().map { (index: $0, partition: partition($1)) }
        guard let first = members.first else { return [] }
        if !client.isCluster { return [Batch(partition: first.partition, members: members)] }
        var batches: [Batch] = []
        var places: [Int: Int] = [:]
        for member in members {
            if let place = places[member.partition] {
                batches[place].members.append(member)
            } else {
                places[member.partition] = batches.count
                batches.append(Batch(partition: member.partition, members: [member]))
            }
        }
        return batches
    }

    func replies(_ result: Result<[RESPValue], RedisFailure>) throws(StoreTrouble) -> [RESPValue] {
        switch result {
        case .success(let replies):
            if let error = replies.lazy.compactMap(\.errorText).first { throw .unreachable(error) }
            return replies
        case .failure(let failure): throw .unreachable("\(failure)")
        }
    }

    static func unreadable(_ what: String) -> StoreTrouble { .unreachable("\(what): what Redis replied cannot be read") }

    /// A store that is not ours any more must not be served from.
    func noteIfForeign(_ trouble: StoreTrouble) {
        guard case .unreachable(let reason) = trouble, reason.hasPrefix(RedisEpoch.foreign) else { return }
        isForeign = true
        fail(reason)
    }
}
