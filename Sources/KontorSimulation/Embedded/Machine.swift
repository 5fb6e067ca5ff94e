// A simulated machine with one shop: its disk, its clock, and the process that is started, killed and started again.

import KontorCore
import KontorEmbedded
import KontorService

/// The machine: what outlives its processes.
final class Machine {
    static let directory = "/data"
    let world: Surroundings
    let swarm: Swarm
    let random: SeededRandom
    let disk = SimulatedDisk()
    let table = SimulatedTable()
    let sagas: SagaWatch
    let watch: StoreWatch
    /// The error of the wall clock, milliseconds.
    var wallOffset: Int64 = 0
    private(set) var instance: EmbeddedInstance?
    var process: ShopProcess? { instance?.process }
    private var isStarting = false
    /// The undamaged bytes of segments in which bits were flipped, by path, as an operator would restore them. A start
    /// that does not read the damage succeeds; a later one that must read further back, because the table's log is
    /// lost, meets it.
    private var undamaged: [String: [UInt8]] = [:]
    /// The segments that were lost since the last start, each the newest one of its time.
    private var lostSegments: [(path: String, bytes: [UInt8])] = []
    /// Whether a sync has failed since the power was last cut.
    private var hasFailedSync = false
    /// Whether the process is of an older release, which lists nothing.
    private(set) var isOlder: Bool
    /// Whether the next start is of the newest release.
    var isUpgradeDue = false

    init(_ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom) {
        self.world = world
        self.swarm = swarm
        self.random = random
        isOlder = swarm.beginsOlder
        sagas = SagaWatch(world, takesLateCopies: false)
        watch = StoreWatch(world, sagas)
    }

    // MARK: Start and end

    /// Starts the shop. If the start dies or is refused, another one follows.
    func start() {
        guard process == nil else { return }
        if world.isFaulty, random.happens(swarm.midstPercent / 4) { disk.deathStep = disk.steps + random.below(12) }
        if isOlder, isUpgradeDue { upgrade() }
        do throws(EmbeddedError) {
            let instance = try EmbeddedInstance(self)
            if disk.hasDied { return die(.killedInTheMidstOfAStart, instance) }
            disk.deathStep = nil
            if instance.startReport.tornBytesCut > 0 { world.coverage[.tornTailCut] += 1 }
            if instance.startReport.isReadOnly { startedWithoutRoom() }
            // A segment without frames can be missing, when its name was not yet durable.
            lostSegments = []
            world.trace.note("machine", "the shop starts: \(instance.startReport.recordsReplayed) records replayed")
            self.instance = instance
            instance.begin()
        } catch {
            startFailed(error)
        }
    }

    /// The power may fail soon, mostly before there is room: then what the start has found must be there still.
    private func startedWithoutRoom() {
        world.coverage[.startedWithoutRoom] += 1
        guard world.isFaulty, swarm.powerEvery != nil, random.happens(50) else { return }
        world.scheduler.after(random.within(.milliseconds(5)...(.milliseconds(200)))) { [self] in
            if world.isFaulty, process != nil { kill(.powerLost) }
        }
    }

    /// Installs the newest release.
    private func upgrade() {
        world.coverage[.releaseUpgraded] += 1
        table.loseLists()
        isOlder = false
    }

    private func startFailed(_ error: EmbeddedError) {
        world.trace.note("machine", "the start fails: \(error)")
        if disk.hasDied { return die(.killedInTheMidstOfAStart, nil) }
        disk.kill()
        if case .damage = error, !lostSegments.isEmpty {
            world.coverage[.newestSegmentMissed] += 1
            for (path, bytes) in lostSegments { disk.putBack(path, bytes) }
            lostSegments = []
        } else if case .damage = error, !undamaged.isEmpty {
            world.coverage[.damageRefused] += 1
            for path in disk.paths { undamaged[path].map { disk.overwrite(path, $0) } }
            undamaged = [:]
        } else if case .system("readdir", _, _) = error {
            // The next try may see all of the directory.
        } else if disk.failsSyncs {
            stopFailingSyncs()
        } else if disk.isFull, case .diskFull = error {
            makeRoom()
        } else {
            world.violation("the shop does not start: \(error)")
            return
        }
        restart()
    }

    /// Kills the process: everything that it had in memory is gone.
    func kill(_ branch: Branch) { die(branch, instance) }

