// One store for several processes: on other machines, over a network, in shards that fail one by one, each with a
// replica that may have to take its place.

import KontorCore
import KontorService

/// The store itself: the commits that have landed, in their order.
final class SharedStore {
    private struct Entry {
        let change: GroupChange
        let version: Version
        let shard: Int
        let position: Int
    }

    private let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    private(set) var records = MemoryStore()
    private var log: [Entry] = []
    /// The position of the latest commit.
    private var lastPosition = 0
    private(set) var shards: [SimulatedShard]
    /// The records that cannot be read now.
    private(set) var unreadable: Set<RecordKey> = []
    /// The format that records are written in.
    private(set) var format: RecordFormat
    /// Whether the lists are complete.
    private(set) var isListed: Bool
    /// What was listed when the format was raised.
    private var listedLater: [RecordKey] = []
    private(set) var amounts: [GroupKey: Amounts] = [:]
    let sagas: SagaWatch
    /// The number of processes that have begun; it is the last one's writer number.
    private(set) var writers: UInt64 = 0

    /// The kind of groups whose store fills up, and how many more locks it has room for; nil: all have room. Such a
    /// store takes no new work, and its last room is for what has begun.
    var filling: (kind: GroupKey.Kind, room: Int)?

    private func takeRoom(for change: GroupChange) {
        guard let filling, filling.kind == change.group.kind else { return }
        change.draft.forEachChange { member, record in
            guard case .hold = member, case .hold(let hold)? = record, hold.state == .held else { return }
            self.filling?.room -= 1
            if self.filling?.room == 0 { world.violation("the room for what has begun was not enough on \(change.group)") }
        }
    }

    init(_ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom) {
        self.world = world
        self.swarm = swarm
        self.random = random
        shards = (0..<swarm.storeShards).map { _ in SimulatedShard() }
        format = swarm.upgradeAfter == nil ? .newest : .three
        isListed = swarm.upgradeAfter == nil
        sagas = SagaWatch(world, takesLateCopies: swarm.hasWildClocks)
        for shard in shards.indices { setClock(of: shard) }
        sagas.latestTime = { [unowned self] in shards[shard(of: $0)].latestTime }
    }

    func nextWriter() -> UInt64 {
        writers += 1
        return writers
    }

    /// Gives a shard the clock of another server, which differs from the others as far as it may.
    private func setClock(of shard: Int) {
        let most = Limits.clockSkewMilliseconds / 2
        shards[shard].wallOffset = random.happens(50) ? 0 : random.within(-most...most)
    }

    /// The time by a shard's clock, milliseconds since 1970.
    func time(of shard: Int) -> Int64 { shards[shard].time(SimulatedClock.epoch + world.scheduler.now / 1_000) }

    func shard(of group: GroupKey) -> Int { Partition.of(group.id) % shards.count }

    // MARK: Writing

    /// Writes a group if it still has the version that was expected.
    func land(_ change: GroupChange, as version: Version) -> Bool {
        let change = change.stored(in: format)
        let isEmptyRollback = isEmptyRollback(change)
        guard records.commit(change, as: version) else {
            world.coverage[.storeConflict] += 1
            sagas.conflicted(change, by: version.writer)
            return false
        }
        takeRoom(for: change)
        if isEmptyRollback { world.coverage[.emptyRollback] += 1 }
        lastPosition += 1
        let position = lastPosition
        let shard = shard(of: change.group)
        log.append(Entry(change: change, version: version, shard: shard, position: position))
        shards[shard].landed = position
        sagas.committed(change, by: version.writer)
        change.draft.forEachChange { member, record in
            world.trace.note("store", "\(change.group) \(member.text): \(StoreWatch.text(record))")
            unreadable.remove(RecordKey(change.group, member))
            if member == .head { amounts.remember(record, change.group, at: world.scheduler.now, commit: position) }
        }
        if shards[shard].trouble != .replicaAway { sendToReplica(shard, position) }
        if shards[shard].diesAtCommit {
            shards[shard].diesAtCommit = false
            world.scheduler.after(random.within(0...200)) { [self] in if world.isFaulty { failOver(shard) } }
        }
        return true
    }

    private func sendToReplica(_ shard: Int, _ position: Int) {
        let failovers = shards[shard].failovers
        world.scheduler.after(random.happens(2) ? random.within(.milliseconds(10)...(.seconds(1))) : random.within(50...2_000))
        {
            [self] in if failovers == shards[shard].failovers { shards[shard].replicate(through: position) }
        }
    }

    /// Whether the change is a release of a hold that was never there: the hold was refused, or is still on its way.
    private func isEmptyRollback(_ change: GroupChange) -> Bool {
        var isEmpty = false
        change.draft.forEachChange { member, record in
            guard case .hold = member, case .hold(let hold)? = record, hold.state == .released else { return }
            isEmpty = records.load(ReadSet(change.group, member)).member == nil
        }
        return isEmpty
    }

