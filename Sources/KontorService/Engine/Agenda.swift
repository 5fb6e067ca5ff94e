// The run queue of one serial domain. Replies add work here instead of calling back into an engine, so the stack stays
// flat, and work that has begun goes before new requests.

import DequeModule

/// Steps that wait to run on the shop's serial domain.
public final class Agenda {
    private var steps = Deque<() -> Void>()
    private var atTick: [() -> Void] = []

    public init() {}

    func add(_ step: @escaping () -> Void) { steps.append(step) }

    /// Adds a step for the next tick, to wait for something that cannot happen in this turn.
    func addAtTick(_ step: @escaping () -> Void) { atTick.append(step) }

    /// Lets the steps run that waited for a tick.
    func tick() {
        steps.append(contentsOf: atTick)
        atTick = []
    }

    /// Runs steps, and those that they add, until none is left.
    public func runUntilQuiet() {
        while let step = steps.popFirst() { step() }
    }
}
