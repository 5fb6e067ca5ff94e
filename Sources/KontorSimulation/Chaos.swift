// Breaks things, as often as the world's settings say, until it is told to stop.

/// The faults of one machine.
final class Chaos {
    private let machine: Machine
    private let random: SeededRandom
    private var world: Surroundings { machine.world }

    init(_ machine: Machine, _ random: SeededRandom) {
        self.machine = machine
        self.random = random
    }

    func start() {
        let swarm = machine.swarm
        world.isFaulty = true
        every(swarm.killEvery) { [self] in kill() }
        every(swarm.powerEvery) { [self] in if machine.process != nil { machine.kill(.powerLost) } }
        every(swarm.pauseEvery) { [self] in
            machine.process?.pause(random.within(.milliseconds(10)...(.seconds(3))))
        }
        every(swarm.clockJumpEvery) { [self] in
            world.coverage[.clockJumped] += 1
            machine.wallOffset = random.within(-30_000...30_000)
        }
        every(swarm.syncFailureEvery) { [self] in
            guard machine.process != nil else { return }
            world.coverage[.syncFailed] += 1
            machine.disk.failsSyncs = true
        }
        every(swarm.diskFullEvery) { [self] in
            machine.fill()
            after(.milliseconds(100)...(.seconds(3))) { [self] in machine.makeRoom() }
        }
        every(swarm.tableBusyEvery) { [self] in
            world.coverage[.tableBusy] += 1
            machine.table.isBusy = true
            after(.milliseconds(10)...(.seconds(2))) { [self] in machine.table.isBusy = false }
        }
    }

    /// From now on nothing breaks, and what was broken works again.
    func stop() {
        world.isFaulty = false
        machine.disk.failsSyncs = false
        machine.disk.deathStep = nil
        machine.makeRoom()
        machine.table.isBusy = false
    }

    private func kill() {
        guard machine.process != nil else { return }
        if random.happens(machine.swarm.midstPercent) {
            machine.disk.deathStep = machine.disk.steps + random.below(20)
        } else {
            machine.kill(.processKilled)
        }
    }

    private func every(_ mean: Int64?, _ fault: @escaping () -> Void) {
        guard let mean else { return }
        after(0...(2 * mean)) { [self] in
            guard world.isFaulty else { return }
            fault()
            every(mean, fault)
        }
    }

    private func after(_ delay: ClosedRange<Int64>, _ work: @escaping () -> Void) {
        world.scheduler.after(random.within(delay), work)
    }
}
