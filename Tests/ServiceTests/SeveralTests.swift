import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@Suite("Several shops over one store")
struct SeveralTests {
    /// After it nothing of any saga can be left: the longest latency and deadline, a marker's time, and a pass of each
    /// scan.
    private static let secondsUntilAllIsOver: Int64 = 100 + 5 + Limits.markerMilliseconds / 1_000 + 30

    @Test("whatever is lost, doubled, late, killed, paused or not known: sold once or not at all", arguments: 1...40)
    func storm(seed: UInt64) {
        let storm = Storm(seed: seed)
        let world = storm.world
        storm.blow()
        world.faults = .none
        let open = world.openSagas
        // Two of three processes may be paused all the time, and a message goes to any of them, again every two
        // seconds.
        world.pass(seconds: 60)
        #expect(world.openSagas.intersection(open) == [], "all sagas end, whoever began them, and who is paused")
        world.pass(seconds: Self.secondsUntilAllIsOver + (storm.hasWrongClock ? 300 : 0))
        #expect(world.openWork == [])
        #expect(world.audit().culprits == [])
        #expect(world.events.alarms == [])
        storm.expectTrueAnswers()
    }

    @Test("a saga that stands still is left to its process while that lives, and driven by one other once it is silent (F4)")
    func takesOverFromTheSilentOnly() {
        let world = SeveralWorld(seed: 2, shops: 3)
        world.put(GroupKey(.item, id("i")), 100)
        world.put(GroupKey(.user, id("u")), 10_000)
        let orders = (0..<20).map { _ in world.order("u", ["i"]) }
        world.faults.lost = 100
        for order in orders { world.ask(.checkout(order: order), at: 0) }
        world.pass(seconds: 30)
        #expect(world.replicas.map(\.shop.openSagas) == [20, 0, 0], "nobody drives them besides their own process")
        world.pause(0, milliseconds: 60_000)
        world.pass(seconds: 5)
        #expect(
            world.replicas[1].shop.openSagas + world.replicas[2].shop.openSagas == 20, "each is driven by one of the others")
        world.faults = .none
        // Every third message goes to the process that sleeps.
        world.pass(seconds: 20)
        #expect(world.openSagas.isEmpty)
        world.pass(seconds: 60)
        #expect(world.audit().culprits == [] && world.events.alarms == [])
    }

    @Test(
        "clocks that differ by six seconds, or by nearly the skew that is promised, cost no checkout (F12)",
        arguments: [6_000, -6_000, 59_000, -59_000])
    func skewedClocks(skew: Int64) {
        let world = SeveralWorld(seed: 3, shops: 3)
        world.put(GroupKey(.item, id("i")), 100)
        world.put(GroupKey(.user, id("u")), 10_000)
        let orders = (0..<20).map { _ in world.order("u", ["i"]) }
        for replica in world.replicas[1...] { replica.clock.wallMilliseconds += skew }
        let checkouts = orders.map { world.ask(.checkout(order: $0), at: 0) }
        world.pass(seconds: 5)
        #expect(checkouts.count { $0.isPaid } == 20)
    }

    @Test("while a participant's store fills up no checkout begins, what has begun ends, and room is used at once (A6)")
    func fillingParticipant() {
        let world = SeveralWorld(seed: 4, shops: 2)
        world.put(GroupKey(.item, id("i")), 100)
        world.put(GroupKey(.user, id("u")), 10_000)
        let orders = (0..<3).map { _ in world.order("u", ["i"]) }
        let begun = world.ask(.checkout(order: orders[0]))
        world.peerState.admission = .diskFull
        #expect(world.run(.checkout(order: orders[1])) == .unavailable(.diskFull))
        #expect(world.run(.checkout(order: orders[0])) == .checkout(.paid), "a repetition is told what is true")
        #expect(begun.isPaid && world.openSagas.isEmpty)
        world.peerState.admission = nil
        #expect(world.run(.checkout(order: orders[2])) == .checkout(.paid))
    }

    @Test("clocks that drift apart are told to operators once, and as an alarm beyond what is promised (F12)")
    func skewIsTold() {
        let world = SeveralWorld(seed: 5, shops: 2)
        for skew in [0, 9_000, -11_000, -12_000, 61_000, 62_000, 0] as [Int64] {
            world.peerState.clockSkewMilliseconds = skew
            world.pass(seconds: 3)
        }
        // Two processes look at three services each.
        #expect(world.events.warnings.count { $0.contains("clock") } == 6)
        #expect(world.events.alarms.count { $0.contains("clock") } == 6)
    }

    @Test("who joins a checkout that is over is not told that the order is paid which batch_init put there since (seed 4282)")
    func joinsTooLate() {
        let world = SeveralWorld(seed: 1, shops: 2)
        let first = Self.overtakenCheckout(in: world)
        #expect(world.status(id("0")) == .open)
        let second = world.ask(.checkout(order: id("0")), at: 0, within: 30_000)
        for _ in 0..<200 where second.answers.isEmpty { world.pass(100) }
        #expect(first.isPaid)
        #expect(second.isPaid && world.status(id("0")) == .paid)
    }

    @Test("of those who joined such a checkout each is answered for the user that he asks for")
    func joinsForUsers() {
        let world = SeveralWorld(seed: 1, shops: 2)
        let first = Self.overtakenCheckout(in: world)
        #expect(world.run(.initUsers(count: 2, credit: Amount(100_000)), at: 1) == .initialized)
        while world.head(id("0"))?.user != id("1") { Self.replaceOrder(in: world, users: 2) }
        let owners: [Identifier?] = [id("0"), nil, id("1"), id("0")]
        let callers = owners.map { world.ask(.checkout(order: id("0"), owner: $0), at: 0, within: 30_000) }
        for _ in 0..<200 where callers.contains(where: { $0.answers.isEmpty }) { world.pass(100) }
        #expect(first.isPaid)
        let refused = ShopAnswer.checkout(.notBegun(.unknownOrder))
        #expect(callers.map(\.answer) == [refused, .checkout(.paid), .checkout(.paid), refused])
    }

    private static func replaceOrder(in world: SeveralWorld, users: Int) {
        #expect(world.run(.initOrders(count: 1, items: 1, users: users, price: Amount(100)), at: 1) == .initialized)
    }

    /// A process sleeps while its checkout of the order "0" is decided and not finished. Another one finishes it, and
    /// then the order is replaced.
    private static func overtakenCheckout(in world: SeveralWorld) -> Request {
        #expect(world.run(.initItems(count: 1, stock: Amount(100), price: Amount(100))) == .initialized)
        #expect(world.run(.initUsers(count: 1, credit: Amount(100_000))) == .initialized)
        replaceOrder(in: world, users: 1)
        let checkout = world.ask(.checkout(order: id("0")), at: 0, within: 30_000)
        for _ in 0..<100 where world.status(id("0")) != .paid { world.pass(1) }
        #expect(world.status(id("0")) == .paid && checkout.answers.isEmpty)
        world.pause(0, milliseconds: 10_000)
        for _ in 0..<80 where !world.openSagas.isEmpty { world.pass(100) }
        replaceOrder(in: world, users: 1)
        return checkout
    }
}

