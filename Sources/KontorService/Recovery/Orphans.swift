// Holds and markers that nobody's saga drives any more: settled by asking their order. Nothing is guessed.

import KontorCore

/// A hold or marker of a saga that does not run here.
struct Orphan {
    let account: GroupKey
    let saga: SagaID
    let hold: Hold
}

/// Settles orphans, after a restart and, of several processes, in the background.
final class OrphanSettlement {
    enum Result {
        case settled
        /// It is in its place: its saga will end it.
        case sagaIsOpen
        /// The order cannot be read now.
        case unreadable
    }

    /// What the order says of a saga.
    private enum Verdict {
        case open, committed, notCommitted
        /// Of a life of the order before `batch_init`: over, and more is not known.
        case ofAnotherLife
        case unreadable
    }

    private let shop: ShopParts
    /// A copy of a hold can come when its saga is over. In one process it cannot.
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
            case .committed, .notCommitted, .ofAnotherLife:
                alarmIfContradicting(orphan, verdict)
                end(orphan, completion)
            }
        }
    }

    private func verdict(on saga: SagaID, _ reply: OrderReply) -> Verdict {
        switch reply {
        case .decided(.inspected(let order, let running)):
            if running?.id == saga { return .open }
            if order.incarnation != saga.incarnation { return .ofAnotherLife }
            return order.status == .paid && order.attempt == saga.attempt ? .committed : .notCommitted
        case .decided: return .notCommitted
        case .refused, .unknown, .keyed: return .unreadable
        }
    }

    private func alarmIfContradicting(_ orphan: Orphan, _ verdict: Verdict) {
        let isContradiction: Bool
        switch (verdict, orphan.hold.state) {
        // What came late and was undone has no grant any more.
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

    /// The saga is over. A lock that is still held came late, and is undone: it is never captured, so that a wrong clock costs time and
    /// not stock.
    private func end(_ orphan: Orphan, _ completion: @escaping (Result) -> Void) {
        let end: LedgerCommand.Operation = orphan.hold.state == .held ? .undo(orphan.saga) : .forget(orphan.saga)
        shop.ledger(orphan.account.kind).submit(LedgerCommand(orphan.account, end)) { _ in completion(.settled) }
    }
}
