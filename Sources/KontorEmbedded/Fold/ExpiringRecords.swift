// Records that expire (idempotency keys): how many there are, and how those whose time is over leave the table. Nothing of that
// is in the journal: whoever reads an expired record takes it for absent, wherever it still lies.

import KontorCore

/// Counts the expiring records without looking for them: exactly in the table, and as changes in the journal behind it.
struct ExpiringRecords {
    private(set) var inTable: Int
    private(set) var inJournal: Int
    private var nextLook: Int64 = .min

    init(inTable: Int, inJournal: Int) {
        self.inTable = inTable
        self.inJournal = inJournal
    }

    var count: Int { inTable + inJournal }

    mutating func appended() { inJournal += 1 }

    mutating func folded(_ report: JournalFolder.Report) {
        inJournal -= report.expiringChanges
        inTable = report.expiringRecords
    }

    /// - Parameter now: monotonic milliseconds.
    func isDue(_ now: Int64) -> Bool { inTable > 0 && now >= nextLook }

    /// If a look found a whole slice there may be more.
    mutating func looked(_ now: Int64, removed: Int, left: Int) {
        inTable = left
        if removed < EmbeddedLimits.expireSlice { nextLook = now + EmbeddedLimits.expireMilliseconds }
    }

    mutating func failed(_ now: Int64) { nextLook = now + EmbeddedLimits.expireRetryMilliseconds }
}

extension EmbeddedStore {
    public var expiringRecords: Int { expiring.count }

    /// Removes a slice of what has expired, on the fold's lane.
    func expire() {
        fold.isBusy = true
        lanes.perform(on: .fold) { [folder, wall] in
            folder.expire(now: wall)
        } then: { result in
            self.fold.isBusy = false
            switch result {
            case .success(let report):
                self.expiring.looked(self.fold.now, removed: report.removed, left: report.left)
                self.fold.expired(report.removed)
            case .failure(let error):
                // Nothing depends on it: it is tried again, and a table that fails for good shows with the next fold.
                self.expiring.failed(self.fold.now)
                self.events?.warning("Expired records could not be removed", ["reason": "\(error)"])
            }
            self.advance()
        }
    }
}
