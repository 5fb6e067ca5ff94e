// A thread as the serial domain of a shop.

import Foundation
import KontorCore
import Synchronization

/// Runs the turns of a ``ShopRunner`` on a thread of its own, and sleeps while there is nothing to do.
///
/// `@unchecked Sendable`: `isWoken` and `isEnded` are atomic, and the condition guards the sleep.
public final class TurnThread: Waker, @unchecked Sendable {
    private let condition = NSCondition()
    private let isWoken = Atomic(false)
    private let isEnded = Atomic(false)

    public init() {}

    public func wake() {
        guard !isWoken.exchange(true, ordering: .acquiringAndReleasing) else { return }
        condition.lock()
        condition.signal()
        condition.unlock()
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
        if isWoken.exchange(false, ordering: .acquiringAndReleasing) { return }
        condition.lock()
        if !isWoken.load(ordering: .acquiring) {
            _ = condition.wait(until: Date(timeIntervalSinceNow: Double(Limits.tickMilliseconds) / 1000))
        }
        condition.unlock()
        isWoken.store(false, ordering: .releasing)
    }
}
