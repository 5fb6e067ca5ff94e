// One seed: a world is set up, shaken by faults, left in peace, and judged.

import KontorCore
import KontorEmbedded
import KontorService

/// The outcome of one seed.
public struct Verdict: Sendable {
    /// The number that decided everything in the world.
    public let seed: UInt64
    /// A hash of the trace: the same in every run of the seed that kept one.
    public let fingerprint: UInt64
    /// The broken promises, in words; empty: all were kept.
    public let violations: [String]
    /// How long the world lasted, by its own clock.
    public let simulatedMicroseconds: Int64
    /// How long after the faults all checkouts that were open then had ended, by the world's clock.
    public let recoveryMicroseconds: Int64
    /// The most that one process had in all of its queues.
    public let largestQueue: Int
    public let coverage: Coverage
    /// The lines of the trace; empty unless they were asked for.
    public let trace: [Trace.Line]
}

/// Runs one world from its seed to its verdict.
public final class Simulation {
    private let seed: UInt64
    private let world: Surroundings
    private let swarm: Swarm
    private let site: any Site
    private let clients: Clients
    private let browsers: Browsers
    private let chaos: Chaos
    private let random: SeededRandom
    /// Whether the world was left in peace until nothing of finished checkouts should be left.
    private var isClean = false
    /// How long the checkouts took that were open when the faults ended.
    private var recovery: Int64 = 0

    private init(seed: UInt64, isRecording: Bool) {
        self.seed = seed
        random = SeededRandom(seed: seed)
        world = Surroundings(isRecording: isRecording)
        swarm = Swarm(random.fork())
        site = swarm.shops == 1 ? Machine(world, swarm, random.fork()) : Cluster(world, swarm, random.fork())
        clients = Clients(world, swarm, site, random.fork())
        chaos = Chaos(world, random.fork())
        browsers = Browsers(world, swarm, clients.market, site, random.fork())
    }

    /// Runs one seed.
    ///
    /// - Parameter isRecording: whether to keep a trace.
    public static func run(seed: UInt64, isRecording: Bool = false) -> Verdict {
        let simulation = Simulation(seed: seed, isRecording: isRecording)
        simulation.run()
        simulation.end()
        return simulation.verdict
    }

    private var verdict: Verdict {
        Verdict(
            seed: seed, fingerprint: world.trace.fingerprint, violations: world.violations,
            simulatedMicroseconds: world.scheduler.now, recoveryMicroseconds: recovery, largestQueue: world.largestQueue,
            coverage: world.coverage, trace: world.trace.lines)
    }

    private func run() {
        site.start()
        guard found() else { return world.violation("the world could not be founded") }
        // Safety: whatever breaks, no promise is broken.
        clients.start()
        browsers.start()
        world.isFaulty = true
        site.startFaults(chaos)
        world.scheduler.run(until: world.scheduler.now + swarm.safety)
        // Liveness: nothing breaks any more, and everything that was begun ends.
        world.isFaulty = false
        site.stopFaults()
        clients.stop()
        browsers.stop()
        recover()
        guard wait(.seconds(60), { self.clients.busy + self.browsers.busy == 0 }) else {
            return world.violation("clients wait for ever")
        }
        settle()
        guard reservationsEnd() else { return }
        guard wait(site.longestRecovery, lookingEvery: .milliseconds(100), { self.site.isAtRest }) else {
            return world.violation("it does not come to rest: \(site.unrest)")
        }
        // Their expiry, by a clock that was wrong, and two passes of the scan for orphans.
        let longestLock: Int64 = swarm.hasWildClocks ? .seconds(300) : .seconds(40) + .milliseconds(swarm.clockJumpMost)
        guard wait(longestLock, lookingEvery: .milliseconds(100), { self.site.leftovers.isEmpty }) else {
            return world.violation("these do not end: \(site.leftovers.joined(separator: "; "))")
        }
        if let clean = site.untilClean {
            isClean = true
            world.scheduler.run(until: world.scheduler.now + clean)
        }
        inspect()
        close()
        judge()
    }

    // MARK: Steps

    /// Sets up the world, without faults: items, users and some orders.
    private func found() -> Bool {
        guard wait(.seconds(10), { self.site.isAccepting }) else { return false }
        ask(.initItems(count: swarm.items, stock: swarm.stock, price: swarm.price))
        ask(.initUsers(count: swarm.users, credit: swarm.credit))
        if swarm.batchOrders > 0 {
            ask(
                .initOrders(
                    count: swarm.batchOrders, items: swarm.items, users: swarm.users + swarm.strangers, price: swarm.price))
        }
        let orders = max(3, swarm.baskets)
        for number in 0..<orders { ask(.createOrder(user: String(number % swarm.users))) }
        for basket in clients.market.orders.suffix(swarm.baskets) {
            for line in 0..<swarm.basketLines { ask(.addItem(order: basket.id, item: String(line), 1)) }
        }
        return clients.market.orders.count == orders
    }

    /// Makes a request, and waits until it is answered.
    private func ask(_ wish: Wish) {
        var isDone = false
        clients.run(wish, by: "founder", random, keyed: false, isPatient: true) { isDone = true }
        if !wait(.seconds(60), { isDone }) { world.violation("\(wish) is never answered") }
    }

