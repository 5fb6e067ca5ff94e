// Translates between the clients' words and the shop's, as the HTTP layer does in production.

import KontorCore
import KontorService

extension Wish {
    /// The request, as the HTTP layer would parse it.
    var request: ShopRequest {
        switch self {
        case .createItem(let price): return .createItem(price: Amount(price))
        case .createUser: return .createUser
        case .createOrder(let user): return .createOrder(user: id(user))
        case .place(let user, let basket):
            return .newOrder(NewOrder(user: id(user), lines: lines(basket), checksOut: true))
        case .addStock(let item, let units): return ledger(.item, item, .deposit(Amount(units)))
        case .takeStock(let item, let units): return ledger(.item, item, .withdraw(Amount(units)))
        case .addCredit(let user, let money): return ledger(.user, user, .deposit(Amount(money)))
        case .payDirectly(let user, let order, let money):
            return .pay(user: id(user), order: id(order), Amount(money))
        case .cancelPayment(let user, let order): return .cancelPayment(user: id(user), order: id(order))
        case .paymentStatus(let user, let order): return .paymentStatus(user: id(user), order: id(order))
        case .addItem(let order, let item, let units):
            return .addItem(order: id(order), item: id(item), units: Amount(units))
        case .removeItem(let order, let item): return .order(OrderCommand(id(order), .removeItem(id(item))))
        case .removeOrder(let order): return .order(OrderCommand(id(order), .remove))
        case .checkout(let order): return .checkout(order: id(order))
        case .reserve(let order, let seconds): return .reserve(order: id(order), seconds: seconds)
        case .giveBack(let order): return .giveBack(order: id(order))
        case .readItem(let item): return ledger(.item, item, .read)
        case .readUser(let user): return ledger(.user, user, .read)
        case .readOrder(let order): return .order(OrderCommand(id(order), .read))
        case .explain(let order): return .explain(order: id(order))
        case .refund(let order, let units, let restock):
            return .refund(order: id(order), lines: units.map(lines), restock: restock)
        case .listRefunds(let order): return .refunds(order: id(order))
        case .initItems(let count, let stock, let price):
            return .initItems(count: count, stock: Amount(stock), price: Amount(price))
        case .initUsers(let count, let credit): return .initUsers(count: count, credit: Amount(credit))
        case .initOrders(let count, let items, let users, let price):
            return .initOrders(count: count, items: items, users: users, price: Amount(price))
        }
    }

    private func ledger(_ kind: GroupKey.Kind, _ account: String, _ operation: LedgerCommand.Operation) -> ShopRequest {
        .ledger(LedgerCommand(GroupKey(kind, id(account)), operation))
    }

    private func lines(_ basket: Basket) -> [ItemUnits] {
        basket.units.sorted { $0.key < $1.key }.map { ItemUnits(item: id($0.key), units: Amount($0.value)) }
    }

    private func id(_ text: String) -> Identifier {
        guard let id = Identifier(text) else { preconditionFailure("A simulated client uses the invalid id \(text).") }
        return id
    }

    /// What a withdrawal wants; nil: the wish is no withdrawal.
    private var withdrawal: (account: String, amount: Int64)? {
        switch self {
        case .takeStock(let item, let units): return ("item \(item)", units)
        case .payDirectly(let user, _, let money): return ("user \(user)", money)
        default: return nil
        }
    }

