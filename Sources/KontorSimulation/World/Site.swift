// Where the shop of a world runs, as the simulation sees it.

import KontorCore

protocol Site: ShopFront {
    /// Starts what there is to start. It keeps itself running.
    func start()
    /// Somebody takes requests.
    var isAccepting: Bool { get }
    /// Everything that was begun has ended.
    var isAtRest: Bool { get }
    /// What is not at rest, in words.
    var unrest: String { get }
    /// Everything that was begun has ended so soon after the faults have (P5), sagas that may still wait included; microseconds.
    var longestRecovery: Int64 { get }
    /// When all is at rest, what finished checkouts left is gone so much later, microseconds; nil: that is not waited for.
    var untilClean: Int64? { get }
    /// Begins the faults of its swarm.
    func startFaults(_ chaos: Chaos)
    /// What was broken works again.
    func stopFaults()
    /// Closes the store in good order.
    func close(_ completion: @escaping () -> Void)
    /// All that the store has in the end.
    func forEachRecord(_ body: (RecordKey, Record) -> Void) throws
    /// The committed amounts of every account over time.
    var amounts: [GroupKey: Amounts] { get }
    /// Their locks over time.
    var sagas: SagaWatch { get }
    /// The world is over.
    func end()
}
