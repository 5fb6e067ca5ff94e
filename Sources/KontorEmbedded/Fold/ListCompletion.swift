// Makes the lists of a store that an older release wrote, or that was restored from one's backup: slice by slice, when
// the fold has nothing else to do. The table knows how far it has come, so a kill costs one slice at most.

import KontorCore
import KontorService

/// Lists what is not listed yet. Until that is done, the lists are refused.
final class ListCompletion {
    private let worker: FoldWorker
    private let ports: StorePorts
    private(set) var isComplete: Bool
    /// The last frame that may be an older release's: its records must be in the table before they are looked for
    /// there.
    private let lastOldFrame: UInt64
    private var foldedThrough: UInt64 = 0
    /// The records that were looked at since the start.
    private var records = 0
    /// At the last tick: monotonic milliseconds.
    private var now: Int64 = 0
    /// When the next slice may begin.
    private var next: Int64 = .min
    /// When operators are told how far it is; nil: nothing was told yet.
    private var nextNotice: Int64?

    /// - Parameter lastOldFrame: the last frame that the start has replayed; 0: none.
    init(_ worker: FoldWorker, isComplete: Bool, lastOldFrame: UInt64, _ ports: StorePorts) {
        self.worker = worker
        self.isComplete = isComplete
        self.lastOldFrame = lastOldFrame
        self.ports = ports
    }

    /// Whether there is a slice to do now.
    var isDue: Bool { !isComplete && now >= next && foldedThrough >= lastOldFrame }

    /// Why the lists cannot be read; nil: they can.
    var trouble: StoreError? {
        isComplete ? nil : .unreachable("the lists are being made since an upgrade: \(records) records were looked at")
    }

    /// - Parameter now: monotonic milliseconds.
    func tick(_ now: Int64) { self.now = now }

    /// Notes that the table contains all frames through `sequence`.
    func folded(through sequence: UInt64) { foldedThrough = sequence }

    /// Lists a slice. No other work of the fold may run meanwhile.
    ///
    /// - Parameter completion: is told how many records were looked at.
    func runSlice(_ completion: @escaping (Int) -> Void) {
        tell()
        ports.lanes.perform(on: .fold) { [worker] in
            worker.list()
        } then: { [self] result in
            switch result {
            case .success(let slice):
                records += slice.records
                isComplete = slice.isLast
                for reason in slice.unreadable {
                    ports.events?.warning("A record cannot be read, and is in no list", ["reason": reason])
                }
                if isComplete { ports.events?.notice("All accounts and orders are listed", ["records": "\(records)"]) }
                completion(slice.records)
            case .failure(let error):
                next = now + EmbeddedLimits.listRetryMilliseconds
                ports.events?.warning("The lists could not be made; it is tried again", ["reason": "\(error)"])
                completion(0)
            }
        }
    }

    private func tell() {
        guard now >= nextNotice ?? .min else { return }
        let message: StaticString =
            nextNotice == nil
            ? "The accounts and orders of an older release are being listed; until then lists are refused"
            : "Accounts and orders are being listed"
        ports.events?.notice(message, ["records": "\(records)"])
        nextNotice = now + EmbeddedLimits.listNoticeMilliseconds
    }
}
