// The bounds of a server's start and end, with their units and reasons. Those of the end follow from the longest
// deadline that a request can have. Compose and
// Kubernetes wait longer before they kill a container, which Tests/TidyTests/DeploymentBoundsTests.swift checks.

import KontorCore

enum ServerLimits {
    // MARK: Start

    /// How long a service waits for its Redis before it gives up. Probes wait longer.
    static let storeStartMilliseconds: Int64 = 30_000
    /// How long a service pauses before it looks again whether its Redis can be used.
    static let storeRetryMilliseconds: Int64 = 500
    /// How long a command that only reads (`audit`, `bench`) waits for a Redis: a person waits for its result.
    static let readerStartMilliseconds: Int64 = 10_000

    // MARK: End

    /// How long requests in flight get to end: longer than the longest deadline.
    static let drainMilliseconds = Limits.longestDeadlineMilliseconds + 1_000
    /// The longest time that a shop takes to stop: draining, and then folding the rest of the journal.
    static let stopMilliseconds = drainMilliseconds + 29_000
    /// The longest time that a service takes to stop: draining, and closing its connections. It has nothing to fold.
    static let serviceStopMilliseconds = drainMilliseconds + 9_000
    /// How long the last answers get to leave after the disk has failed.
    static let lastAnswersMilliseconds: Int64 = 500
}
