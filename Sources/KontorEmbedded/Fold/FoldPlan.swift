// What the fold does next, decided from what it was told: no I/O.

/// Decides when journal is folded, and when the table is checkpointed.
struct FoldPlan {
    enum Step: Equatable {
        /// Move a slice of journal to the table. If it is urgent, it does not give way to other threads.
        case slice(isUrgent: Bool)
        /// Checkpoint the table and delete the segments that only it needed.
        case checkpoint
    }

    /// A step that failed.
    enum Failed { case slice, checkpoint }

    private let options: EmbeddedOptions
    /// Whether nothing is folded, because the journal's last frame may not be on the disk: the table must never have
    /// what the journal may lose.
    var isHeld = false
    /// Bytes of the journal that the table does not have.
    private(set) var unfoldedBytes: Int
    /// Bytes of the journal folded since the last checkpoint. Begins at one, because what the last process left
    /// unchecked is unknown.
    private var uncheckpointedBytes = 1
    /// What the table lacked the last time (room, descriptors, memory); nil if nothing. The journal keeps everything
    /// meanwhile.
    private(set) var shortage: EmbeddedError?
    /// Slices that failed since the last one that did not.
    private var failedSlices = 0
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

    /// Unfolded journal from which the fold no longer gives way: well before new work is refused.
    private var urgentBytes: Int { min(EmbeddedLimits.urgentFoldBytes, options.unfoldedBytes / 2) }

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
        failedSlices = 0
    }

    /// Notes that so many records of the table were removed or added beside the journal.
    mutating func changed(_ records: Int) { uncheckpointedBytes += records * EmbeddedLimits.changedRecordBytes }

    mutating func checkpointed() {
        uncheckpointedBytes = 0
        // The first slice that failed may succeed in the room that the checkpoint gave back.
        if failedSlices == 1 { sliceRetry = .min }
        if failedSlices == 0 { shortage = nil }
    }

    /// A reader was in the way of the checkpoint: it is tried again later.
    mutating func checkpointWasBlocked() { checkpointRetry = now + EmbeddedLimits.idleMilliseconds }

    /// A step failed, and may succeed later. Somebody who is in the way is no reason to refuse new work: the bound of
    /// the journal that is not folded is.
    mutating func failed(_ step: Failed, _ error: EmbeddedError) {
        if case .busy = error { shortage = nil } else { shortage = error }
        let retry = now + EmbeddedLimits.reserveRetryMilliseconds
        switch step {
        case .slice:
            failedSlices += 1
            sliceRetry = retry
            // Even what the slice has left in the table's log takes room.
            uncheckpointedBytes = max(1, uncheckpointedBytes)
        case .checkpoint:
            sliceRetry = max(sliceRetry, retry)
            checkpointRetry = retry
        }
    }

    /// The next step; nil if there is nothing to do now.
    ///
    /// - Parameter isClosing: the store ends: everything is folded and checkpointed, and no retry of a slice is waited
    ///   for, because a failure ends the fold anyway.
    func next(isClosing: Bool) -> Step? {
        let isQuiet = isClosing || (!hasAppended && now - lastAppend >= EmbeddedLimits.idleMilliseconds)
        let mayCheckpoint = uncheckpointedBytes > 0 && now >= checkpointRetry
        // On a full disk a checkpoint gives back the room of the table's log and of the journal that it needed.
        if mayCheckpoint && (uncheckpointedBytes >= options.checkpointBytes || shortage != nil) { return .checkpoint }
        let mayFold = !isHeld && (isClosing || now >= sliceRetry)
        if mayFold && (unfoldedBytes >= options.foldStartBytes || (unfoldedBytes > 0 && isQuiet)) {
            return .slice(isUrgent: isClosing || unfoldedBytes >= urgentBytes)
        }
        return mayCheckpoint && isQuiet ? .checkpoint : nil
    }
}
