// What the auditor asks of reservations: what is reserved for an order is there for its checkout until the end.

import KontorCore

extension Auditor {
    /// Checks that no checkout of a reserved order is refused for want of what is reserved for it.
    func judgeReservations() {
        guard hasEvenClocks, !takesLateCopies else { return }
        for (order, actions) in history.byOrder.sorted(by: { $0.key < $1.key }) {
            for reservation in actions {
                guard case .reserve(_, let seconds) = reservation.wish else { continue }
                for attempt in reservation.attempts where attempt.told == .done && !attempt.isReplay {
                    // A clock tells whole milliseconds.
                    let end = attempt.asked + .seconds(seconds) - .milliseconds(1)
                    judge(reservation, from: attempt.answered ?? .max, to: end, attempt.asked, order, actions)
                }
            }
        }
    }

    private func judge(
        _ reservation: Action, from start: Int64, to end: Int64, _ asked: Int64, _ order: String, _ actions: [Action]
    ) {
        for action in actions where action.isCheckout {
            for attempt in action.attempts where attempt.asked >= start && attempt.answered ?? .max <= end {
                guard let item = attempt.told.missingItem else { continue }
                let answered = attempt.answered ?? .max
                let enders = actions.filter { $0.endsReservation } + replacements(of: order)
                if enders.contains(where: { $0.first <= answered && $0.last >= asked }) { continue }
                violation(
                    "\(item): \(action.title) was refused it, and it was reserved for order \(order) (\(reservation.title))")
            }
        }
    }
}

extension Action {
    /// Whether it may end a reservation of its order, or change what the order needs.
    fileprivate var endsReservation: Bool {
        switch wish {
        case .giveBack, .addItem, .removeItem, .removeOrder: effect != .none
        default: false
        }
    }
}

extension Told {
    /// The item that a checkout was refused for; nil: it was not, or not for an item.
    fileprivate var missingItem: String? {
        switch self {
        case .refused(.insufficient(let account, _, _)), .refused(.contended(let account)),
            .refused(.reserved(let account)):
            account.hasPrefix("item") ? account : nil
        default: nil
        }
    }
}
