// Runs the fold: one step at a time on the fold lanes. What is next FoldPlan decides; FoldWorker does it.

import KontorCore
import KontorService

/// Moves synced frames to the table, checkpoints it, and removes what has expired.
final class FoldScheduler {
    /// Called once, when everything is folded or nothing more can be.
    typealias Completion = (Result<Void, DurabilityError>) -> Void

    private enum Mode {
        case running
        /// The store closes, and its last frames are on their way to the disk: no step begins.
        case paused
        /// The store closes, and everything is folded and checkpointed now.
        case finishing(Completion)
        case finished
    }

    private let cache: RecordCache
    private let groupCommit: GroupCommit
    private let expiry: Expiry
    private let lists: ListCompletion
    private let worker: FoldWorker
    private let ports: StorePorts

    /// Called after each checkpoint: it gives room back.
    var didCheckpoint: () -> Void = {}

    private var plan: FoldPlan
    private var mode = Mode.running
    private var isBusy = false
    /// The table could not be brought up to date while the store closes: the next start replays the journal instead.
    private var isGivenUp = false

    init(
        _ plan: FoldPlan, _ worker: FoldWorker, _ expiry: Expiry, _ lists: ListCompletion, _ groupCommit: GroupCommit,
        _ ports: StorePorts
    ) {
        self.plan = plan
        self.worker = worker
        self.expiry = expiry
        self.lists = lists
        self.groupCommit = groupCommit
        cache = groupCommit.cache
        self.ports = ports
    }

    /// Bytes of the journal that the table does not have.
    var unfoldedBytes: Int { plan.unfoldedBytes }
    /// Whether so much journal is not folded that new work must wait.
    var isBehind: Bool { plan.isBehind }
    /// What the table lacks (room, descriptors, memory); nil if nothing. It is tried again.
    var shortage: EmbeddedError? { plan.shortage }

    /// Whether nothing is folded, because the store only reads.
    var isHeld: Bool {
        get { plan.isHeld }
        set { plan.isHeld = newValue }
    }

    /// Notes that a frame of so many bytes is durable.
    func appended(bytes: Int) { plan.appended(bytes: bytes) }

    /// Begins what is due. To be called every few milliseconds.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - wall: milliseconds since 1970: what expired by then may go.
    func tick(_ now: Int64, wall: Int64) {
        plan.tick(now)
        expiry.tick(now, wall: wall)
        lists.tick(now)
        advance()
    }

    /// Begins no step until ``finish(_:)``.
    func pause() { mode = .paused }

    /// Folds everything that is synced and checkpoints the table, then calls back. A table that has no room is not
    /// waited for, nor is a reader that is in the way of the checkpoint.
    func finish(_ completion: @escaping Completion) {
        mode = .finishing(completion)
        advance()
    }

    /// Begins the next step, if there is one and none is running.
    func advance() {
        guard !isBusy, groupCommit.failure == nil else { return }
        switch mode {
        case .running:
            if let step = plan.next(isClosing: false) {
                run(step)
            } else if expiry.isDue && !isHeld {
                removeExpired()
            } else if lists.isDue && !isHeld {
                list()
            }
        case .finishing(let completion):
            if !isGivenUp, let step = plan.next(isClosing: true) { return run(step) }
            mode = .finished
            completion(.success(()))
        case .paused, .finished: return
        }
    }

    private func run(_ step: FoldPlan.Step) {
        switch step {
        case .slice(let isUrgent): foldSlice(on: isUrgent ? .urgentFold : .fold)
        case .checkpoint: checkpoint()
        }
    }

    private func foldSlice(on lane: Lane) {
        isBusy = true
        let through = groupCommit.syncedSequence
        ports.lanes.perform(on: lane) { [worker, metrics = ports.metrics] in
            metrics.foldSeconds.time { worker.foldSlice(through: through) }
        } then: { result in
            self.isBusy = false
            switch result {
            case .success(let report): self.folded(report)
            case .failure(let error): self.failed(.slice, error)
            }
            self.advance()
        }
    }

    private func folded(_ report: FoldWorker.Report) {
        plan.folded(bytes: report.journalBytes)
        expiry.folded(report)
        ports.metrics.foldedRecords.increment(by: report.changes)
        ports.metrics.foldedBytes.increment(by: report.journalBytes)
        cache.folded(through: report.through)
        lists.folded(through: report.through)
    }

    private func checkpoint() {
        isBusy = true
        let lane: Lane = if case .running = mode { .fold } else { .urgentFold }
        ports.lanes.perform(on: lane) { [worker, metrics = ports.metrics] in
            metrics.checkpointSeconds.time { worker.checkpoint() }
        } then: { result in
            self.isBusy = false
            switch result {
            case .success(true):
                self.plan.checkpointed()
                self.didCheckpoint()
            case .success(false): self.plan.checkpointWasBlocked()
            case .failure(let error): self.failed(.checkpoint, error)
            }
            self.advance()
        }
    }

    private func removeExpired() {
        isBusy = true
        expiry.removeSlice { self.didChange($0) }
    }

    private func list() {
        isBusy = true
        lists.runSlice { self.didChange($0) }
    }

    /// Ends a step that changed so many records of the table, which the journal says nothing of.
    private func didChange(_ records: Int) {
        isBusy = false
        plan.changed(records)
        advance()
    }

    /// A full disk passes, and so do another process's lock and a lack of descriptors or memory. Anything else (a
    /// damaged journal, a table that does not write) ends the store: the journal has everything, and the next start
    /// says what is wrong.
    private func failed(_ step: FoldPlan.Failed, _ error: EmbeddedError) {
        if error.passes {
            plan.failed(step, error)
            if case .running = mode {} else { isGivenUp = true }
            return
        }
        groupCommit.fail("the fold: \(error)")
        if case .finishing(let completion) = mode, let failure = groupCommit.failure {
            mode = .finished
            completion(.failure(failure))
        }
    }
}
