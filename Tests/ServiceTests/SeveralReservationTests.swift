// Reservations over several processes, whose messages are lost, doubled and late.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@Suite("Reservations over several processes")
struct SeveralReservationTests {
    @Test("whatever is lost, doubled, late, killed, paused or not known: it is bought or given back, once", arguments: 1...30)
    func storms(seed: Int) {
        let world = SeveralWorld(seed: UInt64(seed))
        world.put(GroupKey(.item, id("a")), 20)
        world.put(GroupKey(.item, id("b")), 20)
        world.put(GroupKey(.user, id("u")), 100_000)
        let orders = (0..<6).map { _ in world.order("u", ["a", "b"]) }
        world.faults = .storm
        for step in 0..<30 {
            let order = orders[world.random.below(orders.count)]
            let request: ShopRequest =
                switch world.random.below(4) {
                case 0, 1: .reserve(order: order, seconds: Int64(1 + world.random.below(8)))
                case 2: .giveBack(order: order)
                default: .checkout(order: order)
                }
            world.ask(request, at: world.random.below(3))
            for _ in 0..<world.random.below(20) { world.pass() }
            if step % 7 == 3 { world.kill(world.random.below(3)) }
            if step % 9 == 5 { world.pause(world.random.below(3), milliseconds: 3_000) }
        }
        world.faults = .none
        world.pass(seconds: 40)
        for order in orders { #expect([.open, .paid].contains(world.status(order))) }
        let paid = Int64(orders.count { world.status($0) == .paid })
        for item in ["a", "b"] {
            let account = world.account(.item, item)
            #expect(account?.balance == Amount(20 - paid) && account?.available == account?.balance)
        }
        #expect(world.audit().culprits == [])
        #expect(world.events.alarms == [])
        #expect(world.openSagas.isEmpty)
    }

    @Test("it ends although the process that took it is gone, and no other looks at its own clock")
    func otherProcess() {
        let world = SeveralWorld(seed: 5)
        world.put(GroupKey(.item, id("a")), 1)
        world.put(GroupKey(.user, id("u")), 1_000)
        let order = world.order("u", ["a"])
        #expect(world.run(.reserve(order: order, seconds: 6), at: 0) == .checkout(.reserved))
        world.pause(0, milliseconds: 600_000)
        world.pass(seconds: 4)
        #expect(world.status(order) == .reserved)
        world.pass(seconds: 7)
        #expect(world.status(order) == .open)
        #expect(world.account(.item, "a")?.available == Amount(1))
    }

    @Test("what a gateway's second copy was answered holds for the first one, which comes late")
    func copies() {
        let world = SeveralWorld(seed: 6)
        world.put(GroupKey(.item, id("a")), 1)
        world.put(GroupKey(.user, id("u")), 1_000)
        let (order, other) = (world.order("u", ["a"]), world.order("u", ["a"]))
        #expect(world.run(.reserve(order: other, seconds: 60), at: 0) == .checkout(.reserved))
        // Refused: the first copy must not reserve what becomes free meanwhile.
        let (first, isRepeated) = (stamp(31, in: world), stamp(31, in: world, isRepeated: true))
        world.pause(1, milliseconds: 12_000)
        let early = world.ask(.reserve(order: order, seconds: 60), at: 1, stamp: first)
        let late = world.ask(.reserve(order: order, seconds: 60), at: 0, stamp: isRepeated)
        world.pass(seconds: 5)
        guard case .checkout(.refused(.reserved))? = late.answer else {
            Issue.record("\(String(describing: late.answer))")
            return
        }
        #expect(world.run(.giveBack(order: other), at: 0) == .checkout(.givenBack))
        world.pass(seconds: 15)
        #expect(early.answer == .keyed(.late) && world.status(order) == .open)
        // Done, and given back: the first copy must not reserve again.
        let sent = stamp(32, in: world)
        world.pause(1, milliseconds: 12_000)
        let lost = world.ask(.reserve(order: order, seconds: 60), at: 1, stamp: sent)
        let done = world.ask(.reserve(order: order, seconds: 60), at: 0, stamp: stamp(32, in: world, isRepeated: true))
        world.pass(seconds: 5)
        #expect(done.answer == .checkout(.reserved))
        #expect(world.run(.giveBack(order: order), at: 0) == .checkout(.givenBack))
        world.pass(seconds: 15)
        #expect(lost.answer != .checkout(.reserved) && world.status(order) == .open)
        #expect(world.account(.item, "a")?.available == Amount(1))
        #expect(world.audit().culprits == [] && world.events.alarms == [])
    }

    /// - Parameter number: has two digits.
    private func stamp(_ number: Int, in world: SeveralWorld, isRepeated: Bool = false) -> RequestStamp? {
        RequestStamp(
            request: String(repeating: "0", count: 30) + "\(number)", sent: world.replicas[0].clock.wallMilliseconds,
            isRepeated: isRepeated)
    }

    @Test("a second copy is told what the first one did, though nothing may begin any more", arguments: [nil, "key"])
    func refusedCopies(key: String?) {
        let world = SeveralWorld(seed: 7)
        world.put(GroupKey(.item, id("a")), 1)
        world.put(GroupKey(.user, id("u")), 1_000)
        let order = world.order("u", ["a"])
        for (number, request, done, status) in [
            (10, ShopRequest.reserve(order: order, seconds: 60), CheckoutResult.reserved, Order.Status.reserved),
            (11, .giveBack(order: order), .givenBack, .open),
        ] {
            let sent = stamp(number, in: world)
            let again = stamp(number, in: world, isRepeated: true)
            let first = world.ask(request, at: 0, key: key.map { $0 + "\(number)" }, stamp: sent)
            world.pass(seconds: 2)
            #expect(first.answer == .checkout(done))
            world.peerState.admission = .memoryFull
            let second = world.ask(request, at: 1, key: key.map { $0 + "\(number)" }, stamp: again)
            world.pass(seconds: 2)
            world.peerState.admission = nil
            #expect(second.answer == .replayed(.checkout(done)) && world.status(order) == status)
        }
    }

    @Test("a copy that comes behind somebody else's wish does not undo that")
    func copiesBehindOthers() {
        let world = SeveralWorld(seed: 8)
        world.put(GroupKey(.item, id("a")), 1)
        world.put(GroupKey(.user, id("u")), 1_000)
        let order = world.order("u", ["a"])
        let (reserve, giveBack) = (ShopRequest.reserve(order: order, seconds: 60), ShopRequest.giveBack(order: order))
        for (number, request, other, status) in [
            (20, reserve, giveBack, Order.Status.open), (21, giveBack, reserve, .reserved), (22, giveBack, reserve, .reserved),
        ] {
            let sent = stamp(number, in: world)
            let again = stamp(number, in: world, isRepeated: true)
            world.ask(request, at: 0, stamp: sent)
            world.pass(seconds: 1)
            world.ask(other, at: 1)
            world.pass(seconds: 1)
            let second = world.ask(request, at: 1, stamp: again)
            world.pass(seconds: 2)
            guard case .replayed? = second.answer else {
                Issue.record("\(String(describing: second.answer))")
                return
            }
            #expect(world.status(order) == status)
        }
    }

    @Test("one whose commit nobody knows of holds up the ends of no others")
    func unknownEnd() {
        let world = SeveralWorld(seed: 9, shops: 1)
        world.put(GroupKey(.item, id("a")), 9)
        world.put(GroupKey(.user, id("u")), 1_000)
        let orders = (0..<3).map { _ in world.order("u", ["a"]) }
        for order in orders { #expect(world.run(.reserve(order: order, seconds: 4)) == .checkout(.reserved)) }
        world.replicas[0].store.lost = [GroupKey(.order, orders[1])]
        world.pass(seconds: 5)
        let late = world.order("u", ["a"])
        #expect(world.run(.reserve(order: late, seconds: 3)) == .checkout(.reserved))
        world.pass(seconds: 8)
        #expect([orders[0], late, orders[2]].allSatisfy { world.status($0) == .open })
        #expect(world.status(orders[1]) == .reserved)
        world.replicas[0].store.lost = []
        world.pass(seconds: 5)
        #expect(world.status(orders[1]) == .open && world.account(.item, "a")?.available == Amount(9))
        #expect(world.audit().culprits == [] && world.events.alarms == [])
    }
}
