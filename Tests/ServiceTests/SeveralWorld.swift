// Several shops over one store. Messages are lost, doubled, late and out of order; processes are killed and paused;
// clocks are wrong; the store is late, and sometimes does not know whether it committed.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

/// What goes wrong, and how often, per hundred.
struct Faults {
    var lost = 0
    var doubled = 0
    /// The longest time that a message is on its way.
    var latencyMilliseconds: Int64 = 5
    /// Messages that take up to `lateMilliseconds`.
    var late = 0
    var lateMilliseconds: Int64 = 100_000
    var unknown = 0

    static let none = Faults()
    static let storm = Faults(lost: 15, doubled: 15, latencyMilliseconds: 1_000, late: 5, unknown: 10)
}

/// One shop's process, and what is on its way to it.
final class Replica {
    let clock: ManualClock
    let store: LateStore
    var shop: Shop
    /// Rises with each start: replies to an earlier process go nowhere.
    var instance = 0
    /// Of the world's clock: it does not run until then.
    var pausedUntil: Int64 = 0

    init(clock: ManualClock, store: LateStore, shop: Shop) {
        self.clock = clock
        self.store = store
        self.shop = shop
    }
}

final class SeveralWorld {
    private struct Packet {
        let due: Int64
        let number: Int
        let deliver: () -> Void
    }

    let records = MemoryStore()
    let random: SeededRandom
    let events = RecordedEvents()
    private(set) var replicas: [Replica] = []
    var faults = Faults.none { didSet { for replica in replicas { replica.store.unknownPercent = faults.unknown } } }
    private(set) var now: Int64 = 0
    /// What each process knows of the others.
    var peerState = PeerState()
    private var packets: [Packet] = []
    private var packetNumber = 0
    /// Who asked, by the names that origins bear.
    private var askers: [LossyLinks] = []

    init(seed: UInt64, shops: Int = 3) {
        random = SeededRandom(seed: seed)
        for index in 0..<shops {
            let clock = ManualClock()
            let store = LateStore(records, random, writer: UInt64(index + 1))
            replicas.append(Replica(clock: clock, store: store, shop: makeShop(index, 0, clock, store)))
        }
    }

    private func makeShop(_ index: Int, _ instance: Int, _ clock: ManualClock, _ store: LateStore) -> Shop {
        Shop(
            ShopEnvironment(store: store, clock: clock, random: random, log: events), sink: RecordingSink(),
            deployment: .oneOfSeveral(serving: Set(GroupKey.Kind.allCases), over: LossyLinks(self, from: index, instance)))
    }

    // MARK: The network

    /// Sends something that is delivered by `deliver`: never, once or twice, and in any order.
    fileprivate func send(_ deliver: @escaping () -> Void) {
        if random.below(100) < faults.lost { return }
        let copies = random.below(100) < faults.doubled ? 2 : 1
        for _ in 0..<copies {
            let isLate = random.below(100) < faults.late
            let longest = isLate ? faults.lateMilliseconds : faults.latencyMilliseconds
            let due = now + Int64(random.below(Int(longest) + 1))
            packetNumber += 1
            packets.append(Packet(due: due, number: packetNumber, deliver: deliver))
        }
    }

    /// Brings a request to any replica, and each copy to another one.
    fileprivate func send(_ request: NumberedMessage, from links: LossyLinks) {
        send { [self] in
            let target = replicas[random.below(replicas.count)]
            whenAwake(target) { [self] in
                askers.append(links)
                target.shop.receive([Message(.link(UInt64(askers.count - 1), number: request.number), request.body)])
                target.shop.endTurn()
            }
        }
    }

    /// Brings a reply home, if the process that asked still lives.
    fileprivate func send(_ reply: Message) {
        guard case .link(let name, let number) = reply.origin else { return }
        let links = askers[Int(name)]
        send { [self] in
            let home = replicas[links.sender]
            whenAwake(home) {
                guard home.instance == links.instance, let message = links.reply(NumberedMessage(number: number, reply.body))
                else { return }
                home.shop.receive([message])
                home.shop.endTurn()
            }
        }
    }

    /// What arrives at a paused process waits for it.
    private func whenAwake(_ replica: Replica, _ work: @escaping () -> Void) {
        if replica.pausedUntil <= now { return work() }
        packetNumber += 1
        packets.append(Packet(due: replica.pausedUntil, number: packetNumber) { [self] in whenAwake(replica, work) })
    }

    // MARK: Time

