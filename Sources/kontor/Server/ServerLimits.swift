// The bounds of a server's shutdown, with units and reasons. All follow from the longest deadline of a request.

import KontorCore

enum ServerLimits {
    /// How long requests in flight get to end: longer than the longest deadline, milliseconds.
    static let drainMilliseconds = Limits.longestDeadlineMilliseconds + 1_000
    /// The longest time that a shop takes to stop: draining, and then folding the rest of the journal.
    static let stopMilliseconds = drainMilliseconds + 29_000
    /// The longest time that a service takes to stop: draining, and closing its connections. It has nothing to fold.
    static let serviceStopMilliseconds = drainMilliseconds + 9_000
    /// How long the last answers get to leave after the disk has failed.
    static let lastAnswersMilliseconds: Int64 = 500
}
