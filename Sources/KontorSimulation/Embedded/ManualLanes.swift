// Lanes that run work only when they are stepped: blocking work takes exactly as long as a test or the simulator says.

import KontorEmbedded

/// Queues the work of each lane; a step runs a lane's first work and its continuation.
public final class ManualLanes: Lanes {
    private var queues: [[() -> Void]] = Lane.allCases.map { _ in [] }

    public init() {}

    public func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
    ) {
        queues[lane.rawValue].append { then(work()) }
    }

    /// Whether a lane has work.
    public func isBusy(_ lane: Lane) -> Bool { !queues[lane.rawValue].isEmpty }

    /// Lanes that have work.
    public var busy: [Lane] { Lane.allCases.filter(isBusy) }

    /// Runs the first work of a lane.
    /// - Returns: false if there was none.
    @discardableResult
    public func step(_ lane: Lane) -> Bool {
        guard isBusy(lane) else { return false }
        let work = queues[lane.rawValue].removeFirst()
        work()
        return true
    }

    /// Runs all work, and all work that it adds, one lane after the other.
    public func runAll() {
        while let lane = busy.first { step(lane) }
    }

    /// Forgets all work: the process is dead.
    public func drop() {
        for index in queues.indices { queues[index].removeAll() }
    }
}
