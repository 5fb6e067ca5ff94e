import KontorCore
import KontorService
import KontorSimulation
import Testing

@Suite("Several shops over one store")
struct SeveralTests {
    /// After it, nothing of any saga can be left: the longest deadline, the skew, and a pass of each scan.
    private static let allOver: Int64 = 35 + 60 + 30

    @Test("whatever is lost, doubled, late, killed, paused or not known: sold once or not at all", arguments: 1...40)
    func storm(seed: UInt64) {
        let world = SeveralWorld(seed: seed)
        let random = world.random
        for item in 0..<3 { world.put(GroupKey(.item, id("i\(item)")), Int64(random.below(8))) }
        for user in 0..<5 { world.put(GroupKey(.user, id("u\(user)")), Int64(100 * random.below(6))) }
        let orders = (0..<12).map { _ in
            world.order("u\(random.below(5))", (0...random.below(3)).map { _ in "i\(random.below(3))" })
        }
        // In a third of the worlds a clock is wrong, by more than the skew in some.
        if seed % 3 == 0 {
            for replica in world.replicas { replica.clock.wallMilliseconds += Int64(random.below(300_000)) - 150_000 }
        }
        world.faults = .storm
        var asked: [(order: Identifier, caller: Request)] = []
        for _ in 0..<60 {
            let order = orders[random.below(orders.count)]
            asked.append((order, world.ask(.checkout(order: order), at: random.below(3))))
            for _ in 0..<random.below(12) { world.pass() }
            if random.below(15) == 0 { world.kill(random.below(3)) }
            if random.below(15) == 0 { world.pause(random.below(3), milliseconds: Int64(random.below(8_000))) }
        }
        world.faults = .none
        world.pass(seconds: 20)
        #expect(world.openSagas == [], "all sagas end, whoever began them")
        world.pass(seconds: Self.allOver + (seed % 3 == 0 ? 300 : 0))
        #expect(world.openWork() == [])
        #expect(world.audit().culprits == [])
        #expect(world.events.alarms == [])
        print("STAT", seed, asked.filter { $0.caller.isPaid }.count, asked.filter { $0.caller.answer == .unknown }.count, asked.filter { $0.caller.answers.isEmpty }.count, orders.filter { world.status($0) == .paid }.count)
        for (order, caller) in asked {
            #expect(caller.answers.count <= 1)
            if caller.isPaid { #expect(world.status(order) == .paid) }
        }
    }
}
