// Simulated time. Everything that happens in a simulated world is an event here; two runs of one seed have the same
// events.

import HeapModule

/// Runs events in the order of their times, and those of one time in the order in which they were added.
public final class Scheduler {
    private struct Event: Comparable {
        let time: Int64
        let number: Int
        let work: () -> Void

        static func < (left: Event, right: Event) -> Bool { (left.time, left.number) < (right.time, right.number) }
        static func == (left: Event, right: Event) -> Bool { left.number == right.number }
    }

    private var events = Heap<Event>()
    private var added = 0
    /// Microseconds since the world began.
    public private(set) var now: Int64 = 0

    public init() {}

    /// Adds an event.
    ///
    /// - Parameter delay: microseconds, 0 or more.
    public func after(_ delay: Int64, _ work: @escaping () -> Void) {
        events.insert(Event(time: now + max(0, delay), number: added, work: work))
        added += 1
    }

    /// Drops all events: the world has ended.
    func clear() { events = Heap() }

    /// Runs events until `end`, or until `isDone`, which is asked after each event.
    public func run(until end: Int64, or isDone: () -> Bool = { false }) {
        while let next = events.min, next.time <= end {
            now = next.time
            events.removeMin().work()
            if isDone() { return }
        }
        now = max(now, end)
    }
}

extension Int64 {
    /// Milliseconds as microseconds.
    static func milliseconds(_ number: Int64) -> Int64 { number * 1_000 }
    static func seconds(_ number: Int64) -> Int64 { number * 1_000_000 }
}
