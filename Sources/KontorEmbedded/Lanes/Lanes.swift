// The port for blocking work. The store never blocks: it hands work to a lane, and gets the result on its serial
// domain.

/// A queue of blocking work.
public enum Lane: Int, CaseIterable, Sendable {
    /// Writes and syncs the journal.
    case journal
    /// Moves journal to the table, at low priority.
    case fold
    /// Does the work of `fold` at normal priority, when so much journal is not folded that it must not give way.
    case urgentFold
    /// Reads records that are not in memory.
    case read
}

/// Runs work off the serial domain.
public protocol Lanes: AnyObject {
    /// Runs `work` on a lane, and then `then` on the serial domain with its result. Works of one lane run one at a time
    /// and in order, and so do their `then`s.
    ///
    /// If the process ends first, `work` may be done, not done or half done, and `then` does not run.
    func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void)
}
