// The run queue of one serial domain. Replies never call back into an engine: they put work here, so the stack stays flat
// and work that has begun goes before new requests.

import DequeModule

/// Something that can have a turn on the shop's serial domain.
protocol Turning: AnyObject {
    func turn()
}

/// Who waits for a turn, on the shop's serial domain.
public final class Agenda {
    private var waiting = Deque<any Turning>()

    public init() {}

    func add(_ work: any Turning) { waiting.append(work) }

    /// Adds work that is done once.
    func add(_ work: @escaping () -> Void) { waiting.append(Once(work)) }

    /// Gives turns to all that wait, and to those whom they add, until nobody is left.
    public func runUntilQuiet() {
        while let next = waiting.popFirst() { next.turn() }
    }

    private final class Once: Turning {
        private let work: () -> Void
        init(_ work: @escaping () -> Void) { self.work = work }
        func turn() { work() }
    }
}
