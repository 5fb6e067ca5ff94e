// What the auditor knows of direct payments: an order is paid once, by somebody who is there.

extension Auditor {
    /// Checks that no order is paid twice, nor for a user who is not there, nor said to be paid without a reason.
    func judgePayments() {
        for payment in final.payments.sorted(by: { ($0.order, $0.user) < ($1.order, $1.user) }) {
            guard let order = final.orders[payment.order], order.isPaid, order.user == payment.user,
                payment.incarnation ?? order.incarnation == order.incarnation,
                payment.generation == final.accounts["user \(payment.user)"]?.generation
            else { continue }
            violation("order \(payment.order) is paid twice: by its checkout, and directly")
        }
        for (id, order) in final.orders.sorted(by: { $0.key < $1.key })
        where order.isPaid && final.accounts["user \(order.user)"] == nil {
            violation("order \(id) is paid, and there is no user \(order.user)")
        }
        for action in history.actions where action.lastTold == .payment(isPaid: true) {
            guard case .paymentStatus(let user, let id) = action.wish else { continue }
            let hasReason = history.actions.contains { other in
                guard other.effect != .none, other.first <= action.attempts.last?.answered ?? .max else { return false }
                switch other.wish {
                case .checkout(id), .payDirectly(user, id, _): return true
                case .place: return other.order == id
                default: return false
                }
            }
            if !hasReason { violation("order \(id): \(action.title) was told that it is paid, and nobody can have paid it") }
        }
    }
}
