// The site of a world's shop, as the simulation sees it: a machine with one process, or a cluster.

import KontorCore

protocol Site: ShopFront {
    /// Starts the processes; from then on the site restarts them.
    func start()
    /// Whether requests are taken.
    var isAccepting: Bool { get }
    /// Whether everything that was begun has ended, but for ``leftovers``.
    var isAtRest: Bool { get }
    /// What ends only when it expires: the locks that direct payments have left whose process died, and the markers of
    /// credits that nobody has let go, because the message was lost.
    var leftovers: [String] { get }
    /// What has not ended, in words.
    var unrest: String { get }
    /// When the last of the reservations that stand is over, microseconds of the world's time; nil: none stands.
    var reservedUntil: Int64? { get }
    /// How soon after that it must be given back, microseconds.
    var longestExpiry: Int64 { get }
    /// How soon after the faults everything that was begun must have ended, sagas that may still wait included;
    /// microseconds.
    var longestRecovery: Int64 { get }
    /// How much later what finished checkouts left must be gone, microseconds; nil: that is not waited for.
    var untilClean: Int64? { get }
    /// Whether the lists are complete, or will be soon.
    var hasLists: Bool { get }
    /// Starts the faults of the world's swarm.
    func startFaults(_ chaos: Chaos)
    /// Ends the faults: what was broken works again.
    func stopFaults()
    /// Closes the store properly.
    func close(_ completion: @escaping () -> Void)
    /// Calls `body` with each record that the store has in the end.
    func forEachRecord(_ body: (RecordKey, Record) -> Void) throws
    /// The committed amounts of every account over time.
    var amounts: [GroupKey: Amounts] { get }
    /// The watch over sagas and their locks.
    var sagas: SagaWatch { get }
    /// Ends the site: the world is over.
    func end()
}
