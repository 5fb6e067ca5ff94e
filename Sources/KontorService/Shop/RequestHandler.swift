// Begins admitted requests: each becomes commands to engines, a checkout, or a `batch_init`.

import KontorCore

/// Performs requests.
final class RequestHandler {
    private let parts: ShopParts
    private let payments: DirectPayments
    private let batchInits: BatchInits
    private let newOrders: NewOrders
    private let lists: Lists

    init(_ parts: ShopParts) {
        self.parts = parts
        payments = DirectPayments(parts)
        batchInits = BatchInits(parts)
        newOrders = NewOrders(parts)
        lists = Lists(parts)
    }

    /// `batch_init`s that run.
    var runningBatchInits: Int { batchInits.running }

    /// - Parameters:
    ///   - keyed: the request with its idempotency key; nil: it has no key.
    ///   - deadline: monotonic milliseconds.
    func begin(
        _ request: ShopRequest, _ keyed: KeyedRequest?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        let write = keyed?.write
        switch request {
        case .createItem(let price): open(.item, price: price, keyed, answer: answer)
        case .createUser: open(.user, price: .zero, keyed, answer: answer)
        case .newAccount(let kind, let price, let balance):
            open(kind, price: price, balance: balance, keyed, answer: answer)
        case .newOrder(let new): newOrders.create(newID(keyed), new, keyed, deadline: deadline, answer: answer)
        case .setLines(let order, let lines, let tags, let owner):
            newOrders.setLines(
                of: order, to: lines, tags: tags, owner: owner, write, deadline: deadline, answer: answer)
        case .shown: preconditionFailure("Who takes requests unwraps this one.")
        case .ledger(let command):
            parts.ledger(command.account.kind).submit(command, keyed: write, waitsUntil: .client(deadline)) {
                answer($0.answer)
            }
        case .pay(let user, let order, let amount):
            payments.pay(amount, user: user, order: order, write, deadline: deadline, answer: answer)
        case .cancelPayment(let user, let order): payments.cancel(user: user, order: order, write, answer: answer)
        case .paymentStatus(let user, let order): payments.status(user: user, order: order, answer: answer)
        case .initItems(let count, let stock, let price):
            batchInits.replaceAccounts(.item, count: count, balance: stock, price: price, keyed, answer: answer)
        case .initUsers(let count, let credit):
            batchInits.replaceAccounts(.user, count: count, balance: credit, price: .zero, keyed, answer: answer)
        case .initOrders(let count, let items, let users, let price):
            batchInits.replaceOrders(count: count, items: items, users: users, price: price, keyed, answer: answer)
        case .createOrder(let user):
            parts.orders.create(newID(keyed), for: user, keyed: write, deadline: deadline, answer: answer)
        case .addItem(let order, let item, let units, let owner):
            parts.orders.addItem(
                item, units: units, to: order, owner: owner, keyed: write, deadline: deadline, answer: answer)
        case .order(let command): parts.orders.submit(command, keyed: write) { answer($0.answer) }
        case .checkout, .reserve, .giveBack:
            guard let wished = request.wishedOrder else { preconditionFailure("Its order is not known.") }
            parts.orders.run(wished, keyed: write, deadline: deadline, answer: answer)
        case .explain(let order, let owner): parts.orders.explain(order, owner: owner, deadline: deadline, answer: answer)
        case .refund(let order, let owner, let lines, let restock, let reason):
            let request = RefundRequest(order: order, owner: owner, lines: lines, restock: restock, reason: reason)
            parts.orders.refund(request, write, deadline: deadline, answer: answer)
        case .refunds(let order, let owner): parts.orders.listRefunds(of: order, owner: owner, answer: answer)
        case .listOrders(let user, let state, let cursor, let bound):
            lists.list(ListPage(.orders(of: user, in: state), behind: cursor, atMost: bound), deadline, answer: answer)
        case .listItems(let cursor, let bound):
            lists.list(ListPage(.accounts(.item), behind: cursor, atMost: bound), deadline, answer: answer)
        case .listUsers(let cursor, let bound):
            lists.list(ListPage(.accounts(.user), behind: cursor, atMost: bound), deadline, answer: answer)
        }
    }

    private func open(
        _ kind: GroupKey.Kind, price: Amount, balance: Amount = .zero, _ keyed: KeyedRequest?,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        let id = newID(keyed)
        let command = LedgerCommand(GroupKey(kind, id), .open(price: price, balance: balance))
        parts.ledger(kind).submit(command, keyed: keyed?.write) { reply in
            if case .decided(.done) = reply { answer(.created(id)) } else { answer(reply.answer) }
        }
    }

    /// The id of a new record. A creation under a key derives its id from the key, so that even a repetition after the
    /// key's expiry makes no second record.
    private func newID(_ keyed: KeyedRequest?) -> Identifier {
        keyed?.group.id ?? parts.environment.newID()
    }
}
