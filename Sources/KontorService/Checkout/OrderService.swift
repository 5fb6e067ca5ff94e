// The Order service: orders and their items, and the checkouts that its coordinator drives.

import KontorCore

/// Orders, their items, and their checkouts. Reads accounts of the ledgers, but changes them only by its sagas.
public final class OrderService: OrderReader {
    private let engine: Engine<OrderRules>
    private let probe: EngineProbe
    // Read from, and changed only by sagas.
    let stock: any Participant
    let payment: any Participant
    private let clock: any ShopClock
    private let random: any RandomSource
    let coordinator: CheckoutCoordinator

    /// - Parameters:
    ///   - stock: where items are read; it answers always.
    ///   - payment: where users are read; it answers always.
    ///   - wires: how sagas reach the ledgers.
    init(
        store: any RecordStore, agenda: Agenda, stock: any Participant, payment: any Participant,
        wires: CheckoutCoordinator.Wires, clock: any ShopClock, random: any RandomSource, log: any EventLog,
        metrics: ShopMetrics
    ) {
        probe = EngineProbe(metrics.factory, engine: "order")
        engine = Engine(store: store, agenda: agenda, probe: probe)
        self.stock = stock
        self.payment = payment
        self.clock = clock
        self.random = random
        coordinator = CheckoutCoordinator(orders: engine, wires: wires, clock: clock, log: log, metrics: metrics)
    }

    /// Sets the gauges.
    func publish() {
        probe.publish()
        coordinator.publish()
    }

    func submit(
        _ command: OrderCommand, keyed: KeyedWrite? = nil, reply: @escaping (Reply<OrderOutcome>) -> Void
    ) {
        engine.submit(command, keyed: keyed, reply: reply)
    }

    public func ask(_ questions: [OrderQuestion]) {
        for question in questions { engine.submit(question.command, reply: question.reply) }
    }

    func checkout(
        _ order: Identifier, keyed: KeyedWrite? = nil, deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        coordinator.checkout(order, keyed: keyed, deadline: deadline, callback: answer)
    }

    /// Creates an empty order for a user who exists.
    func create(
        _ id: Identifier, for user: Identifier, keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        read(GroupKey(.user, user), from: payment, deadline: deadline, answer: answer) { [self] _ in
            let order = Order(user: user, incarnation: random.next())
            engine.submit(OrderCommand(id, .create(order)), keyed: keyed) { reply in
                if case .decided(.done) = reply { answer(.created(id)) } else { answer(reply.answer) }
            }
        }
    }

    /// Adds units of an item at the price that it has now.
    func addItem(
        _ item: Identifier, units: Amount, to order: Identifier, keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        read(GroupKey(.item, item), from: stock, deadline: deadline, answer: answer) { [self] account in
            let line = OrderLine(item: item, units: units, price: account.price)
            engine.submit(OrderCommand(order, .addItem(line)), keyed: keyed) { answer($0.answer) }
        }
    }

    /// An order of two random items for a random user, as `batch_init` makes them.
    func replaceByRandomOrder(
        _ number: Int, items: Int, users: Int, price: Amount, reply: @escaping (Reply<OrderOutcome>) -> Void
    ) {
        var order = Order(user: Identifier(number: draw(below: users)), incarnation: random.next())
        let first = OrderLine(item: Identifier(number: draw(below: items)), units: Amount(1), price: price)
        let second = OrderLine(item: Identifier(number: draw(below: items)), units: Amount(1), price: price)
        if first.item == second.item {
            order.lines = [OrderLine(item: first.item, units: Amount(2), price: price)]
        } else {
            order.lines = [first, second]
        }
        order.total = price + price
        engine.submit(OrderCommand(Identifier(number: number), .replace(order)), reply: reply)
    }

    private func draw(below bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    /// A deadline of this process as others understand it.
    func wallDeadline(_ deadline: Int64) -> Int64 { clock.wallMilliseconds + deadline - clock.monotonicMilliseconds }

    /// Reads an account of another service, and goes on only if it is there.
    private func read(
        _ account: GroupKey, from participant: any Participant, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void, then: @escaping (Account) -> Void
    ) {
        let message = ParticipantMessage(command: LedgerCommand(account, .read), deadline: wallDeadline(deadline)) { reply in
            switch reply {
            case .decided(.account(let account)): then(account)
            case .decided(let outcome): answer(.ledger(outcome))
            case .refused(let trouble): answer(.unavailable(trouble))
            // A read without an answer changed nothing: the request has not begun.
            case .unknown, .keyed: answer(.unavailable(.unreachable("\(account.kind) ledger")))
            }
        }
        participant.send([message])
    }
}

extension Reply<OrderOutcome> {
    var answer: ShopAnswer {
        switch self {
        case .decided(let outcome): return .order(outcome)
        case .refused(let trouble): return .unavailable(trouble)
        case .keyed(let verdict): return .keyed(verdict)
        case .unknown: return .unknown
        }
    }
}

extension Reply<LedgerOutcome> {
    var answer: ShopAnswer {
        switch self {
        case .decided(let outcome): return .ledger(outcome)
        case .refused(let trouble): return .unavailable(trouble)
        case .keyed(let verdict): return .keyed(verdict)
        case .unknown: return .unknown
        }
    }
}
