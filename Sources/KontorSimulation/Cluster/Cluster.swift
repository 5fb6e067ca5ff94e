// Several processes over one store, which are killed, paused and started again.

import KontorCore
import KontorService

final class Cluster {
    fileprivate final class Replica {
        let number: Int
        let served: Set<GroupKey.Kind>
        let drift: Int64
        var wallOffset: Int64 = 0
        var process: ShopProcess?

        init(number: Int, served: Set<GroupKey.Kind>, drift: Int64) {
            self.number = number
            self.served = served
            self.drift = drift
        }
    }

    private let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    private let store: SharedStore
    private let replicas: [Replica]
    /// nil until it is made: it calls back into the cluster.
    private var network: SimulatedNetwork?
    private var pauseAtHold: Int64?
    /// The service whose processes cannot be reached; nil: all can.
    private var cutOff: GroupKey.Kind?
    private var cutOffSince: Int64 = 0
    /// How often each process has sent each step to the service that is cut off, since links have noticed.
    private var sentInVain: [UInt64: [RepeatedName: Int]] = [:]
    /// How often it may: it sends a step the first time, and again until its next look at its links.
    private static let mostInVain = 3
    /// How long links take to notice that nothing comes through, microseconds: a scan for sagas that stand still sees
    /// those of the others before.
    private static let linkTimeOut: Int64 = .milliseconds(Limits.takeoverScanMilliseconds + 100)
    /// Through which clients ask; nil: they ask the processes.
    private var gateway: SimulatedGateway?
    private var gatewayOffset: Int64 = 0

    init(_ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom) {
        self.world = world
        self.swarm = swarm
        self.random = random
        store = SharedStore(world, swarm, random.fork())
        replicas = (1...swarm.shops).map { number in
            let served = swarm.isSplit ? [[.order, .item, .user][number % 3]] : Set(GroupKey.Kind.allCases)
            return Replica(number: number, served: served, drift: swarm.drift == 0 ? 0 : random.within(-1_000...1_000))
        }
        network = SimulatedNetwork(world, swarm, random.fork()) { [unowned self] in
            state(of: $0)
        } target: { [unowned self] in
            anyProcess(of: $0)
        }
        guard swarm.hasGateway else { return }
        let clock = SimulatedClock(world.scheduler, drift: 0) { [unowned self] in gatewayOffset }
        gateway = SimulatedGateway(world, random.fork(), clock) { [unowned self] request, name, milliseconds, caller in
            give(request, name, milliseconds, caller)
        }
    }

    // MARK: Start and end

    private func start(_ replica: Replica) {
        guard replica.process == nil, let network else { return }
        let clock = SimulatedClock(world.scheduler, drift: replica.drift) { [replica] in replica.wallOffset }
        var forgetReplies: () -> Void = {}
        let process = ShopProcess(world, clock, random.fork()) { [world] _ in
            world.coverage[.instanceFollowed] += 1
            forgetReplies()
        }
        process.commandMicroseconds = swarm.commandMicroseconds
        replica.process = process
        world.trace.note("cluster", "shop \(replica.number) starts")
        let links = SimulatedLinks(network, process, clock) { [unowned self, unowned process] in willSend($0, from: process) }
        forgetReplies = { [weak links] in links?.forgetReplies() }
        process.begin(.oneOfSeveral(serving: replica.served, over: links)) { [unowned self, unowned process] post in
            let connection = StoreConnection(store, world, swarm, random.fork(), post: post)
            connection.served = replica.served
            process.writer = store.writers
            return connection
        }
    }

    private func kill(_ replica: Replica, _ branch: Branch) {
        guard let process = replica.process else { return }
        world.coverage[branch] += 1
        world.trace.note("cluster", "shop \(replica.number): \(branch.rawValue)")
        process.end()
        replica.process = nil
        world.scheduler.after(random.within(.milliseconds(20)...(.milliseconds(500)))) { [self] in start(replica) }
    }

    private func pause(_ process: ShopProcess, _ duration: Int64) {
        guard world.isFaulty else { return }
        store.sagas.slept(process.writer, duration)
        process.pause(duration)
    }

    // MARK: Messages

    private func willSend(_ request: Message, from sender: ShopProcess) {
        guard case .command(let command, _) = request.body else { return }
        store.sagas.sent(command.operation, by: sender.writer)
        if isNoticed(command.account.kind), let name = LedgerRules.name(of: command) { noteInVain(name, command, sender) }
        if let duration = pauseAtHold, case .hold = command.operation {
            pauseAtHold = nil
            pause(sender, duration)
        }
    }

