// What an audit found.

import KontorCore

/// The outcome of an audit.
public struct AuditReport: Hashable, Sendable {
    /// What can be wrong with an account or an order.
    public enum Finding: String, Sendable {
        case wrongBalance, wrongHeld, wrongCaptured, wrongTotal, lockWithoutSaga, capturedUndecided, releasedCommitted
        case committedWithoutHold, missingAccount, misplacedRecord, unreadableRecord, wrongSum, wrongRefunded
        case wrongLists, wrongReservation
    }

    /// One thing that is wrong, and where.
    public struct Culprit: Hashable, Sendable {
        public let finding: Finding
        /// The account or order.
        public let subject: String
        /// The numbers that contradict each other, in words.
        public let detail: String
    }

    /// Accounts of the cut.
    public internal(set) var accounts = 0
    /// Orders of the cut, without receipts.
    public internal(set) var orders = 0
    /// Paid orders, receipts included.
    public internal(set) var paidOrders = 0
    /// The paid orders that `batch_init` has replaced since.
    public internal(set) var receipts = 0
    /// Checkouts that had not ended.
    public internal(set) var openSagas = 0
    /// Orders whose stock is reserved.
    public internal(set) var reservations = 0
    /// Refunds of all orders, receipts included.
    public internal(set) var refunds = 0
    /// The refunds of these that had not ended.
    public internal(set) var openRefunds = 0
    /// What is wrong, at most `Limits.auditCulprits`.
    public private(set) var culprits: [Culprit] = []
    /// How much more is wrong, at least.
    public private(set) var unnamedCulprits = 0

    /// Whether the books balance.
    public var isClean: Bool { culprits.isEmpty }

    /// Whether more culprits can be named.
    var hasRoom: Bool { culprits.count < Limits.auditCulprits }

    mutating func add(_ finding: Finding, _ subject: String, _ detail: String) {
        guard hasRoom else { return addUnnamed(1) }
        culprits.append(Culprit(finding: finding, subject: subject, detail: detail))
    }

    mutating func addUnnamed(_ count: Int) { unnamedCulprits += count }
}
