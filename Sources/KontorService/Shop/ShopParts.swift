// The parts of a shop, and how they are put together: alone with its store, or as one of several processes.

import KontorCore

/// The parts that the services share. Each of several processes has all of them, and leaves idle what it does not
/// serve.
struct ShopParts {
    let environment: ShopEnvironment
    /// Whether no other process works on the store.
    let isAlone: Bool
    let agenda: Agenda
    let router: MessageRouter
    let reads: Reads
    let stock: LedgerService
    let payment: LedgerService
    let orders: OrderService

    init(_ environment: ShopEnvironment, _ deployment: Deployment) {
        self.environment = environment
        isAlone = if case .alone = deployment { true } else { false }
        agenda = Agenda()
        router = MessageRouter(deployment)
        reads = Reads(router, clock: environment.clock, random: environment.random)
        stock = LedgerService("stock", environment, agenda: agenda, router: router, canBeLate: !isAlone)
        payment = LedgerService("payment", environment, agenda: agenda, router: router, canBeLate: !isAlone)
        orders = OrderService(environment, agenda: agenda, router: router, reads: reads, isAlone: isAlone)
        router.connect(MessageRouter.Services(stock: stock, payment: payment, orders: orders, reads: reads))
    }

    var store: any RecordStore { environment.store }
    var clock: any ShopClock { environment.clock }
    var log: any EventLog { environment.log }
    var metrics: ShopMetrics { environment.metrics }

    /// Changes nothing but the keys of a write, in the group that has them.
    func keep(_ keyed: KeyedWrite, in group: GroupKey, reply: @escaping (ShopAnswer) -> Void) {
        if group.kind == .order {
            orders.submit(OrderCommand(group.id, .keepKey), keyed: keyed) { reply($0.answer) }
        } else {
            ledger(group.kind).submit(LedgerCommand(group, .keepKey), keyed: keyed) { reply($0.answer) }
        }
    }

    /// Finds the verdict of a key's record; nil: the key is free. It asks the store, not an engine: the engine's other
    /// commands would have to wait for the read from the table.
    func lookUp(
        _ claim: KeyClaim, in group: GroupKey, completion: @escaping (Result<KeyVerdict?, StoreError>) -> Void
    ) {
        store.load([ReadSet(group, .key(claim.key))]) { [agenda, clock] outcomes in
            agenda.add {
                completion(outcomes[0].map { claim.verdict(on: $0.member, now: clock.wallMilliseconds) })
            }
        }
    }

    /// Finds what a kept key refers to; nil: the key is gone.
    func reference(
        of key: IdempotencyKey, in group: GroupKey, completion: @escaping (Result<[UInt8]?, StoreError>) -> Void
    ) {
        store.load([ReadSet(group, .key(key))]) { [agenda] outcomes in
            agenda.add {
                completion(outcomes[0].map { if case .key(let kept)? = $0.member { kept.reference } else { nil } })
            }
        }
    }

    /// The ledger of items or users.
    func ledger(_ kind: GroupKey.Kind) -> LedgerService { kind == .item ? stock : payment }
}
