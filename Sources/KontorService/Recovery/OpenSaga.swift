// What some process must drive to its end: a checkout or a refund, as a scan of open work finds it.

import KontorCore

/// An open checkout or refund.
enum OpenSaga {
    case checkout(SagaRecord)
    case refund(Refund)

    /// - Returns: nil: the record is neither.
    init?(_ record: Record) {
        switch record {
        case .saga(let saga): self = .checkout(saga)
        case .refund(let refund) where refund.finished == nil: self = .refund(refund)
        default: return nil
        }
    }

    /// What is watched: an order has one checkout at a time, and may have several refunds.
    struct Name: Hashable, Comparable {
        let order: Identifier
        /// nil: it is a checkout.
        let refund: RefundID?

        static func < (left: Name, right: Name) -> Bool {
            (left.order, left.refund?.number ?? 0, left.refund?.incarnation ?? 0)
                < (right.order, right.refund?.number ?? 0, right.refund?.incarnation ?? 0)
        }

        var readSet: ReadSet { ReadSet(GroupKey(.order, order), refund.map { .refund($0) } ?? .saga) }
    }

    /// How far it is. As long as that stays the same, it stands still, or nobody can see that it does not.
    enum State: Hashable {
        case checkout(SagaID, SagaRecord.Phase)
        case refund(driver: UInt64)
    }

    var name: Name {
        switch self {
        case .checkout(let saga): Name(order: saga.id.order, refund: nil)
        case .refund(let refund): Name(order: refund.id.order, refund: refund.id)
        }
    }

    var state: State {
        switch self {
        case .checkout(let saga): .checkout(saga.id, saga.phase)
        case .refund(let refund): .refund(driver: refund.driver)
        }
    }

    /// The process that drives it; nil: its order's version tells.
    var driver: UInt64? { if case .refund(let refund) = self { refund.driver } else { nil } }

    var group: GroupKey { GroupKey(.order, name.order) }
}
