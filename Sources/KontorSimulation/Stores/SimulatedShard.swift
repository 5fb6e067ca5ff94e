// One shard of the shared store: what is wrong with it, how far its replica is, and who waits for that.

import KontorCore

/// A master with its replica.
struct SimulatedShard {
    /// What can be wrong with a shard, for as long as an operator needs to mend it.
    enum Trouble: Hashable, CaseIterable {
        /// Nothing arrives there, and nothing comes back.
        case away
        /// It hangs: what is asked is answered when it goes on.
        case hung
        /// The replica is away: nothing is confirmed.
        case replicaAway
        /// Memory is full: Redis' `OOM`. Reads go on.
        case full
        /// It refuses commands: `READONLY`, `CLUSTERDOWN`, `MISCONF`, `NOPERM`, or settings that are wrong.
        case refusing
        /// Slots move: `TRYAGAIN` for some keys, which change.
        case moving

        var branch: Branch {
            switch self {
            case .away: .shardAway
            case .hung: .shardHung
            case .replicaAway: .replicaAway
            case .full: .shardFull
            case .refusing: .shardRefuses
            case .moving: .slotsMove
            }
        }
    }

    var trouble: Trouble?
    /// Whether its master dies at the next commit, most likely before the replica has it.
    var diesAtCommit = false
    /// The position of the latest commit there.
    var landed = 0
    /// The position up to which the replica has all commits.
    private(set) var replicated = 0
    private(set) var failovers = 0
    /// The error of its master's clock, milliseconds.
    var wallOffset: Int64 = 0
    /// The latest time that it told, milliseconds since 1970.
    private(set) var latestTime: Int64 = 0
    private var waiting: [(number: Int, position: Int, tell: (Bool) -> Void)] = []
    private var lastNumber = 0

    /// Tells its time.
    ///
    /// - Parameter wall: the true time, milliseconds since 1970.
    mutating func time(_ wall: Int64) -> Int64 {
        latestTime = max(latestTime, wall + wallOffset)
        return wall + wallOffset
    }

    /// Returns a number for ``giveUp(_:)``.
    mutating func wait(_ position: Int, _ tell: @escaping (Bool) -> Void) -> Int {
        lastNumber += 1
        waiting.append((lastNumber, position, tell))
        return lastNumber
    }

    /// Tells a waiter that it waits in vain. Returns whether it still waited.
    mutating func giveUp(_ number: Int) -> Bool {
        guard let place = waiting.firstIndex(where: { $0.number == number }) else { return false }
        waiting.remove(at: place).tell(false)
        return true
    }

    mutating func replicate(through position: Int) {
        replicated = max(replicated, position)
        let served = waiting.filter { $0.position <= replicated }
        waiting.removeAll { $0.position <= replicated }
        for waiter in served { waiter.tell(true) }
    }

    mutating func failOver() {
        failovers += 1
        landed = replicated
        let waiters = waiting
        waiting = []
        for waiter in waiters { waiter.tell(false) }
    }

    mutating func forgetWaiters() { waiting = [] }
}
