// One seed: a world is founded, shaken, left in peace, and judged.

import KontorCore
import KontorEmbedded
import KontorService

/// What came of one seed.
public struct Verdict: Sendable {
    public let seed: UInt64
    /// The same in every run of the seed.
    public let fingerprint: UInt64
    /// What must not be; empty: all promises were kept.
    public let violations: [String]
    public let simulatedMicroseconds: Int64
    public let coverage: Coverage
    /// Empty unless they were asked for.
    public let trace: [Trace.Line]
}

/// Runs one world from its seed to its verdict.
public final class Simulation {
    private let seed: UInt64
    private let world: Surroundings
    private let machine: Machine
    private let clients: Clients
    private let chaos: Chaos
    private let random: SeededRandom

    /// Everything that was begun has ended so soon after the faults have (P5), sagas that may still wait included.
    private static let longestRecovery: Int64 = .seconds(12)

    private init(seed: UInt64, isRecording: Bool) {
        self.seed = seed
        random = SeededRandom(seed: seed)
        world = Surroundings(isRecording: isRecording)
        let swarm = Swarm(random.fork())
        machine = Machine(world, swarm, random.fork())
        clients = Clients(world, swarm, machine, random.fork())
        chaos = Chaos(machine, random.fork())
    }

    /// - Parameter isRecording: keeps every line of the trace.
    public static func run(seed: UInt64, isRecording: Bool = false) -> Verdict {
        let simulation = Simulation(seed: seed, isRecording: isRecording)
        simulation.run()
        simulation.end()
        return simulation.verdict
    }

    private var verdict: Verdict {
        Verdict(
            seed: seed, fingerprint: world.trace.fingerprint, violations: world.violations,
            simulatedMicroseconds: world.scheduler.now, coverage: world.coverage, trace: world.trace.lines)
    }

    private func run() {
        machine.start()
        guard found() else { return world.violation("the world could not be founded") }
        // Safety: whatever happens, nothing wrong may come of it.
        clients.start()
        chaos.start()
        world.scheduler.run(until: world.scheduler.now + machine.swarm.safety)
        // Liveness: nothing breaks any more, and everything comes to its end.
        chaos.stop()
        clients.stop()
        guard wait(.seconds(60), { self.clients.busy == 0 }) else { return world.violation("clients wait for ever") }
        settle()
        guard wait(Self.longestRecovery, { self.machine.process?.openSagas == 0 }) else {
            return world.violation("\(machine.process?.openSagas ?? -1) checkouts do not end")
        }
        inspect()
        close()
        judge()
    }

    // MARK: Steps

    /// Goods, users and some orders, without faults.
    private func found() -> Bool {
        let swarm = machine.swarm
        guard wait(.seconds(10), { self.machine.process?.isAccepting == true }) else { return false }
        ask(.initItems(count: swarm.items, stock: swarm.stock, price: 100))
        ask(.initUsers(count: swarm.users, credit: swarm.credit))
        if swarm.batchOrders > 0 {
            ask(.initOrders(count: swarm.batchOrders, items: swarm.items, users: swarm.users, price: 100))
        }
        for number in 0..<3 { ask(.createOrder(user: String(number % swarm.users))) }
        return clients.market.orders.count == 3
    }

    /// One wish after the other, until each is answered.
    private func ask(_ wish: Wish) {
        var isDone = false
        clients.run(wish, by: "founder", random, keyed: false, isPatient: true) { isDone = true }
        if !wait(.seconds(60), { isDone }) { world.violation("\(wish) is never answered") }
    }

    /// Whoever still does not know asks again, under the same key: then it is told the truth.
    private func settle() {
        for action in clients.history.actions where action.effect == .possible && (action.key != nil || action.isCheckout) {
            var isDone = false
            clients.ask(action, random, isPatient: true) { isDone = true }
            if !wait(.seconds(60), { isDone }) { world.violation("\(action.title) is never answered") }
        }
    }

    private func inspect() {
        for item in clients.market.items { ask(.readItem(item)) }
        for user in clients.market.users { ask(.readUser(user)) }
        for order in clients.market.orders { ask(.readOrder(order.id)) }
    }

    private func close() {
        var isClosed = false
        machine.process?.close { isClosed = true }
        if !wait(.seconds(30), { isClosed }) { world.violation("the store does not close") }
    }

    private func judge() {
        var final = FinalState()
        var audit = Audit()
        do {
            try machine.table.forEach { key, record in
                machine.watch.loaded(key, record)
                final.add(key, record)
                audit.add(key, record)
            }
        } catch {
            return world.violation("the final records cannot be read: \(error)")
        }
        for culprit in audit.finish().culprits { world.violation("kontor audit: \(culprit)") }
        Auditor(history: clients.history, final: final, amounts: machine.watch.amounts, violation: world.violation).judge()
    }

    private func wait(_ most: Int64, _ isDone: @escaping () -> Bool) -> Bool {
        world.scheduler.run(until: world.scheduler.now + most, or: isDone)
        return isDone()
    }

    private func end() {
        machine.end()
        world.scheduler.clear()
    }
}

extension Machine: ShopFront {
    func submit(_ request: ShopRequest, key: IdempotencyKey?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        process?.submit(request, key: key, milliseconds: milliseconds, caller: caller) ?? false
    }
}
