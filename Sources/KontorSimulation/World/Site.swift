// The site of a world's shop, as the simulation sees it: a machine with one process, or a cluster.

import KontorCore

protocol Site: ShopFront {
    /// Starts the processes; from then on the site restarts them.
    func start()
    /// Whether requests are taken.
    var isAccepting: Bool { get }
    /// Whether everything that was begun has ended, but for the locks of direct payments.
    var isAtRest: Bool { get }
    /// The locks that direct payments have left: their process died, and they are undone when they expire.
    var paymentLocks: [String] { get }
    /// What has not ended, in words.
    var unrest: String { get }
    /// How soon after the faults everything that was begun must have ended, sagas that may still wait included;
    /// microseconds.
    var longestRecovery: Int64 { get }
    /// How much later what finished checkouts left must be gone, microseconds; nil: that is not waited for.
    var untilClean: Int64? { get }
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
