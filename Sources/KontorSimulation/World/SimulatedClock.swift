// The clocks of a simulated process: they drift, and the wall clock jumps.

import KontorService

/// One process's view of the simulated time.
final class SimulatedClock: ShopClock {
    private let scheduler: Scheduler
    private let began: Int64
    /// The error of the monotonic clock, in microseconds gained in each second.
    private let drift: Int64
    /// The error of the wall clock, milliseconds; the machine has it.
    private let offset: () -> Int64
    static let epoch: Int64 = 1_700_000_000_000

    init(_ scheduler: Scheduler, drift: Int64, offset: @escaping () -> Int64) {
        self.scheduler = scheduler
        self.drift = drift
        self.offset = offset
        began = scheduler.now
    }

    var monotonicMilliseconds: Int64 {
        let elapsed = scheduler.now - began
        return 1_000 + (elapsed + elapsed * drift / 1_000_000) / 1_000
    }

    var wallMilliseconds: Int64 { Self.epoch + scheduler.now / 1_000 + offset() }
}
