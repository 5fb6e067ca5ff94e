// What the parts of one simulated world have in common.

/// What the parts of one world share.
final class Surroundings {
    let scheduler = Scheduler()
    let trace: Trace
    var coverage = Coverage()
    /// What must not be, in words, with the order or account concerned.
    private(set) var violations: [String] = []
    /// Faults may be injected.
    var isFaulty = false

    init(isRecording: Bool) { trace = Trace(scheduler, isRecording: isRecording) }

    func violation(_ text: String) {
        trace.note("auditor", "VIOLATION: \(text)")
        violations.append(text)
    }
}