    private func noteInVain(_ name: RepeatedName, _ command: LedgerCommand, _ sender: ShopProcess) {
        let count = sentInVain[sender.writer, default: [:]][name, default: 0] + 1
        sentInVain[sender.writer, default: [:]][name] = count
        if count == Self.mostInVain + 1 {
            world.violation("a step was sent \(count) times to \(command.account), which cannot be reached: \(command)")
        }
    }

    /// Whether links know that a service is cut off.
    private func isNoticed(_ kind: GroupKey.Kind) -> Bool {
        kind == cutOff && world.scheduler.now - cutOffSince >= Self.linkTimeOut
    }

    /// What links tell about a service.
    private func state(of kind: GroupKey.Kind) -> PeerState {
        var state = PeerState()
        state.isReachable = !isNoticed(kind) && hasProcess(of: kind)
        state.admission = store.filling?.kind == kind ? .diskFull : nil
        return state
    }

    private func hasProcess(of kind: GroupKey.Kind) -> Bool {
        replicas.contains { $0.served.contains(kind) && $0.process != nil }
    }

    private func anyProcess(of kind: GroupKey.Kind) -> ShopProcess? {
        if kind == cutOff {
            world.coverage[.messageLost] += 1
            return nil
        }
        let awake = replicas.filter { $0.served.contains(kind) }.compactMap(\.process)
        return awake.isEmpty ? nil : random.pick(awake)
    }
}

extension Cluster: Site {
    func start() {
        for replica in replicas { start(replica) }
        if swarm.storeExpires { expire() }
    }

    /// Lets the store remove expired markers by itself.
    private func expire() {
        store.expire(now: SimulatedClock.epoch + world.scheduler.now / 1_000)
        world.scheduler.after(.seconds(1)) { [weak self] in self?.expire() }
    }

    /// Whether each service has a process that takes requests.
    var isAccepting: Bool {
        GroupKey.Kind.allCases.allSatisfy { kind in
            replicas.contains { $0.served.contains(kind) && $0.process?.isAccepting == true }
        }
    }

    /// The time until what finished checkouts and refunds left is gone: the longest deadline of a client, or the time
    /// that a credit may be on its way; the error of its clock, the skew, and two passes of the scan for orphans.
    var untilClean: Int64? {
        let marked = CreditMarker.latestExpiry(now: swarm.clockJumpMost) + Limits.markerMilliseconds
        return swarm.isLong && !swarm.hasWildClocks ? .seconds(5 + 25) + .milliseconds(marked) : nil
    }

    /// A lock whose time comes from a clock that was wrong beyond the promise lasts as long as that clock is believed.
    var longestRecovery: Int64 { swarm.hasWildClocks ? .seconds(200) : .seconds(5) }

    var isAtRest: Bool {
        replicas.allSatisfy { $0.process?.openSagas == 0 } && openWork(isLeftOver: false).isEmpty
    }

    var reservedUntil: Int64? {
        var latest: Int64?
        store.records.forEach { key, record in
            guard key.member == .head, let until = record.reservedUntil else { return }
            let end = until - SimulatedClock.epoch - store.shards[store.shard(of: key.group)].wallOffset
            latest = max(latest ?? .min, end * 1_000)
        }
        return latest
    }
    var longestExpiry: Int64 { .seconds(5) }

    var unrest: String { openWork(isLeftOver: false).joined(separator: "; ") }
    var leftovers: [String] { openWork(isLeftOver: true) }

    private func openWork(isLeftOver: Bool) -> [String] {
        var found: [String] = []
        store.records.forEachOpenWork { key, record in
            switch (key.member, record) {
            case (_, .saga) where !isLeftOver: found.append("saga of \(key.group)")
            case (.hold(let saga), .hold(let hold)) where hold.state == .held && saga.isPayment == isLeftOver:
                found.append("\(key.member.text) on \(key.group)")
            case (.refund, .refund) where !isLeftOver: found.append("\(key.member.text)")
            case (.refund, .marker(let marker)) where isLeftOver && !marker.isForgotten:
                found.append("\(key.member.text) on \(key.group)")
            default: break
            }
        }
        return found.sorted()
    }

    var amounts: [GroupKey: Amounts] { store.amounts }
    var hasLists: Bool { store.format >= .four }
    var sagas: SagaWatch { store.sagas }

    func submit(_ request: ShopRequest, name: WriteName?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        if let gateway { return gateway.submit(request, name, milliseconds: milliseconds, caller: caller) }
        return give(request, name, milliseconds, caller)
    }

