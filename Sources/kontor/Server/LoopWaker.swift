// An event loop as the serial domain of a shop: requests, links, the store's replies and the shop's turns are all there, so nothing hops
// between threads. A service over Redis does little but wait for others.

import KontorCore
import KontorService
import NIOCore
import Synchronization

/// Runs the turns of a ``ShopRunner`` on an event loop, each at the end of a round: with all that has come in it.
///
/// `@unchecked Sendable`: what changes is touched on the event loop alone, or atomic.
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

    /// Begins the turns. To be called on the event loop.
    func start(_ runner: ShopRunner) {
        eventLoop.preconditionInEventLoop()
        self.runner = runner
        let pause = TimeAmount.milliseconds(Limits.tickMilliseconds)
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [self] _ in wake() }
        runner.begin()
    }
}
