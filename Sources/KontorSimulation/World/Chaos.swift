// Injects faults, as often as the world's settings say, until it is told to stop.

/// Schedules the faults of a world.
final class Chaos {
    let random: SeededRandom
    private let world: Surroundings

    init(_ world: Surroundings, _ random: SeededRandom) {
        self.world = world
        self.random = random
    }

    /// Repeats a fault until faults have ended. `mean`: microseconds between two of them; nil: never.
    func every(_ mean: Int64?, _ fault: @escaping () -> Void) {
        guard let mean else { return }
        after(0...(2 * mean)) { [self] in
            guard world.isFaulty else { return }
            fault()
            every(mean, fault)
        }
    }

    func after(_ delay: ClosedRange<Int64>, _ work: @escaping () -> Void) {
        world.scheduler.after(random.within(delay), work)
    }
}
