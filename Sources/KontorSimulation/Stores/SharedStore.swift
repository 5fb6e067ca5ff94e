// One store for several processes: on another machine, over a network, and with a replica that may have to take its
// place.

import KontorCore
import KontorService

/// The store itself: the commits that have landed, in their order.
final class SharedStore {
    private struct Entry {
        let change: GroupChange
        let version: Version
    }

    private let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    private(set) var records = MemoryStore()
    private var log: [Entry] = []
    /// The number of the log's entries that are on the replica.
    private var replicated = 0
    /// Rises with each failover: a process that has seen what the failover lost must not go on.
    private(set) var epoch = 0
    private var waiting: [(position: Int, tell: (Bool) -> Void)] = []
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
        sagas = SagaWatch(world, takesLateCopies: swarm.hasWildClocks)
    }

    func nextWriter() -> UInt64 {
        writers += 1
        return writers
    }

    /// Writes a group if it still has the version that was expected.
    func land(_ change: GroupChange, as version: Version) -> Bool {
        let isEmptyRollback = isEmptyRollback(change)
        guard records.commit(change, as: version) else {
            world.coverage[.storeConflict] += 1
            sagas.conflicted(change, by: version.writer)
            return false
        }
        takeRoom(for: change)
        if isEmptyRollback { world.coverage[.emptyRollback] += 1 }
        log.append(Entry(change: change, version: version))
        let position = log.count
        sagas.committed(change, by: version.writer)
        change.draft.forEachChange { member, record in
            world.trace.note("store", "\(change.group) \(member.text): \(StoreWatch.text(record))")
            if member == .head { amounts.remember(record, change.group, at: world.scheduler.now, commit: position) }
        }
        world.scheduler.after(random.happens(2) ? random.within(.milliseconds(10)...(.seconds(1))) : random.within(50...2_000))
        {
            [self, epoch] in if epoch == self.epoch { replicate(through: position) }
        }
        return true
    }

    /// Whether the change is a release of a hold that was never there: the hold was refused, or is still on its way.
    private func isEmptyRollback(_ change: GroupChange) -> Bool {
        var isEmpty = false
        change.draft.forEachChange { member, record in
            guard case .hold = member, case .hold(let hold)? = record, hold.state == .released else { return }
            records.load([ReadSet(change.group, member)]) { isEmpty = (try? $0.get())?.first?.member == nil }
        }
        return isEmpty
    }

    func expire(now: Int64) { world.coverage[.markerExpired] += records.removeRemovable(now: now) }

    private func replicate(through position: Int) {
        replicated = max(replicated, position)
        let served = waiting.filter { $0.position <= replicated }
        waiting.removeAll { $0.position <= replicated }
        for waiter in served { waiter.tell(true) }
    }

    /// Calls back once everything that has landed so far is on the replica; with false if it never will be.
    func whenReplicated(_ tell: @escaping (Bool) -> Void) {
        if log.count <= replicated { return tell(true) }
        waiting.append((log.count, tell))
    }

    /// Drops those who wait: the world is over, and they would keep it in memory.
    func end() { waiting = [] }

    /// Kills the store; its replica takes its place, without what had not arrived there.
    func failOver() {
        let lost = log.count - replicated
        world.coverage[.storeFailedOver] += 1
        if lost > 0 { world.coverage[.commitsLostInFailover] += 1 }
        world.trace.note("store", "fails over, and loses \(lost) commits")
        log.removeLast(lost)
        records = MemoryStore()
        // Versions are not compared: what the store removed by itself is not in the log, and would conflict with later
        // entries.
        for entry in log { records.apply(entry.change, as: entry.version) }
        for group in amounts.keys { amounts[group]?.remove(commitsFrom: replicated + 1) }
        sagas.crash()
        records.forEach(sagas.note)
        epoch += 1
        let waiters = waiting
        waiting = []
        for waiter in waiters { waiter.tell(false) }
    }
}
