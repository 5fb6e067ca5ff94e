// Counts a store's records: what a backup and the doctor report.

import KontorCore

/// The number of records of each kind, and the oldest open checkouts.
public struct RecordCensus: Equatable, Sendable {
    /// A checkout that has not finished.
    public struct OpenSaga: Equatable, Sendable {
        /// The order that is checked out.
        public let order: Identifier
        /// How far the checkout is.
        public let phase: SagaRecord.Phase
        /// When it began, in milliseconds since 1970.
        public let begun: Int64
        /// When it gives up if nothing is decided by then, in milliseconds since 1970.
        public let deadline: Int64
    }

    /// Accounts of items.
    public private(set) var items = 0
    /// Accounts of users.
    public private(set) var users = 0
    /// Orders, paid or not.
    public private(set) var orders = 0
    /// Orders that are paid.
    public private(set) var paidOrders = 0
    /// Checkouts that have not finished.
    public private(set) var openSagas = 0
    /// Refunds of orders, open or finished.
    public private(set) var refunds = 0
    /// Holds and markers of open checkouts and refunds on accounts.
    public private(set) var holds = 0
    /// Idempotency keys. Expired ones count until they are removed.
    public private(set) var keys = 0
    /// Entries of the lists: one for each account and order, once they are complete.
    public private(set) var listed = 0
    /// Direct payments, receipts, and whatever else belongs to accounts and orders.
    public private(set) var others = 0
    /// The open checkouts that began first, at most ``EmbeddedLimits/oldestSagas``.
    public private(set) var oldestSagas: [OpenSaga] = []

    /// Accounts of items and users.
    public var accounts: Int { items + users }
    /// All records.
    public var records: Int { accounts + orders + openSagas + refunds + holds + keys + listed + others }
    /// Whether each account and order is listed.
    var isListed: Bool { listed == accounts + orders }

    mutating func add(_ key: RecordKey, _ record: Record) {
        switch (key.member, record) {
        case (.head, .account):
            if key.group.kind == .item { items += 1 } else { users += 1 }
        case (.head, .order(let order)):
            orders += 1
            if order.status == .paid { paidOrders += 1 }
        case (.saga, .saga(let saga)):
            openSagas += 1
            add(OpenSaga(order: saga.id.order, phase: saga.phase, begun: saga.begun, deadline: saga.deadline))
        case (.hold, .hold), (.refund, .marker): holds += 1
        case (.refund, .refund), (.refunded, .refund): refunds += 1
        case (.key, .key): keys += 1
        case (.listed, .listed): listed += 1
        default: others += 1
        }
    }

    private mutating func add(_ saga: OpenSaga) {
        let place = oldestSagas.firstIndex { $0.begun > saga.begun } ?? oldestSagas.count
        oldestSagas.insert(saga, at: place)
        if oldestSagas.count > EmbeddedLimits.oldestSagas { oldestSagas.removeLast() }
    }
}