    /// Gives a request to any process that serves it.
    private func give(_ request: ShopRequest, _ name: WriteName?, _ milliseconds: Int64, _ caller: SimulatedCaller) -> Bool {
        let accepting = replicas.filter { $0.served.contains(request.service) }.compactMap(\.process).filter(\.isAccepting)
        guard !accepting.isEmpty else { return false }
        return random.pick(accepting).submit(request, name: name, milliseconds: milliseconds, caller: caller)
    }

    func startFaults(_ chaos: Chaos) {
        let random = chaos.random
        chaos.every(swarm.killEvery) { [self] in kill(random.pick(replicas), .processKilled) }
        if let before = swarm.lastKill {
            world.scheduler.after(swarm.safety - before) { [self] in
                for replica in replicas where random.happens(50) { kill(replica, .processKilled) }
            }
        }
        chaos.every(swarm.pauseEvery) { [self] in
            // The fault pauses any process, or the next one that asks for a lock, which may then sleep past the
            // decision.
            if random.happens(50) {
                pauseAtHold = random.within(.seconds(2)...(.seconds(8)))
            } else if let process = random.pick(replicas).process {
                pause(process, random.within(.milliseconds(10)...max(.seconds(8), swarm.gatewayPauseMost)))
            }
        }
        chaos.every(swarm.clockJumpEvery) { [self] in
            world.coverage[.clockJumped] += 1
            let offset = random.within(-swarm.clockJumpMost...swarm.clockJumpMost)
            if abs(offset) > Limits.clockSkewMilliseconds { world.coverage[.clockFarOff] += 1 }
            if gateway != nil, random.happens(30) {
                gatewayOffset = offset
            } else {
                random.pick(replicas).wallOffset = offset
            }
        }
        startFaultsOfStore(chaos)
        chaos.every(swarm.fillingEvery) { [self] in
            guard store.filling == nil else { return }
            world.coverage[.storeFilling] += 1
            // Each client has one checkout under way, and each may be tried again.
            store.filling = (random.pick([.item, .user]), 40 + 40 * swarm.clients)
            chaos.after(.seconds(1)...(.seconds(20))) { [self] in store.filling = nil }
        }
        chaos.every(swarm.cutOffEvery) { [self] in
            guard cutOff == nil else { return }
            world.coverage[.serviceCutOff] += 1
            cutOff = random.pick(GroupKey.Kind.allCases)
            world.trace.note("network", "\(cutOff.map { "\($0)" } ?? "")s are cut off")
            cutOffSince = world.scheduler.now
            sentInVain = [:]
            chaos.after(.milliseconds(100)...swarm.cutOffMost) { [self] in
                if world.scheduler.now - cutOffSince > .seconds(20) { world.coverage[.serviceAwayForLong] += 1 }
                world.trace.note("network", "is whole again")
                cutOff = nil
            }
        }
    }

    /// Wakes paused processes, and sets clocks right that are further off than they may be: the others are no fault,
    /// and everything must end with them.
    func stopFaults() {
        for replica in replicas {
            if swarm.hasWildClocks { replica.wallOffset = 0 }
            replica.process?.resume()
        }
        if swarm.hasWildClocks { gatewayOffset = 0 }
        cutOff = nil
        for shard in store.shards.indices where store.shards[shard].trouble != nil { store.set(nil, of: shard) }
        store.damage(false)
        store.filling = nil
    }

    private func startFaultsOfStore(_ chaos: Chaos) {
        let random = chaos.random
        chaos.every(swarm.failoverEvery) { [self] in
            let shard = random.below(store.shards.count)
            // Without a replica nothing takes the place of the master.
            if store.shards[shard].trouble == .replicaAway { return }
            if random.happens(60) { store.failOverAtCommit(shard) } else { store.failOver(shard) }
        }
        chaos.every(swarm.shardTroubleEvery) { [self] in
            let shard = random.below(store.shards.count)
            guard store.shards[shard].trouble == nil else { return }
            let trouble = random.pick(swarm.shardTroubles)
            store.set(trouble, of: shard)
            chaos.after(.milliseconds(200)...swarm.shardTroubleMost) { [self] in
                if store.shards[shard].trouble == trouble { store.set(nil, of: shard) }
            }
        }
        chaos.every(swarm.damageEvery) { [self] in
            store.damage(true)
            chaos.after(.milliseconds(100)...(.seconds(2))) { [self] in store.damage(false) }
        }
        if let upgradeAfter = swarm.upgradeAfter {
            chaos.after(0...upgradeAfter) { [self] in store.upgrade() }
        }
    }

    func close(_ completion: @escaping () -> Void) { completion() }

    func forEachRecord(_ body: (RecordKey, Record) -> Void) { store.records.forEach(body) }

    func end() {
        store.end()
        for replica in replicas {
            replica.process?.end()
            replica.process = nil
        }
    }
}