    /// Measures how long it takes until all checkouts have ended that are open now.
    private func recover() {
        let began = world.scheduler.now
        var left = site.sagas.openSagas
        let isOver = wait(site.longestRecovery, lookingEvery: .milliseconds(10)) { [self] in
            left.formIntersection(site.sagas.openSagas)
            return left.isEmpty
        }
        recovery = world.scheduler.now - began
        if !isOver {
            let names = left.map { "\($0)" }.sorted().joined(separator: ", ")
            world.violation("\(recovery / 1_000) ms after the faults these checkouts have not ended: \(names)")
        }
    }

    /// Repeats the requests with unknown outcomes under their keys: now they get true answers.
    private func settle() {
        for action in clients.history.actions where action.effect == .possible && (action.key != nil || action.isOfSaga) {
            var isDone = false
            clients.ask(action, random, isPatient: true) { isDone = true }
            // The lease of a `batch_init` whose process died ends only then, by a clock that may have been wrong.
            let skew = max(Limits.clockSkewMilliseconds, 2 * swarm.clockJumpMost)
            let lease: Int64 = .milliseconds(Limits.batchInitLeaseMilliseconds + skew)
            if !wait(.seconds(60) + lease, { isDone }) { world.violation("\(action.title) is never answered") }
        }
    }

    /// Waits until nothing is reserved: each reservation is given back soon after its end.
    private func reservationsEnd() -> Bool {
        guard let end = site.reservedUntil else { return true }
        let most = max(0, end - world.scheduler.now) + site.longestExpiry
        if wait(most, lookingEvery: .milliseconds(100), { self.site.reservedUntil == nil }) { return true }
        world.violation("a reservation stands \(site.longestExpiry / 1_000) ms after its end")
        return false
    }

    private func inspect() {
        // Of the items of a large `batch_init` some.
        for item in clients.market.items.prefix(50) { ask(.readItem(item)) }
        for user in clients.market.users { ask(.readUser(user)) }
        for order in clients.market.orders { ask(.readOrder(order.id)) }
        guard site.hasLists else { return }
        for subject in [Listing.Subject.items, .users, .orders(of: nil), .orders(of: clients.market.users.first), .paidOrders] {
            var isDone = false
            var isOver = false
            browsers.read(subject, "inspector", random, atMost: random.pick([50, 200]), canEnd: { isOver }) { isDone = $0 }
            if !wait(.seconds(60), { isDone }) { world.violation("\(subject) are not listed to their end") }
            isOver = true
        }
    }

    private func close() {
        var isClosed = false
        site.close { isClosed = true }
        if !wait(.seconds(30), { isClosed }) { world.violation("the store does not close") }
    }

    private func judge() {
        var final = FinalState()
        let audit: AuditReport
        do {
            try site.forEachRecord { key, record in final.add(key, record) }
            audit = try Audit.report(hasLists: site.hasLists) { body in try site.forEachRecord { body($0, $1) } }
        } catch {
            return world.violation("the final records cannot be read: \(error)")
        }
        if !final.putInByTrail.isEmpty { world.coverage[.trailKept] += 1 }
        for culprit in audit.culprits { world.violation("kontor audit: \(culprit)") }
        let auditor = Auditor(
            history: clients.history, final: final, amounts: site.amounts, sagas: site.sagas,
            takesLateCopies: swarm.hasWildClocks, hasTrail: swarm.hasTrail,
            hasEvenClocks: swarm.shops == 1 ? swarm.clockJumpEvery == nil && swarm.drift == 0 : swarm.failoverEvery == nil,
            wasCalm: { [world, swarm] in
                (swarm.shops == 1 ? swarm.clockJumpEvery == nil : !swarm.hasWildClocks) && world.wasCalm(from: $0, to: $1)
            },
            violation: world.violation
        )
        auditor.judge()
        auditor.judgeLists(browsers.listings, isListed: site.hasLists)
        guard isClean else { return }
        // The markers of refunds that are over are the store's to remove.
        let markers = swarm.shops == 1 || swarm.storeExpires ? final.markers + final.creditMarkers : final.markers
        for marker in markers.sorted() { world.violation("left for ever: \(marker)") }
    }

    /// Lets the world go on until something is so.
    ///
    /// - Parameters:
    ///   - most: for how long at most, microseconds.
    ///   - pause: how long not to look again, microseconds: for looks that take long.
    private func wait(_ most: Int64, lookingEvery pause: Int64 = 0, _ isDone: @escaping () -> Bool) -> Bool {
        var isOver = isDone()
        if isOver { return true }
        var next = world.scheduler.now + pause
        world.scheduler.run(
            until: world.scheduler.now + most,
            or: { [world] in
                if world.scheduler.now < next { return false }
                next = world.scheduler.now + pause
                isOver = isDone()
                return isOver
            })
        return isOver || isDone()
    }

    private func end() {
        site.end()
        let taken = world.coverage[.sagaResumed]
        if swarm.leavesProcessesAlone, taken > 0 {
            world.violation("\(taken) checkouts were taken over from processes that lived")
        }
        world.scheduler.clear()
    }
}
