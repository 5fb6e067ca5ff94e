// The operating system's clocks and random numbers.

import Foundation
import KontorService

/// The coarse clocks: an error of a few milliseconds is fine for deadlines of seconds, and they cost a fifth.
///
/// `@unchecked Sendable`: it has no state.
final class SystemClock: ShopClock, @unchecked Sendable {
    var monotonicMilliseconds: Int64 { milliseconds(CLOCK_MONOTONIC_COARSE) }
    var wallMilliseconds: Int64 { milliseconds(CLOCK_REALTIME_COARSE) }

    private func milliseconds(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}

/// The system's random numbers. Used on the shop's serial domain alone.
final class SystemRandom: RandomSource {
    private var generator = SystemRandomNumberGenerator()
    func next() -> UInt64 { generator.next() }
}