    /// The meaning of an answer to this wish.
    func told(by answer: ShopAnswer) -> Told {
        switch answer {
        case .created(let id): return .created(id.text)
        case .ledger(let outcome): return told(by: outcome)
        case .order(let outcome): return told(by: outcome)
        case .checkout(.paid), .checkout(.reserved), .checkout(.givenBack), .initialized: return .done
        case .checkout(.refused(let reason)): return .refused(Refusal(reason))
        case .checkout(.notBegun(let outcome)): return told(by: outcome)
        case .explanation: return .explained
        case .refunded(let refund): return .refunded(Refunded(refund))
        case .refunds(let refunds): return .listed(refunds.map(\.reason))
        case .creditRefused(_, let outcome): return .refused(.state("\(outcome)"))
        case .replayed(let answer), .placed(_, let answer), .shown(_, _, let answer): return told(by: answer)
        case .missing: return .refused(.unknownAccount)
        case .listedOrders, .listedAccounts: return .refused(.state("a page of a list"))
        case .keyed(.late): return .nothing
        case .keyed(.leased): return .refused(.unavailable)
        case .keyed(let verdict): return .refused(.key("\(verdict)"))
        case .paidByCheckout: return .refused(.state("paid by its checkout"))
        case .orderOfAnotherUser: return .refused(.state("another user's order"))
        case .paymentStatus(let isPaid): return .payment(isPaid: isPaid)
        case .hasOpenSaga: return .refused(.state("a checkout is open"))
        case .unavailable, .overloaded: return .refused(.unavailable)
        case .unknown: return .nothing
        }
    }

    private func told(by outcome: LedgerOutcome) -> Told {
        switch outcome {
        case .done: return .done
        case .account(let account):
            if case .readUser = self { return .credit(account.balance.raw) }
            return .item(stock: account.balance.raw, price: account.price.raw)
        case .unknownAccount: return .refused(.unknownAccount)
        case .insufficient(let balance):
            guard let (account, amount) = withdrawal else { return .refused(.state("\(outcome)")) }
            return .refused(.insufficient(account: account, wanted: amount, left: balance.raw))
        case .contended: return .refused(.contended(account: withdrawal?.account ?? "nothing"))
        case .reserved: return .refused(.reserved(account: withdrawal?.account ?? "nothing"))
        default: return .refused(.state("\(outcome)"))
        }
    }

    private func told(by outcome: OrderOutcome) -> Told {
        switch outcome {
        case .done: return .done
        case .order(let order):
            return .order(isPaid: order.status == .paid, Basket(order.lines), total: order.total.raw)
        case .unknownOrder, .isRemoved: return .refused(.unknownOrder)
        case .alreadyPaid: return .refused(.orderIsPaid)
        default: return .refused(.state("\(outcome)"))
        }
    }
}

extension Refusal {
    fileprivate init(_ reason: AbortReason) {
        switch reason {
        case .insufficient(let account, let wanted, let left):
            self = .insufficient(account: account.description, wanted: wanted.raw, left: left.raw)
        case .unknownAccount: self = .unknownAccount
        case .contended(let account): self = .contended(account: account.description)
        case .reserved(let account, _): self = .reserved(account: account.description)
        case .reservationEnded: self = .state("the reservation ended")
        case .unreachable: self = .unreachable
        case .paidDirectly: self = .state("paid directly")
        case .anomaly(_, let anomaly): self = .state("\(anomaly)")
        }
    }
}

extension Action {
    /// The request. A refund's reason is the action's title, by which the judge knows it again.
    var request: ShopRequest {
        guard case .refund(let order, let owner, let lines, let restock, _) = wish.request else { return wish.request }
        return .refund(order: order, owner: owner, lines: lines, restock: restock, reason: title)
    }
}

extension Refunded {
    init(_ refund: Refund) {
        self.init(
            order: refund.id.order.text, incarnation: refund.id.incarnation, number: refund.id.number, reason: refund.reason,
            user: refund.user.text, basket: Basket(refund.lines), money: refund.amount.raw, isRestocked: refund.restock)
    }
}

extension Basket {
    init(_ lines: [OrderLine]) {
        for line in lines { units[line.item.text, default: 0] += line.units.raw }
    }
}

extension ShopAnswer {
    /// The order that was placed, whatever became of its checkout; nil: none.
    var placed: Identifier? {
        switch self {
        case .placed(let id, _): id
        case .replayed(let first): first.placed
        default: nil
        }
    }
}
