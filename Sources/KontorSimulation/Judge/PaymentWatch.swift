// Watches direct payments and paid orders as they are committed: an order is paid once, at every moment.

import KontorCore

/// Knows which orders are paid, and which direct payments stand, and tells when both are true of one order.
final class PaymentWatch {
    private struct Standing {
        let user: Identifier
        let payment: DirectPayment
    }

    private let violation: (String) -> Void
    private var orders: [Identifier: Order] = [:]
    /// By order and user.
    private var payments: [Identifier: [Standing]] = [:]
    private var generations: [Identifier: UInt32] = [:]

    init(_ violation: @escaping (String) -> Void) { self.violation = violation }

    /// Takes a record as it is committed or read.
    func note(_ key: RecordKey, _ record: Record?) {
        switch (key.group.kind, key.member, record) {
        case (.order, .head, .order(let order)?):
            orders[key.group.id] = order
            judge(key.group.id)
        case (.user, .head, .account(let account)?): generations[key.group.id] = account.generation
        case (.user, .payment(let order), _):
            payments[order]?.removeAll { $0.user == key.group.id }
            guard case .payment(let payment)? = record, !payment.isCancelled else { return }
            payments[order, default: []].append(Standing(user: key.group.id, payment: payment))
            judge(order)
        default: break
        }
    }

    /// Forgets everything after a crash: commits may be lost. What is left is noted when it is read again.
    func crash() { (orders, payments, generations) = ([:], [:], [:]) }

    private func judge(_ id: Identifier) {
        guard let order = orders[id] else { return }
        for standing in payments[id] ?? [] where standing.payment.incarnation == order.incarnation {
            // `batch_init` has ended payments of earlier generations.
            if let generation = generations[standing.user], generation != standing.payment.generation { continue }
            if standing.user != order.user {
                violation("order \(id) is user \(order.user)'s, and user \(standing.user) paid directly for it")
            } else if order.status == .paid {
                violation("order \(id) is paid by a checkout, and a direct payment for it stands")
            }
        }
    }
}
