// Blocking work in simulated time: it has its effect at one moment, and its process learns of it at a later one. A
// crash may come in between.

import DequeModule
import KontorEmbedded

/// The lanes of one simulated process.
final class SimulatedLanes: Lanes {
    private struct Work {
        /// Has the effect, and returns what the process does with the result.
        let run: () -> () -> Void
    }

    private let scheduler: Scheduler
    /// The duration of a lane's next work until its effect, and from there until its process learns of it,
    /// microseconds.
    private let duration: (Lane) -> (effect: Int64, report: Int64)
    /// Delivers a completion to the process.
    private let post: (@escaping () -> Void) -> Void
    /// Called after each effect: the process may have died of it.
    private let didWork: () -> Void
    private var queues: [Deque<Work>] = Lane.allCases.map { _ in [] }
    private var isBusy = Lane.allCases.map { _ in false }
    private var isDropped = false

    init(
        _ scheduler: Scheduler, duration: @escaping (Lane) -> (effect: Int64, report: Int64),
        didWork: @escaping () -> Void, post: @escaping (@escaping () -> Void) -> Void
    ) {
        self.scheduler = scheduler
        self.duration = duration
        self.didWork = didWork
        self.post = post
    }

    func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
    ) {
        queues[lane.rawValue].append(
            Work {
                let value = work()
                return { then(value) }
            })
        beginNext(lane)
    }

    /// Drops all work: the process is dead, and what has had no effect never has one.
    func drop() {
        isDropped = true
        for index in queues.indices { queues[index].removeAll() }
    }

    private func beginNext(_ lane: Lane) {
        guard !isDropped, !isBusy[lane.rawValue], let work = queues[lane.rawValue].popFirst() else { return }
        isBusy[lane.rawValue] = true
        let (effect, report) = duration(lane)
        scheduler.after(effect) { [self] in
            if isDropped { return }
            let completion = work.run()
            didWork()
            scheduler.after(report) { [self] in
                if isDropped { return }
                isBusy[lane.rawValue] = false
                post(completion)
                beginNext(lane)
            }
        }
    }
}
