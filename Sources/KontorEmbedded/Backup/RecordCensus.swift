// How many records of which kind there are, and which checkouts are open: what a backup and the doctor tell.

import KontorCore

/// Counts records. Memory is constant, but for the oldest open checkouts, which are few.
public struct RecordCensus: Equatable, Sendable {
    /// A checkout that has not finished.
    public struct OpenSaga: Equatable, Sendable {
        public let order: Identifier
        public let phase: SagaRecord.Phase
        /// Wall clock, milliseconds since 1970.
        public let begun: Int64
        /// Wall clock, milliseconds since 1970: when it gives up, if it is undecided.
        public let deadline: Int64
    }

    public private(set) var items = 0
    public private(set) var users = 0
    public private(set) var orders = 0
    public private(set) var paidOrders = 0
    public private(set) var openSagas = 0
    /// Parts of accounts that open checkouts have locked, or have settled and not forgotten yet.
    public private(set) var holds = 0
    /// Idempotency keys; those that have expired go by and by.
    public private(set) var keys = 0
    /// Direct payments, receipts, and whatever else belongs to accounts and orders.
    public private(set) var others = 0
    /// Those that began first, at most ``EmbeddedLimits/oldestSagas``.
    public private(set) var oldestSagas: [OpenSaga] = []

    public var accounts: Int { items + users }
    public var records: Int { accounts + orders + openSagas + holds + keys + others }

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
        case (.hold, .hold): holds += 1
        case (.key, .key): keys += 1
        default: others += 1
        }
    }

    private mutating func add(_ saga: OpenSaga) {
        let place = oldestSagas.firstIndex { $0.begun > saga.begun } ?? oldestSagas.count
        oldestSagas.insert(saga, at: place)
        if oldestSagas.count > EmbeddedLimits.oldestSagas { oldestSagas.removeLast() }
    }
}
