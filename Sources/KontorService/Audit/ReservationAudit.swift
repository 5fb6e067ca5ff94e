// What the audit knows of reservations: orders that are reserved, their locks, and when they are due.

import KontorCore

/// The reservations of a cut.
struct ReservationAudit {
    /// The stock that is reserved, by the saga in whose name the locks stand.
    private var reserved: [SagaID: [Leg]] = [:]
    /// The open sagas that found a reservation, by the saga in whose name its locks stand.
    private var sagas: [SagaID: SagaRecord] = [:]
    /// When the reservation of an order is over, as the index says and as the order says.
    private var dues: [GroupKey: (said: Set<Int64>, expected: Set<Int64>)] = [:]

    mutating func add(_ order: Order, _ group: GroupKey) {
        guard let reservation = order.reservation, order.status == .reserved || order.status == .checkingOut else { return }
        dues[group, default: ([], [])].expected.insert(reservation.until)
        guard order.status == .reserved else { return }
        let saga = SagaID(order: group.id, incarnation: order.incarnation, attempt: reservation.attempt)
        reserved[saga] = order.stockLegs
    }

    mutating func add(_ saga: SagaRecord) {
        guard let found = saga.found, let leg = saga.legs.indices.first(where: saga.isFound) else { return }
        sagas[saga.holder(ofLeg: leg)] = saga
        guard case .aborted(.reservationEnded) = saga.phase else { return }
        // Its end has begun: nobody need find it.
        dues[GroupKey(.order, saga.id.order), default: ([], [])].said.insert(found.until)
    }

    mutating func add(due time: Int64, of group: GroupKey) { dues[group, default: ([], [])].said.insert(time) }

    /// The open saga that ends the locks of this one, which stand for a reservation; nil: none does.
    func saga(of holder: SagaID) -> SagaRecord? { sagas[holder] }

    /// Whether the locks of a saga stand for a reservation.
    func stands(_ saga: SagaID) -> Bool { reserved[saga] != nil }

    /// - Parameters:
    ///   - holds: by account and saga.
    ///   - hasDues: whether the index is among the records.
    func check(_ holds: [RecordKey: Hold], hasDues: Bool, _ report: inout AuditReport) {
        report.reservations = reserved.count
        for (saga, legs) in reserved {
            for leg in legs {
                let hold = holds[RecordKey(leg.account, .hold(saga))]
                if let hold, hold.state == .held, hold.reservedUntil != 0, hold.amount == leg.amount { continue }
                report.add(
                    .wrongReservation, "\(leg.account)", "order \(saga.order) has \(leg.amount.raw) of it reserved, but no lock"
                )
            }
        }
        guard hasDues else { return }
        for (group, due) in dues where due.said != due.expected {
            report.add(.wrongReservation, "\(group)", "its reservation is not where those are found that are over")
        }
    }
}

extension SagaRecord {
    /// The legs, and the locks on their accounts.
    var locks: [(leg: Leg, lock: RecordKey)] {
        legs.indices.map { (legs[$0], RecordKey(legs[$0].account, .hold(holder(ofLeg: $0)))) }
    }
}
