// What a shop is made of, and how that is put together: alone with its store, or as one process of several.

import KontorCore

extension Shop {
    /// What the services share. Of several processes each has all of it, and leaves alone what it does not serve.
    struct Parts {
        let store: any RecordStore
        let agenda: Agenda
        let stock: LedgerService
        let payment: LedgerService
        let orders: OrderService
        /// Answers always: these orders, or those of another process.
        let orderReader: any OrderReader
        let log: any EventLog
        let metrics: ShopMetrics

        func ledger(_ kind: GroupKey.Kind) -> LedgerService { kind == .item ? stock : payment }
    }

    static func assemble(
        store: any RecordStore, clock: any ShopClock, random: any RandomSource, log: any EventLog, world: ShopWorld,
        metrics: ShopMetrics
    ) -> (Parts, Neighbourhood?) {
        let agenda = Agenda()
        let neighbours: Neighbours? = if case .oneOfSeveral(let neighbours) = world { neighbours } else { nil }
        func ledger(_ name: String) -> LedgerService {
            LedgerService(name, store: store, agenda: agenda, clock: clock, metrics: metrics, canBeLate: neighbours != nil)
        }
        let (stock, payment) = (ledger("stock"), ledger("payment"))
        func orders(
            _ stock: any Participant, _ payment: any Participant, _ wires: CheckoutCoordinator.Wires
        ) -> OrderService {
            OrderService(
                store: store, agenda: agenda, stock: stock, payment: payment, wires: wires, clock: clock, random: random,
                log: log, metrics: metrics)
        }
        func parts(_ orders: OrderService, _ reader: any OrderReader) -> Parts {
            Parts(
                store: store, agenda: agenda, stock: stock, payment: payment, orders: orders, orderReader: reader, log: log,
                metrics: metrics)
        }
        guard let neighbours else {
            let orders = orders(stock, payment, CheckoutCoordinator.Wires(stock: stock, payment: payment, isNetwork: false))
            return (parts(orders, orders), nil)
        }
        let departures = Departures()
        let toStock = DepartingLink(neighbours.stock, departures)
        let toPayment = DepartingLink(neighbours.payment, departures)
        let reads = RemoteReads(clock: clock, orders: DepartingQuestions(neighbours.orders, departures))
        let served = neighbours.served
        let ownOrders = orders(
            served.contains(.item) ? stock : reads.accounts(over: toStock),
            served.contains(.user) ? payment : reads.accounts(over: toPayment),
            CheckoutCoordinator.Wires(stock: toStock, payment: toPayment, isNetwork: true))
        let parts = parts(ownOrders, served.contains(.order) ? ownOrders : reads)
        let neighbourhood = Neighbourhood(
            parts, served: served, departures: departures, reads: reads, clock: clock, random: random)
        return (parts, neighbourhood)
    }
}
