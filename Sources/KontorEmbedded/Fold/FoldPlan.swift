// What the fold does next, decided from what it was told: no I/O.

/// Decides when journal is folded, and when the table is checkpointed.
struct FoldPlan {
    enum Step: Equatable {
        /// Move a slice of journal to the table. If it is urgent, it does not give way to other threads.
        case slice(isUrgent: Bool)
        /// Checkpoint the table and delete the segments that only it needed.
        case checkpoint
    }

    private let options: EmbeddedOptions
    /// Bytes of the journal that the table does not have.
    private(set) var unfoldedBytes: Int
    /// Bytes of the journal folded since the last checkpoint. Begins at one, because what the last process left
    /// unchecked is unknown.
    private var uncheckpointedBytes = 1
    /// Why the table took nothing the last time, if that may pass; nil if it took something. The journal keeps
    /// everything meanwhile.
    private(set) var shortage: EmbeddedError?
    /// Monotonic milliseconds, of the last tick.
    private var now: Int64 = 0
    private var hasAppended = true
    private var lastAppend: Int64 = 0
    private var sliceRetry: Int64 = .min
    private var checkpointRetry: Int64 = .min

    init(_ options: EmbeddedOptions, unfoldedBytes: Int) {
        self.options = options
        self.unfoldedBytes = unfoldedBytes
    }

    /// Whether so much journal is not folded that new work must wait.
    var isBehind: Bool { unfoldedBytes > options.unfoldedBytes }

    mutating func tick(_ now: Int64) {
        self.now = now
        if hasAppended { lastAppend = now }
        hasAppended = false
    }

    mutating func appended(bytes: Int) {
        unfoldedBytes += bytes
        hasAppended = true
    }

    mutating func folded(bytes: Int) {
        unfoldedBytes -= bytes
        uncheckpointedBytes += bytes
        shortage = nil
    }

    mutating func expired(_ records: Int) { uncheckpointedBytes += records * EmbeddedLimits.expiredRecordBytes }

    mutating func checkpointed() {
        uncheckpointedBytes = 0
        shortage = nil
    }

    /// A reader was in the way of the checkpoint: it is tried again later.
    mutating func checkpointWasBlocked() { checkpointRetry = now + EmbeddedLimits.idleMilliseconds }

    /// A step failed, and may succeed later.
    mutating func failed(_ error: EmbeddedError) {
        shortage = error
        sliceRetry = now + EmbeddedLimits.reserveRetryMilliseconds
        checkpointRetry = sliceRetry
    }

    /// The next step; nil if there is nothing to do now.
    ///
    /// - Parameter isClosing: the store ends: everything is folded and checkpointed, and no retry of a slice is waited
    ///   for, because a failure ends the fold anyway.
    func next(isClosing: Bool) -> Step? {
        let isQuiet = isClosing || (!hasAppended && now - lastAppend >= EmbeddedLimits.idleMilliseconds)
        let mayCheckpoint = uncheckpointedBytes > 0 && now >= checkpointRetry
        if mayCheckpoint && uncheckpointedBytes >= options.checkpointBytes { return .checkpoint }
        let mayFold = isClosing || now >= sliceRetry
        if mayFold && (unfoldedBytes >= options.foldStartBytes || (unfoldedBytes > 0 && isQuiet)) {
            return .slice(isUrgent: isClosing || unfoldedBytes >= EmbeddedLimits.urgentFoldBytes)
        }
        return mayCheckpoint && isQuiet ? .checkpoint : nil
    }
}
