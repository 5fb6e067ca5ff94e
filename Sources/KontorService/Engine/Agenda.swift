// The run queue of one serial domain. Replies never call back into an engine: they put work here, so the stack stays flat
// and work that has begun goes before new requests.

import DequeModule

/// Steps that wait to run on the shop's serial domain.
public final class Agenda {
    private var steps = Deque<() -> Void>()
    private var atTick: [() -> Void] = []

    public init() {}

    func add(_ step: @escaping () -> Void) { steps.append(step) }

    /// Adds a step for the next tick: for what waits for something that this turn cannot bring.
    func addAtTick(_ step: @escaping () -> Void) { atTick.append(step) }

    /// Time went on: the steps that waited for that may run.
    func tick() {
        steps.append(contentsOf: atTick)
        atTick = []
    }

    /// Runs steps, and those that they add, until none is left.
    public func runUntilQuiet() {
        while let step = steps.popFirst() { step() }
    }
}
