// A thread as the serial domain of a shop.

import Foundation
import KontorCore
import Synchronization

/// Runs the turns of a ``ShopRunner`` on a thread of its own, and sleeps while there is nothing to do.
public final class TurnThread: Waker, Sendable {
    private let signal = TimedSignal()
    private let isWoken = Atomic(false)
    private let isEnded = Atomic(false)

    public init() {}

    public func wake() {
        guard !isWoken.exchange(true, ordering: .acquiringAndReleasing) else { return }
        signal.raise()
    }

    /// Starts the thread. From here on the runner's shop lives on it.
    public func start(_ runner: ShopRunner) {
        let thread = Thread { [self] in
            runner.begin()
            while !isEnded.load(ordering: .relaxed) {
                waitForWork()
                runner.turn()
            }
        }
        thread.name = "shop"
        thread.start()
    }

    /// Ends the thread after its present turn.
    public func end() {
        isEnded.store(true, ordering: .relaxed)
        wake()
    }

    /// Sleeps until it is woken, or until the next tick.
    private func waitForWork() {
        signal.wait(milliseconds: Limits.tickMilliseconds)
        isWoken.store(false, ordering: .releasing)
    }
}
