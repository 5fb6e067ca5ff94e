// Room for the journal, reserved ahead, so that a full disk is noticed while there is still room for work that has
// begun.

/// Keeps the rest of the journal's segment and the whole next one reserved on the disk.
final class SpaceReservation {
    private let writer: JournalWriter
    private let lanes: any Lanes
    private var isRunning = false
    private var nextRetry: Int64 = .min
    /// Why there is no room for the next segment; nil if there is.
    private(set) var failure: EmbeddedError?

    /// - Parameter failure: what the first reservation, at the start, came to.
    init(_ writer: JournalWriter, failure: EmbeddedError?, _ ports: StorePorts) {
        self.writer = writer
        self.failure = failure
        lanes = ports.lanes
    }

    /// Reserves what is not reserved yet.
    func reserve() {
        guard !isRunning else { return }
        isRunning = true
        lanes.perform(on: .journal) { [writer] in
            writer.reserve()
        } then: { failure in
            self.isRunning = false
            self.failure = failure
        }
    }

    /// Tries a reservation that failed again, every `EmbeddedLimits.reserveRetryMilliseconds`.
    ///
    /// - Parameter now: monotonic milliseconds.
    func tick(_ now: Int64) {
        guard failure != nil && now >= nextRetry else { return }
        nextRetry = now + EmbeddedLimits.reserveRetryMilliseconds
        reserve()
    }
}