    private func die(_ branch: Branch, _ instance: EmbeddedInstance?) {
        world.coverage[branch] += 1
        world.trace.note("machine", branch.rawValue)
        instance?.end()
        self.instance = nil
        watch.crash()
        if branch == .powerLost || (branch != .processKilled && random.happens(50)) {
            disk.crash(random)
            if hasFailedSync { world.coverage[.syncForgotten] += 1 }
            if hasFailedSync, branch == .powerLost, instance?.startReport.isReadOnly == true {
                world.coverage[.syncForgottenWithoutRoom] += 1
            }
            hasFailedSync = false
            if random.happens(swarm.tableLogLossPercent) {
                world.coverage[.tableLogLost] += 1
                table.loseLog()
            }
        } else {
            disk.kill()
        }
        flipBit()
        loseNewestSegment()
        restart()
    }

    private func restart() {
        guard !isStarting else { return }
        isStarting = true
        world.scheduler.after(random.within(.milliseconds(20)...(.milliseconds(500)))) { [self] in
            isStarting = false
            start()
        }
    }

    /// Flips a bit in a segment that is not the last one: in the last frame of all nobody could tell it from a torn
    /// write.
    private func flipBit() {
        guard world.isFaulty, random.happens(swarm.bitFlipPercent) else { return }
        let segments = disk.paths.filter { $0.hasSuffix(".journal") }
        guard segments.count > 1 else { return }
        let path = random.pick(Array(segments.dropLast()))
        guard var bytes = disk.content(path), !bytes.isEmpty else { return }
        if undamaged[path] == nil { undamaged[path] = bytes }
        bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
        disk.overwrite(path, bytes)
        world.coverage[.bitFlipped] += 1
        world.trace.note("machine", "a bit of \(path) flips")
    }

    private func loseNewestSegment() {
        guard world.isFaulty, random.happens(swarm.newestLossPercent) else { return }
        guard let path = disk.paths.last(where: { $0.hasSuffix(".journal") }), let bytes = disk.content(path) else { return }
        disk.lose(path)
        lostSegments.append((path, bytes))
        world.coverage[.newestSegmentLost] += 1
        world.trace.note("machine", "\(path) is lost")
    }

    /// Lets syncs succeed again. What they have not written stays as it is.
    func stopFailingSyncs() {
        if disk.failsSyncs { hasFailedSync = true }
        disk.failsSyncs = false
    }

    /// Ends the machine: the world is over.
    func end() {
        world.coverage[.roomKept] += disk.partialReservations
        world.coverage[.journalFileRemoved] += disk.removals
        instance?.end()
        instance = nil
    }

    /// Ends the process, which has said that it cannot go on. A fold that lacks room, or meets another process's lock,
    /// must wait and not end.
    func processFailed(_ reason: String) {
        if reason.hasPrefix("the fold: "), ["no space left", "another process"].contains(where: reason.contains) {
            world.violation("the process ended over a failure that would have passed: \(reason)")
        }
        if disk.failsSyncs, world.isFaulty, swarm.diskFullEvery != nil, random.happens(70) {
            // A volume may promise more room than it has. Then the sync of what was cached fails, and nothing more
            // fits.
            fill()
            disk.capacityBytes = 0
        }
        stopFailingSyncs()
        die(.processKilled, instance)
    }

    // MARK: The disk

    /// Checks, after each work on the disk, whether the process died of it.
    func didWork() {
        if table.refusedSlices > 1 {
            world.violation("a slice was tried again without room, and the table's log was not emptied before")
        }
        if disk.hasDied { die(.killedInTheMidstOfAWrite, instance) }
    }

    /// The duration of a lane's next work, until its effect and until its report, microseconds.
    func duration(of lane: Lane) -> (effect: Int64, report: Int64) {
        var effect = random.within(lane == .journal ? 100...2_000 : 50...5_000)
        if world.isFaulty, lane == .journal, random.happens(swarm.slowSyncPercent) {
            world.coverage[.diskSlow] += 1
            effect = random.within(.milliseconds(50)...(.seconds(2)))
        }
        return (effect, random.within(5...200))
    }

    /// Fills the disk, until others remove something.
    func fill() {
        world.scheduler.after(random.within(.milliseconds(100)...(.seconds(3)))) { [self] in makeRoom() }
        world.coverage[.diskFull] += 1
        // Sometimes others take what a start gives back.
        let taken = random.happens(30) ? swarm.options.segmentBytes : 0
        disk.capacityBytes = disk.usedBytes - taken + (random.happens(60) ? 0 : random.below(64 << 10))
        disk.isQuota = random.happens(swarm.quotaPercent)
        if disk.isQuota { world.coverage[.quotaReached] += 1 }
        table.isFull = random.happens(50)
        if !table.isFull, random.happens(50) {
            world.coverage[.tableLogFull] += 1
            table.fillLog()
        }
    }

    func makeRoom() {
        disk.capacityBytes = .max
        disk.isQuota = false
        table.isFull = false
        table.logSlices = .max
    }
}
