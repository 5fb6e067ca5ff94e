// An event loop as the serial domain of a shop. Requests, links, the store's replies and the shop's turns run on it, so
// nothing hops between threads. A service over Redis mostly waits for others, so one thread is enough.

import KontorCore
import KontorService
import NIOCore
import Synchronization

/// Runs the turns of a ``ShopRunner`` on an event loop, each at the end of a round, with everything that has arrived in
/// it.
///
/// `@unchecked Sendable`: its variables are atomic, or used on the event loop alone.
final class LoopWaker: Waker, @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let isTurnDue = Atomic(false)
    private var runner: ShopRunner?
    private var ticking: RepeatedTask?

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func wake() {
        guard !isTurnDue.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventLoop.execute { [self] in
            isTurnDue.store(false, ordering: .releasing)
            runner?.turn()
        }
    }

    /// Starts the turns. To be called on the event loop.
    func start(_ runner: ShopRunner) {
        eventLoop.preconditionInEventLoop()
        self.runner = runner
        let pause = TimeAmount.milliseconds(Limits.tickMilliseconds)
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [self] _ in wake() }
        runner.begin()
    }
}
