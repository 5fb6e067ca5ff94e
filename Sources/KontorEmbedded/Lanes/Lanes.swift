// Where blocking work goes. The store itself never blocks: it hands work to a lane and gets the result back on its domain.

/// A queue of blocking work.
public enum Lane: Int, CaseIterable, Sendable {
    /// Writes and syncs of the journal.
    case journal
    /// Moves journal into the table, at low priority.
    case fold
    /// The same work, when the fold has fallen behind and must not give way any longer.
    case urgentFold
    /// Reads of records that are not in memory.
    case read
}

/// Runs work off the serial domain.
public protocol Lanes: AnyObject {
    /// Works of one lane run in order, one at a time; `then` runs on the serial domain, in the same order.
    /// If the process ends first, work may be done, not done or half done, and `then` does not run.
    func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void)
}