    /// Some milliseconds pass: what is due arrives, stores do some of their work, awake shops look at the time.
    func pass(_ milliseconds: Int64 = Limits.tickMilliseconds) {
        now += milliseconds
        for replica in replicas { replica.clock.monotonicMilliseconds += milliseconds }
        for _ in 0..<50 {
            deliverDue()
            var isIdle = true
            for replica in replicas where replica.pausedUntil <= now {
                if !replica.store.isIdle, faults.unknown == 0 || random.below(4) > 0 {
                    isIdle = false
                    replica.store.step()
                    replica.shop.endTurn()
                }
            }
            if isIdle { break }
        }
        for replica in replicas where replica.pausedUntil <= now {
            replica.shop.tick()
            replica.shop.endTurn()
        }
    }

    private func deliverDue() {
        let due = packets.filter { $0.due <= now }.sorted { ($0.due, $0.number) < ($1.due, $1.number) }
        packets.removeAll { $0.due <= now }
        for packet in due { packet.deliver() }
    }

    /// Ticks are rarer than they should be, as on a machine with too much to do.
    func pass(seconds: Int64) { for _ in 0..<(seconds * 10) { pass(100) } }

    // MARK: What happens to processes

    /// Kills a process and starts it again. What it had sent to the store may still land.
    func kill(_ index: Int) {
        let replica = replicas[index]
        replica.store.crash()
        replica.instance += 1
        replica.pausedUntil = 0
        replica.shop = makeShop(index, replica.instance, replica.clock, replica.store)
        replica.shop.recover { _ in }
        replica.shop.endTurn()
    }

    func pause(_ index: Int, milliseconds: Int64) { replicas[index].pausedUntil = now + milliseconds }

    // MARK: Requests

    @discardableResult
    func ask(
        _ request: ShopRequest, at index: Int = 0, key: String? = nil, stamp: RequestStamp? = nil,
        within milliseconds: Int64 = 5_000
    ) -> Request {
        let caller = Request()
        let replica = replicas[index]
        whenAwake(replica) {
            replica.shop.handle(
                request, name: WriteName(key: key.flatMap { IdempotencyKey($0) }, stamp: stamp),
                deadline: replica.clock.monotonicMilliseconds + milliseconds, caller: caller)
            replica.shop.endTurn()
        }
        return caller
    }

    func run(_ request: ShopRequest, at index: Int = 0) -> ShopAnswer? {
        let caller = ask(request, at: index)
        for _ in 0..<400 where caller.answers.isEmpty { pass() }
        return caller.answer
    }

    func put(_ account: GroupKey, _ balance: Int64) {
        let command = LedgerCommand(account, .replace(balance: Amount(balance), price: Amount(account.kind == .item ? 100 : 0)))
        #expect(run(.ledger(command)) == .ledger(.done))
    }

    func order(_ user: String, _ items: [String]) -> Identifier {
        guard case .created(let order)? = run(.createOrder(user: id(user))) else {
            Issue.record("no order was created")
            return id("none")
        }
        for item in items {
            #expect(run(.addItem(order: order, item: id(item), units: Amount(1))) == .order(.done))
        }
        return order
    }

    // MARK: What is left

    func audit() -> AuditReport {
        Audit.report { body in records.forEach { body($0, $1) } }
    }

    /// Sagas, holds and markers.
    var openWork: [String] {
        var found: [String] = []
        records.forEach { key, record in if key.member.isOpenWork { found.append("\(key) \(record)") } }
        return found
    }

    var openSagas: Set<SagaID> {
        var found: Set<SagaID> = []
        records.forEach { _, record in if case .saga(let saga) = record { found.insert(saga.id) } }
        return found
    }

    func account(_ kind: GroupKey.Kind, _ name: String) -> Account? {
        guard case .account(let account)? = records.load(ReadSet(GroupKey(kind, id(name)))).head else { return nil }
        return account
    }

    func head(_ order: Identifier) -> Order? {
        guard case .order(let order)? = records.load(ReadSet(GroupKey(.order, order))).head else { return nil }
        return order
    }

    func status(_ order: Identifier) -> Order.Status? { head(order)?.status }
}

/// What one process has of the network.
private final class LossyLinks: Transport {
    private unowned let world: SeveralWorld
    let sender: Int
    let instance: Int
    private var pending = PendingReplies()

    init(_ world: SeveralWorld, from sender: Int, _ instance: Int) {
        self.world = world
        self.sender = sender
        self.instance = instance
    }

    func send(_ messages: [Message]) {
        for message in messages {
            switch message.recipient?.kind {
            case nil: world.send(message)
            case .order: Issue.record("A shop that serves orders asks others about them.")
            default: if let request = pending.number(message, now: 0) { world.send(request, from: self) }
            }
        }
    }

    func peers(of kind: GroupKey.Kind) -> PeerState { world.peerState }

    func reply(_ reply: NumberedMessage) -> Message? { try? pending.reply(reply) }
}
