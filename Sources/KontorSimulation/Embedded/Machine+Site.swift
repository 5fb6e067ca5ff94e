// A world's site in the embedded form: one process on one machine with a disk.

import KontorCore
import KontorService

extension Machine: Site {
    var isAccepting: Bool { process?.isAccepting ?? false }
    /// Once there is room again, new work is taken again, and the table is brought up to date.
    var isAtRest: Bool { process?.openSagas == 0 && instance?.isRefusing == false }
    var leftovers: [String] { [] }
    var unrest: String {
        process.map { "\($0.openSagas) checkouts do not end, or new work is refused" } ?? "the shop does not run"
    }
    var longestRecovery: Int64 { .seconds(12) }
    /// By its clock, which may still be wrong.
    var reservedUntil: Int64? { watch.reservedUntil.map { ($0 - SimulatedClock.epoch - wallOffset) * 1_000 } }
    /// A start takes its time, too.
    var longestExpiry: Int64 { .seconds(3) }
    var untilClean: Int64? { 0 }
    var amounts: [GroupKey: Amounts] { watch.amounts }
    var hasLists: Bool { !isOlder }

    func submit(_ request: ShopRequest, name: WriteName?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        process?.submit(request, name: name, milliseconds: milliseconds, caller: caller) ?? false
    }

    func startFaults(_ chaos: Chaos) {
        let random = chaos.random
        chaos.every(swarm.killEvery) { [self] in
            guard process != nil else { return }
            if random.happens(swarm.midstPercent) {
                disk.deathStep = disk.steps + random.below(20)
            } else {
                kill(.processKilled)
            }
        }
        if isOlder {
            chaos.after(0...(swarm.safety * 3 / 4)) { [self] in
                isUpgradeDue = true
                if process != nil { kill(.processKilled) }
            }
        }
        chaos.every(swarm.powerEvery) { [self] in if process != nil { kill(.powerLost) } }
        chaos.every(swarm.pauseEvery) { [self] in process?.pause(random.within(.milliseconds(10)...(.seconds(3)))) }
        chaos.every(swarm.clockJumpEvery) { [self] in
            world.coverage[.clockJumped] += 1
            wallOffset = random.within(-30_000...30_000)
        }
        chaos.every(swarm.syncFailureEvery) { [self] in
            guard process != nil else { return }
            world.coverage[.syncFailed] += 1
            disk.failsSyncs = true
        }
        chaos.every(swarm.diskFullEvery) { [self] in
            fill()
            if random.happens(swarm.midstPercent / 2), process != nil { disk.deathStep = disk.steps + random.below(6) }
        }
        chaos.every(swarm.tableBusyEvery) { [self] in
            world.coverage[.tableBusy] += 1
            table.isBusy = true
            chaos.after(.milliseconds(10)...swarm.tableBusyMost) { [self] in
                if world.isFaulty, swarm.powerEvery != nil, process != nil, random.happens(50) { kill(.powerLost) }
                table.isBusy = false
            }
        }
        chaos.every(swarm.tableLockEvery) { [self] in
            world.coverage[.tableLocked] += 1
            table.isLocked = true
            chaos.after(.milliseconds(10)...(.seconds(5))) { [self] in table.isLocked = false }
        }
        chaos.every(swarm.listingFailureEvery) { [self] in
            world.coverage[.listingFailed] += 1
            disk.listingsToFail = 1
        }
    }

    func stopFaults() {
        stopFailingSyncs()
        disk.listingsToFail = 0
        disk.deathStep = nil
        makeRoom()
        table.isBusy = false
        table.isLocked = false
    }

    func close(_ completion: @escaping () -> Void) { instance?.close(completion) }

    func forEachRecord(_ body: (RecordKey, Record) -> Void) throws {
        try table.forEach { key, record in
            watch.loaded(key, record)
            body(key, record)
        }
    }
}
