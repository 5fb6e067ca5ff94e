// The surroundings of one simulated world: time, trace, coverage and violations.

/// What the parts of one simulated world share.
final class Surroundings {
    let scheduler = Scheduler()
    let trace: Trace
    var coverage = Coverage() {
        didSet { if coverage.disturbances > 0, disturbed.last?.count != coverage.disturbances { noteDisturbance() } }
    }
    /// When processes slept or died, and how many had until then.
    private var disturbed: [(time: Int64, count: Int)] = []
    /// The broken promises, in words, with the order or account concerned.
    private(set) var violations: [String] = []
    /// The most that one process had in all of its queues.
    var largestQueue = 0
    /// Whether faults may be injected.
    var isFaulty = false

    init(isRecording: Bool) { trace = Trace(scheduler, isRecording: isRecording) }

    private func noteDisturbance() { disturbed.append((scheduler.now, coverage.disturbances)) }

    /// Whether no process slept or died from `start` to `end`.
    func wasCalm(from start: Int64, to end: Int64) -> Bool {
        !disturbed.contains { $0.time >= start && $0.time <= end }
    }

    func violation(_ text: String) {
        trace.note("auditor", "VIOLATION: \(text)")
        violations.append(text)
    }
}