/// Clients that check out and deposit, at any of three shops, while everything goes wrong.
private final class Storm {
    let world: SeveralWorld
    /// By minutes: in some worlds by more than the skew.
    let hasWrongClock: Bool
    private let random: SeededRandom
    private let orders: [Identifier]
    private let credit: Int64
    private var checkouts: [(order: Identifier, caller: Request)] = []
    private var deposits: [Request] = []
    /// Each was sent to several shops under one key.
    private var keyedDeposits: [[Request]] = []

    init(seed: UInt64) {
        world = SeveralWorld(seed: seed)
        let (world, random) = (world, world.random)
        self.random = random
        for item in 0..<3 { world.put(GroupKey(.item, id("i\(item)")), Int64(random.below(8))) }
        for user in 0..<5 { world.put(GroupKey(.user, id("u\(user)")), Int64(100 * random.below(6))) }
        orders = (0..<12).map { _ in
            world.order("u\(random.below(5))", (0...random.below(3)).map { _ in "i\(random.below(3))" })
        }
        credit = world.account(.user, "u0")?.deposited.raw ?? 0
        hasWrongClock = seed % 3 == 0
        guard hasWrongClock else { return }
        for replica in world.replicas { replica.clock.wallMilliseconds += Int64(random.below(300_000)) - 150_000 }
    }

    func blow() {
        world.faults = .storm
        for round in 0..<60 {
            let order = orders[random.below(orders.count)]
            checkouts.append((order, world.ask(.checkout(order: order), at: random.below(3))))
            if random.below(4) == 0 { deposit(round) }
            for _ in 0..<random.below(12) { world.pass() }
            switch random.below(30) {
            case 0, 1: world.kill(random.below(3))
            case 2, 3: world.pause(random.below(3), milliseconds: Int64(random.below(8_000)))
            // Never the first: one must run.
            case 4: world.pause(1 + random.below(2), milliseconds: 70_000 + Int64(random.below(30_000)))
            case 5: world.pass(seconds: 30)
            default: break
            }
        }
    }

    private func deposit(_ round: Int) {
        let request = ShopRequest.ledger(LedgerCommand(GroupKey(.user, id("u0")), .deposit(Amount(1))))
        if random.below(2) == 0 { return deposits.append(world.ask(request, at: random.below(3))) }
        let key = "deposit-\(round)"
        keyedDeposits.append((0..<2).map { _ in world.ask(request, at: random.below(3), key: key) })
    }

    func expectTrueAnswers() {
        for (order, caller) in checkouts {
            #expect(caller.answers.count <= 1)
            if caller.isPaid { #expect(world.status(order) == .paid) }
        }
        let done = deposits.count { $0.answer == .ledger(.done) }
        let unknown = deposits.count { $0.answer == nil || $0.answer == .unknown }
        #expect(done + unknown == deposits.count)
        let isKeyedDone = keyedDeposits.map { callers in
            callers.contains { $0.answer == .ledger(.done) || $0.answer == .replayed(.ledger(.done)) }
        }
        let keyedDone = isKeyedDone.count { $0 }
        let deposited = Int((world.account(.user, "u0")?.deposited.raw ?? 0) - credit)
        let most = done + unknown + keyedDeposits.count
        #expect((done + keyedDone...most).contains(deposited), "what was answered happened once, and nothing happened twice")
    }
}
