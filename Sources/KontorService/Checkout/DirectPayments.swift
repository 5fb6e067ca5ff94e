// Direct payments for orders: the ledger knows those, and only the order knows whether a checkout paid it.

import KontorCore

extension Shop {
    func cancelPayment(
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

    func paymentStatus(user: Identifier, order: Identifier, answer: @escaping (ShopAnswer) -> Void) {
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
        let question = OrderQuestion(command: OrderCommand(order, .read)) { reply in
            switch reply {
            case .decided(.order(let order)): then(order.status == .paid && order.user == user)
            case .decided: then(false)
            case .refused(let trouble): answer(.unavailable(trouble))
            // Nothing was changed so far.
            case .unknown, .keyed: answer(.unavailable(.unreachable("order service")))
            }
        }
        parts.orderReader.ask([question])
    }
}
