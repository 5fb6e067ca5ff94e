// The bounds of a server's start and end, with their units and reasons. Those of the end follow from the longest
// deadline that a request can have. Compose and
// Kubernetes wait longer before they kill a container, which Tests/TidyTests/DeploymentBoundsTests.swift checks.

import Dispatch
import KontorCore

enum ServerLimits {
    // MARK: Start

    /// How long a service waits for its Redis before it gives up. Probes wait longer.
    static let storeStartMilliseconds: Int64 = 30_000
    /// How long a service pauses before it looks again whether its Redis can be used.
    static let storeRetryMilliseconds: Int64 = 500
    /// How long a command that only reads (`audit`, `bench`) waits for a Redis: a person waits for its result.
    static let readerStartMilliseconds: Int64 = 10_000

    // MARK: Memory

    /// The part of the memory that idle connections may take is one of so many: the rest is for the store's cache, for
    /// work in progress and for the system.
    static let connectionsShare = 16
    /// Connections that are taken however little memory there is: those of the requests in flight, and as many idle.
    static let fewestConnections = 2 * (Limits.requestsInFlight + Limits.readsReserve)
    /// Bytes of one request in flight, with its answer.
    static let requestBytes = 4 << 10
    /// Bytes of one open checkout of usual size: its saga, its order, its locks and the messages about them, as
    /// measured with 20,000 of them.
    static let sagaBytes = 6 << 10

    // MARK: End

    /// How long requests in flight get to end: longer than the longest deadline.
    static let drainMilliseconds = Limits.longestDeadlineMilliseconds + 1_000
    /// The longest time that a shop takes to stop: draining, and then folding the rest of the journal.
    static let stopMilliseconds = drainMilliseconds + 29_000
    /// The longest time that a service takes to stop: draining, and closing its connections. It has nothing to fold.
    static let serviceStopMilliseconds = drainMilliseconds + 9_000
    /// How long the last answers get to leave after the disk has failed.
    static let lastAnswersMilliseconds: Int64 = 500
    /// How often the files with credentials and certificates are looked at: a revoked token may be used for as long.
    static let filesInterval = DispatchTimeInterval.seconds(1)
}
