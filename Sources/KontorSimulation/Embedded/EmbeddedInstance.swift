// One start of a shop over the embedded store, on a simulated machine.

import KontorEmbedded
import KontorService

final class EmbeddedInstance {
    let process: ShopProcess
    private let lanes: SimulatedLanes
    private let store: EmbeddedStore
    private let watched: WatchedStore

    var startReport: StartReport { store.startReport }
    var isRefusing: Bool { store.admission != nil }

    init(_ machine: Machine) throws(EmbeddedError) {
        let random = machine.random.fork()
        let clock = SimulatedClock(machine.world.scheduler, drift: machine.swarm.drift) { [unowned machine] in
            machine.wallOffset
        }
        let process = ShopProcess(machine.world, clock, random) { [unowned machine] in machine.processFailed($0) }
        lanes = SimulatedLanes(
            machine.world.scheduler, duration: machine.duration, didWork: machine.didWork,
            post: { [weak process] in process?.post($0) })
        store = try EmbeddedStore.open(
            Machine.directory, options: machine.swarm.options, lanes: lanes, random: random.fork(), files: machine.disk,
            tables: machine.table.opener, metrics: StoreMetrics(factory: process.counters))
        self.process = process
        watched = WatchedStore(store, machine.watch, listsNothing: machine.isOlder)
    }

    func begin() { process.begin { [watched] _ in watched } }

    func end() {
        lanes.drop()
        process.end()
        watched.end()
    }

    /// Closes the store properly.
    func close(_ completion: @escaping () -> Void) {
        process.post { [self] in
            process.willClose()
            store.close { _ in completion() }
        }
    }
}
