// The Order service: orders and their items, and the checkouts and refunds that its coordinators drive.

import KontorCore

/// Orders, their items, and their checkouts. The service reads accounts, but changes them only by its sagas.
final class OrderService {
    private let engine: ShardedEngine<OrderRules>
    private let metrics: EngineMetrics
    private let router: MessageRouter
    private let random: any RandomSource
    let clock: any ShopClock
    let reads: Reads
    let coordinator: CheckoutCoordinator
    let refunds: RefundCoordinator
    /// The writer of the versions that this process makes.
    let writer: UInt64
    /// Whether the payment service understands a question for a direct payment: processes up to release 0.1 do not.
    let canAskForPayments: Bool
    /// Whether the store has a place for refunds and reservations, and the other services understand what they are told
    /// of them.
    let canRefund: Bool

    /// - Parameters:
    ///   - router: carries the messages of sagas.
    ///   - reads: reads items and users.
    ///   - isAlone: whether no message can be lost, doubled or late.
    init(_ environment: ShopEnvironment, agenda: Agenda, router: MessageRouter, reads: Reads, isAlone: Bool) {
        metrics = EngineMetrics(environment.metrics.factory, engine: "order")
        engine = ShardedEngine(
            store: environment.store, agenda: agenda, metrics: metrics, clock: environment.clock)
        self.router = router
        self.reads = reads
        random = environment.random
        clock = environment.clock
        canAskForPayments = isAlone || environment.store.format >= .four
        canRefund = environment.store.format >= .four
        writer = environment.store.writer
        refunds = RefundCoordinator(orders: engine, environment, router: router)
        coordinator = CheckoutCoordinator(orders: engine, environment, router: router, isAlone: isAlone)
    }

    /// Sets the gauges.
    func publish() {
        metrics.publish()
        coordinator.publish()
        refunds.publish()
    }

    /// Commands that are not decided.
    var waiting: Int { engine.waiting }

    func submit(
        _ command: OrderCommand, keyed: KeyedWrite? = nil, reply: @escaping (Reply<OrderOutcome>) -> Void
    ) {
        engine.submit(command, keyed: keyed, reply: reply)
    }

    /// Takes a question about an order. While it has too much to do it drops those of other processes, which repeat
    /// them.
    func receive(_ question: OrderCommand, from origin: Message.Origin) {
        guard engine.waiting < Limits.mailboxCommands || !origin.isLink else { return }
        engine.submit(question) { [router] in router.reply(origin, .orderReply($0)) }
    }

    /// Does with an order what is wished.
    func run(
        _ wished: WishedOrder, keyed: KeyedWrite?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        if wished.wish != .checkout, !canRefund { return answer(.unavailable(Self.needsUpgrade)) }
        coordinator.run(
            wished.order, wished.wish, owner: wished.owner, keyed: keyed, deadline: deadline, callback: answer)
    }

    /// Creates an empty order for a user who exists.
    func create(
        _ id: Identifier, for user: Identifier, keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        read(GroupKey(.user, user), deadline: deadline, answer: answer) { [self] _ in
            let order = Order(user: user, incarnation: random.next(), created: clock.wallMilliseconds)
            engine.submit(OrderCommand(id, .create(order)), keyed: keyed) { reply in
                if case .decided(.done) = reply { answer(.created(id)) } else { answer(reply.answer) }
            }
        }
    }

    /// Adds units of an item at the price that it has now.
    func addItem(
        _ item: Identifier, units: Amount, to order: Identifier, owner: Identifier?, keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        read(GroupKey(.item, item), deadline: deadline, answer: answer) { [self] account in
            let line = OrderLine(item: item, units: units, price: account.price)
            engine.submit(OrderCommand(order, .addItem(line), owner: owner), keyed: keyed) { answer($0.answer) }
        }
    }

    /// Replaces an order by one of two random items for a random user, as `batch_init` makes them.
    func replaceByRandomOrder(
        _ number: Int, items: Int, users: Int, price: Amount, keyed: KeyedWrite?, reply: @escaping (Reply<OrderOutcome>) -> Void
    ) {
        var order = Order(
            user: Identifier(number: draw(below: users)), incarnation: random.next(), created: clock.wallMilliseconds)
        let first = OrderLine(item: Identifier(number: draw(below: items)), units: Amount(1), price: price)
        let second = OrderLine(item: Identifier(number: draw(below: items)), units: Amount(1), price: price)
        if first.item == second.item {
            order.lines = [OrderLine(item: first.item, units: Amount(2), price: price)]
        } else {
            order.lines = [first, second]
        }
        order.total = price + price
        engine.submit(OrderCommand(Identifier(number: number), .replace(order)), keyed: keyed, reply: reply)
    }

    private func draw(below bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    /// Reads an account, and goes on only if it is there.
    private func read(
        _ account: GroupKey, deadline: Int64, answer: @escaping (ShopAnswer) -> Void, then: @escaping (Account) -> Void
    ) {
        reads.read(account, deadline: deadline) { reply in
            switch reply {
            case .decided(.account(let account)): then(account)
            case .decided(let outcome): answer(.ledger(outcome))
            case .refused(let error): answer(.unavailable(error))
            // A read without an answer changed nothing: the request has not begun.
            case .unknown, .keyed: answer(.unavailable(.unreachable("\(account.kind) ledger")))
            }
        }
    }
}

extension ShopAnswer {
    /// The answer to a client for an engine's reply.
    ///
    /// - Parameter decided: makes the answer for an outcome.
    init<Outcome>(_ reply: Reply<Outcome>, _ decided: (Outcome) -> ShopAnswer) {
        switch reply {
        case .decided(let outcome): self = decided(outcome)
        case .refused(let error): self = .unavailable(error)
        case .keyed(let verdict): self = .keyed(verdict)
        case .unknown: self = .unknown
        }
    }
}

extension OrderReply {
    var answer: ShopAnswer { ShopAnswer(self) { .order($0) } }
}

extension LedgerReply {
    var answer: ShopAnswer { ShopAnswer(self) { .ledger($0) } }
}
