// When journal moves to the table, when the table is checkpointed, and how the store ends. The work itself is JournalFolder's.

import KontorCore
import KontorService

/// How far the fold is, and what it may do next.
struct FoldProgress {
    enum Step: Equatable {
        case slice(isUrgent: Bool)
        case checkpoint
    }

    private(set) var foldedThrough: UInt64
    private(set) var unfoldedBytes: Int
    /// Folded since the last checkpoint. A store starts with one byte: what its last process left is unknown.
    private(set) var uncheckpointedBytes = 1
    var isBusy = false
    /// Why the table took nothing, if that passes. Tried again; the journal keeps everything meanwhile.
    private(set) var trouble: EmbeddedError?
    private(set) var now: Int64 = 0
    private var hasAppended = true
    private var lastAppend: Int64 = 0
    private var sliceRetry: Int64 = .min
    private var checkpointRetry: Int64 = .min

    init(foldedThrough: UInt64, unfoldedBytes: Int) {
        self.foldedThrough = foldedThrough
        self.unfoldedBytes = unfoldedBytes
    }

    mutating func tick(_ now: Int64) {
        self.now = now
        if hasAppended { lastAppend = now }
        hasAppended = false
    }

    mutating func appended(bytes: Int) {
        unfoldedBytes += bytes
        hasAppended = true
    }

    mutating func folded(_ report: JournalFolder.Report) {
        foldedThrough = report.through
        unfoldedBytes -= report.journalBytes
        uncheckpointedBytes += report.journalBytes
        trouble = nil
    }

    mutating func expired(_ records: Int) { uncheckpointedBytes += records * EmbeddedLimits.expiredRecordBytes }

    mutating func checkpointed(_ isDone: Bool) {
        if isDone {
            uncheckpointedBytes = 0
            trouble = nil
        } else {
            checkpointRetry = now + EmbeddedLimits.idleMilliseconds
        }
    }

    mutating func failed(_ error: EmbeddedError) {
        trouble = error
        sliceRetry = now + EmbeddedLimits.reserveRetryMilliseconds
        checkpointRetry = sliceRetry
    }

    func next(_ options: EmbeddedOptions, isClosing: Bool) -> Step? {
        let isQuiet = isClosing || (!hasAppended && now - lastAppend >= EmbeddedLimits.idleMilliseconds)
        let mayCheckpoint = uncheckpointedBytes > 0 && now >= checkpointRetry
        if mayCheckpoint && uncheckpointedBytes >= options.checkpointBytes { return .checkpoint }
        // A store that closes does not wait for its next try: there may be room again, and a failure ends the fold anyway.
        if (isClosing || now >= sliceRetry) && (unfoldedBytes >= options.foldStartBytes || (unfoldedBytes > 0 && isQuiet)) {
            return .slice(isUrgent: isClosing || unfoldedBytes >= EmbeddedLimits.urgentFoldBytes)
        }
        return mayCheckpoint && isQuiet ? .checkpoint : nil
    }
}

/// A store that is ending.
struct Closing {
    let completion: (Result<Void, DurabilityFailure>) -> Void
    /// Everything is in the journal.
    var isDrained = false
    /// The table could not be brought up to date; the next start replays the journal instead.
    var isFoldGivenUp = false
    var isReleasing = false
}

extension EmbeddedStore {
    /// Drives what happens by time. To be called about every 25 ms.
    ///
    /// - Parameter wall: wall clock, milliseconds since 1970: what expired by then may go.
    public func tick(now: Int64, wall: Int64 = 0) {
        self.wall = wall
        fold.tick(now)
        if let (count, milliseconds) = slowSyncs.tick(now, frame: durability.frameInFlight) {
            events?.warning("The disk is slow", ["slowSyncs": "\(count)", "longestMilliseconds": "\(milliseconds)"])
        }
        if now >= nextGauges {
            nextGauges = now + Limits.gaugeMilliseconds
            metrics.publish(self)
        }
        if durability.reserveFailure != nil && now >= durability.reserveRetry {
            durability.reserveRetry = now + EmbeddedLimits.reserveRetryMilliseconds
            reserveSpace()
        }
        advance()
    }

    /// Begins the fold's next step, if there is one and none is running.
    func advance() {
        guard !fold.isBusy, durability.failure == nil else { return }
        if let closing, !closing.isDrained || closing.isReleasing { return }
        let isGivenUp = closing?.isFoldGivenUp ?? false
        switch isGivenUp ? nil : fold.next(options, isClosing: closing != nil) {
        case .slice(let isUrgent)?: foldSlice(on: isUrgent ? .urgentFold : .fold)
        case .checkpoint?: checkpoint()
        case nil where closing != nil: release()
        case nil: if expiring.isDue(fold.now) { expire() }
        }
    }

    private func foldSlice(on lane: Lane) {
        fold.isBusy = true
        let through = durability.syncedSequence
        lanes.perform(on: lane) { [folder, metrics] in
            metrics.foldSeconds.time { folder.foldSlice(through: through) }
        } then: { result in
            self.fold.isBusy = false
            switch result {
            case .success(let report):
                self.fold.folded(report)
                self.expiring.folded(report)
                self.metrics.foldedRecords.increment(by: report.changes)
                self.metrics.foldedBytes.increment(by: report.journalBytes)
                self.fruitlessVisits = 0
                self.evict()
            case .failure(let error): self.foldFailed(error)
            }
            self.updateAdmission()
            self.advance()
        }
    }

    private func checkpoint() {
        fold.isBusy = true
        lanes.perform(on: closing == nil ? .fold : .urgentFold) { [folder, metrics] in
            metrics.checkpointSeconds.time { folder.checkpoint() }
        } then: { result in
            self.fold.isBusy = false
            switch result {
            case .success(let isDone):
                // A reader that is in the way of a closing store is not waited for: the next one checkpoints.
                self.fold.checkpointed(isDone)
            case .failure(let error): self.foldFailed(error)
            }
            self.updateAdmission()
            self.advance()
        }
    }

    /// A full disk passes, and so does a want of descriptors or memory. Anything else (a damaged journal, a table that does
    /// not write) does not: the journal has everything, and the next start says what is wrong.
    func foldFailed(_ error: EmbeddedError) {
        if error.passes {
            fold.failed(error)
            closing?.isFoldGivenUp = true
        } else {
            fail("the fold: \(error)")
        }
    }

    // MARK: Close

    /// Syncs everything, folds it, checkpoints the table and gives the directory back. Commits are refused from now on.
    public func close(_ completion: @escaping (Result<Void, DurabilityFailure>) -> Void) {
        guard closing == nil else { return completion(.failure(DurabilityFailure(reason: "the store is closing"))) }
        closing = Closing(completion: completion)
        updateAdmission()
        barrier { result in
            if case .failure = result { return self.released(result) }
            self.closing?.isDrained = true
            self.advance()
        }
        flush()
    }

    /// Waits for the lanes, so that nothing touches the directory once it belongs to somebody else.
    private func release() {
        guard closing?.isReleasing == false else { return }
        closing?.isReleasing = true
        lanes.perform(on: .journal) {
        } then: {
            self.lanes.perform(on: .read) { [table = self.table] in
                table.close()
            } then: {
                self.released(.success(()))
            }
        }
    }

    func released(_ result: Result<Void, DurabilityFailure>) {
        lock.release()
        closing?.completion(result)
    }
}