    /// The first records of a range of an index that a shard has, with their keys.
    func first(of range: IndexRange, in shard: Int, _ bound: Int) -> [(bytes: [UInt8], entry: IndexEntry)] {
        Array(records.entries(of: range) { self.shard(of: $0) == shard }.prefix(bound))
    }

    func expire(now: Int64) { world.coverage[.markerExpired] += records.removeRemovable(now: now) }

    // MARK: Confirmation

    /// Tells whether the shard's replica has all that has landed there so far: once it has, or with false when it never
    /// will, or when that takes too long.
    func whenConfirmed(_ shard: Int, _ tell: @escaping (Bool) -> Void) {
        let position = shards[shard].landed
        if shards[shard].replicated >= position { return tell(true) }
        let number = shards[shard].wait(position, tell)
        world.scheduler.after(.milliseconds(500)) { [self] in
            guard shards[shard].giveUp(number) else { return }
            world.coverage[.unconfirmed] += 1
        }
    }

    /// Drops those who wait: the world is over, and they would keep it in memory.
    func end() { for shard in shards.indices { shards[shard].forgetWaiters() } }

    // MARK: Faults

    /// Kills a shard's master; its replica takes its place, without what had not arrived there.
    func failOver(_ shard: Int) {
        let replicated = shards[shard].replicated
        let kept = log.filter { $0.shard != shard || $0.position <= replicated }
        let lost = log.count - kept.count
        world.coverage[.storeFailedOver] += 1
        if lost > 0 { world.coverage[.commitsLostInFailover] += 1 }
        world.trace.note("store", "shard \(shard) fails over, and loses \(lost) commits")
        log = kept
        records = MemoryStore()
        // Versions are not compared: what the store removed by itself is not in the log, and would conflict with later
        // entries.
        for entry in log { records.apply(entry.change, as: entry.version) }
        for key in listedLater { records.list(key) }
        for group in amounts.keys where self.shard(of: group) == shard {
            amounts[group]?.remove(commitsFrom: replicated + 1)
        }
        sagas.crash()
        records.forEach(sagas.note)
        unreadable = unreadable.filter { self.shard(of: $0.group) != shard }
        shards[shard].failOver()
        setClock(of: shard)
    }

    /// Kills a shard's master at its next commit.
    func failOverAtCommit(_ shard: Int) { shards[shard].diesAtCommit = true }

    /// Puts a shard into trouble, or ends it.
    func set(_ trouble: SimulatedShard.Trouble?, of shard: Int) {
        if let trouble { world.coverage[trouble.branch] += 1 }
        world.trace.note("store", "shard \(shard): \(trouble.map { "\($0)" } ?? "is well")")
        let ended = shards[shard].trouble
        shards[shard].trouble = trouble
        if ended == .replicaAway { sendToReplica(shard, shards[shard].landed) }
    }

    /// Makes some records unreadable, or all readable.
    func damage(_ isDamaged: Bool) {
        unreadable = []
        guard isDamaged else { return }
        records.forEach { key, _ in if random.happens(10) { unreadable.insert(key) } }
        if !unreadable.isEmpty { world.coverage[.recordsUnreadable] += 1 }
    }

    /// Raises the format: what was written before stays as it is.
    func upgrade() {
        guard format != .newest else { return }
        world.coverage[.storeUpgraded] += 1
        world.trace.note("store", "is upgraded")
        format = .newest
        world.scheduler.after(random.within(.milliseconds(1)...(.seconds(2)))) { [weak self] in self?.completeLists() }
    }

    /// Lists what was written before the format was raised.
    private func completeLists() {
        records.forEach { key, record in
            guard key.member == .head, let entry = record.listEntry else { return }
            listedLater.append(RecordKey(key.group, .listed(entry)))
        }
        for key in listedLater { records.list(key) }
        isListed = true
        world.coverage[.listsCompleted] += 1
    }
}

extension GroupChange {
    /// The change as a store in this format gives it back.
    fileprivate func stored(in format: RecordFormat) -> GroupChange {
        var stored = GroupDraft(draft.key, now: draft.now)
        draft.forEachChange { member, record in
            if case .listed = member, format < .four { return }
            guard let record else { return stored[member] = nil }
            var writer = ByteWriter()
            record.encode(into: &writer, in: format)
            guard let decoded = try? Record(decoding: writer.bytes[...]) else {
                preconditionFailure("A record cannot be read in the format that it was written in.")
            }
            stored[member] = decoded
        }
        return GroupChange(expected: expected, draft: stored, absent: absent)
    }
}
