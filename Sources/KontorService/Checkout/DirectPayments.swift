// Direct payments for orders. A user's ledger knows its direct payments; only the order knows whether a checkout paid
// it.

import KontorCore

/// Performs requests that concern a user's ledger and an order at once.
final class DirectPayments {
    private let parts: ShopParts

    init(_ parts: ShopParts) { self.parts = parts }

    /// Gives a direct payment back. If a checkout paid the order, the answer says so.
    func cancel(
        user: Identifier, order: Identifier, _ keyed: KeyedWrite?, answer: @escaping (ShopAnswer) -> Void
    ) {
        let command = LedgerCommand(GroupKey(.user, user), .cancelPayment(order: order))
        parts.payment.submit(command, keyed: keyed) { [self] reply in
            guard reply == .decided(.noDirectPayment) else { return answer(reply.answer) }
            isPaidByCheckout(order, user: user, answer: answer) { isPaid in
                answer(isPaid ? .paidByCheckout : reply.answer)
            }
        }
    }

    /// Tells whether the user has paid the order, directly or by a checkout.
    func status(user: Identifier, order: Identifier, answer: @escaping (ShopAnswer) -> Void) {
        let command = LedgerCommand(GroupKey(.user, user), .findPayment(order: order))
        parts.payment.submit(command) { [self] reply in
            guard reply == .decided(.payment(isPaid: false)) else { return answer(reply.answer) }
            isPaidByCheckout(order, user: user, answer: answer) { isPaid in
                answer(.ledger(.payment(isPaid: isPaid)))
            }
        }
    }

    private func isPaidByCheckout(
        _ order: Identifier, user: Identifier, answer: @escaping (ShopAnswer) -> Void, then: @escaping (Bool) -> Void
    ) {
        parts.reads.ask(OrderCommand(order, .read)) { reply in
            switch reply {
            case .decided(.order(let order)): then(order.status == .paid && order.user == user)
            case .decided: then(false)
            case .refused(let error): answer(.unavailable(error))
            // Nothing was changed so far.
            case .unknown, .keyed: answer(.unavailable(.unreachable("order service")))
            }
        }
    }
}
