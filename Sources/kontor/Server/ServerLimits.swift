// The bounds of a server's end, with their units and reasons. All follow from the longest deadline that a request can have.

import KontorCore

enum ServerLimits {
    /// How long requests in flight get to end: longer than the longest deadline.
    static let drainMilliseconds = Limits.longestDeadlineMilliseconds + 1_000
    /// How long a shop takes to stop at most: draining, and then folding what is left of the journal.
    static let stopMilliseconds = drainMilliseconds + 29_000
    /// The same of a service, which has nothing to fold: draining, and giving its connections back.
    static let serviceStopMilliseconds = drainMilliseconds + 9_000
    /// How long the last answers get to leave when the disk has failed.
    static let lastAnswersMilliseconds: Int64 = 500
}
