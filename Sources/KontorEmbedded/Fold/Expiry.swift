// Records that expire (idempotency keys): how many there are, and how those whose time is over leave the table, and
// with them the oldest entries of the audit trail. The journal says nothing of that: whoever reads an expired record
// takes it for absent, wherever it still lies.

import KontorCore
import KontorService

/// Counts the expiring records and removes, slice by slice, those whose time is over.
final class Expiry {
    private let worker: FoldWorker
    private let ports: StorePorts
    /// Expiring records in the table: exactly.
    private var inTable: Int
    /// Changes of expiring records that are not folded yet: at least as many as records.
    private var inJournal: Int
    /// At the last tick: monotonic milliseconds.
    private var now: Int64 = 0
    /// At the last tick: milliseconds since 1970.
    private var wall: Int64 = 0
    private var nextLook: Int64 = .min
    /// When the audit trail is looked at if there are no expiring records; nil: before the first tick.
    private var nextTrailLook: Int64?

    init(_ worker: FoldWorker, inTable: Int, inJournal: Int, _ ports: StorePorts) {
        self.worker = worker
        self.inTable = inTable
        self.inJournal = inJournal
        self.ports = ports
    }

    /// An upper bound of the expiring records, found without a look at them. Exact once everything is folded.
    var count: Int { inTable + inJournal }

    /// Whether it is time to look for expired records.
    var isDue: Bool { now >= (inTable > 0 ? nextLook : nextTrailLook ?? .max) }

    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - wall: milliseconds since 1970: what expired by then may go.
    func tick(_ now: Int64, wall: Int64) {
        self.now = now
        self.wall = wall
        if nextTrailLook == nil { nextTrailLook = now + EmbeddedLimits.trailLookMilliseconds }
    }

    /// Counts changes of expiring records that go to the journal.
    func sealed(_ changes: Int) { inJournal += changes }

    /// Counts what a slice moved from the journal to the table.
    func folded(_ report: FoldWorker.Report) {
        inJournal -= report.expiringChanges
        inTable = report.expiringRecords
    }

    /// Removes a slice of what has expired. No other work of the fold may run meanwhile.
    ///
    /// - Parameter completion: is told how many records were removed.
    func removeSlice(_ completion: @escaping (Int) -> Void) {
        ports.lanes.perform(on: .fold) { [worker, wall] in
            worker.expire(now: wall)
        } then: { result in
            switch result {
            case .success(let report):
                self.inTable = report.left
                // If it was a whole slice there may be more, of the audit trail, too.
                if report.removed < EmbeddedLimits.expireSlice {
                    self.nextLook = self.now + EmbeddedLimits.expireMilliseconds
                    self.nextTrailLook = self.now + EmbeddedLimits.trailLookMilliseconds
                }
                completion(report.removed)
            case .failure(let error):
                // Nothing depends on it. A table that fails for good shows with the next fold.
                self.nextLook = self.now + EmbeddedLimits.expireRetryMilliseconds
                self.nextTrailLook = self.nextLook
                self.ports.events?.warning("Expired records could not be removed", ["reason": "\(error)"])
                completion(0)
            }
        }
    }
}
