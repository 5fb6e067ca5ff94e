// Orphans: holds and markers whose saga nobody drives any more. They are settled by asking their order; nothing is
// guessed.

import KontorCore

/// A hold or marker of a saga that does not run here.
struct Orphan {
    let account: GroupKey
    let saga: SagaID
    let hold: Hold
}

/// A marker of a refund's credit that nobody has let go.
struct OrphanedCredit {
    let account: GroupKey
    let refund: RefundID
}

/// Settles orphans: after a restart, and, where several processes share a store, in the background.
final class OrphanSettlement {
    enum Result {
        case settled
        /// The hold is in its place: its saga will end it.
        case sagaIsOpen
        /// The order cannot be read now.
        case unreadable
        /// The ledger could not write the end now: the disk may be full.
        case notEnded
    }

    /// The order's answer about a saga.
    private enum Verdict {
        case open, committed, notCommitted
        /// The order has another incarnation: the saga is over, and its decision is not known.
        case ofAnotherIncarnation
        case unreadable
    }

    private let shop: ShopParts
    /// Whether a copy of a hold can come after its saga is over. In one process it cannot.
    private let holdsCanBeLate: Bool

    init(_ shop: ShopParts, holdsCanBeLate: Bool) {
        self.shop = shop
        self.holdsCanBeLate = holdsCanBeLate
    }

    func settle(_ orphan: Orphan, completion: @escaping (Result) -> Void) {
        shop.reads.ask(OrderCommand(orphan.saga.order, .inspect)) { [self] reply in
            let verdict = verdict(on: orphan.saga, reply)
            switch verdict {
            case .open: completion(.sagaIsOpen)
            case .unreadable: completion(.unreadable)
            case .committed, .notCommitted, .ofAnotherIncarnation:
                alarmIfContradicting(orphan, verdict)
                end(orphan, completion)
            }
        }
    }

    private func verdict(on saga: SagaID, _ reply: OrderReply) -> Verdict {
        switch reply {
        case .decided(.inspected(let order, let running)):
            if running?.id == saga { return .open }
            if order.incarnation != saga.incarnation { return .ofAnotherIncarnation }
            let isReserved = order.isReserved(by: saga)
            if isReserved, running != nil || order.status == .reserved { return .open }
            return order.status == .paid && (order.attempt == saga.attempt || isReserved) ? .committed : .notCommitted
        case .decided: return .notCommitted
        case .refused, .unknown, .keyed: return .unreadable
        }
    }

    private func alarmIfContradicting(_ orphan: Orphan, _ verdict: Verdict) {
        let isContradiction: Bool
        switch (verdict, orphan.hold.state) {
        // A hold that came late and was undone has no grant.
        case (.committed, .released): isContradiction = orphan.hold.grant != 0
        // A saga finishes only after all of its captures were acknowledged.
        case (.committed, .held): isContradiction = !holdsCanBeLate
        case (.notCommitted, .captured): isContradiction = true
        default: isContradiction = false
        }
        guard isContradiction else { return }
        shop.metrics.contradictingLocks.increment()
        shop.log.alarm(
            "A finished saga left a lock that contradicts its order",
            ["saga": "\(orphan.saga)", "account": "\(orphan.account)", "hold": "\(orphan.hold.state)"])
    }

    /// Ends an orphan whose saga is over. A lock that is still held came late, and is undone, never captured: a wrong
    /// clock costs time, not stock.
    private func end(_ orphan: Orphan, _ completion: @escaping (Result) -> Void) {
        let end: LedgerCommand.Operation = orphan.hold.state == .held ? .undo(orphan.saga) : .forget(orphan.saga)
        shop.ledger(orphan.account.kind).submit(LedgerCommand(orphan.account, end)) { reply in
            if case .decided = reply { completion(.settled) } else { completion(.notEnded) }
        }
    }

    /// Lets a marker go whose refund is over. That a refund is not known means that it is over: its record is written
    /// before anything is credited, and stays.
    func settle(_ credit: OrphanedCredit, completion: @escaping (Result) -> Void) {
        shop.reads.ask(OrderCommand(credit.refund.order, .findRefund(credit.refund))) { [self] reply in
            switch reply {
            case .decided(.refundOpen): return completion(.sagaIsOpen)
            case .decided: break
            case .refused, .unknown, .keyed: return completion(.unreadable)
            }
            let expiry = CreditMarker.latestExpiry(now: shop.clock.wallMilliseconds)
            let command = LedgerCommand(credit.account, .forgetRefund(credit.refund, expiry: expiry))
            shop.ledger(credit.account.kind).submit(command) { reply in
                if case .decided = reply { completion(.settled) } else { completion(.notEnded) }
            }
        }
    }
}
