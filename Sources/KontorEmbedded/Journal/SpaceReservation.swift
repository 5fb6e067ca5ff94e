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
    /// Whether frames can be written. Not so after a start that had no room for a new segment: then the store only
    /// reads.
    private(set) var isWritable: Bool
    /// Called once, when frames can be written although they could not at the start.
    var didBegin: () -> Void = {}

    /// - Parameter failure: what the first reservation, at the start, came to.
    init(_ writer: JournalWriter, failure: EmbeddedError?, _ ports: StorePorts) {
        self.writer = writer
        self.failure = failure
        isWritable = writer.hasBegun
        lanes = ports.lanes
    }

    /// Reserves what is not reserved yet.
    func reserve() {
        guard !isRunning else { return }
        isRunning = true
        lanes.perform(on: .journal) { [writer] in
            (failure: writer.reserve(), isWritable: writer.hasBegun)
        } then: { result in
            self.isRunning = false
            self.failure = result.failure
            if result.isWritable && !self.isWritable {
                self.isWritable = true
                self.didBegin()
            }
        }
    }

    /// Room has come back: a reservation that failed is tried again at the next tick.
    func roomCameBack() { nextRetry = .min }

    /// Tries a reservation that failed again, every `EmbeddedLimits.reserveRetryMilliseconds`.
    ///
    /// - Parameter now: monotonic milliseconds.
    func tick(_ now: Int64) {
        guard failure != nil && now >= nextRetry else { return }
        nextRetry = now + EmbeddedLimits.reserveRetryMilliseconds
        reserve()
    }
}
