// The sagas that a process drives, and their callers.

import KontorCore

extension CheckoutCoordinator {
    /// Somebody who waits for a saga of an order.
    struct Caller {
        let tell: Callback
        let wish: Wish
        /// Whose the order must be; nil: whoever's.
        let owner: Identifier?
        let keyed: KeyedWrite?
        /// When the caller stops waiting, monotonic milliseconds. A caller that joined may have less time than the
        /// saga.
        let deadline: Int64
        /// Whether the saga ran already when the caller came. Its refusal does not hold for this caller: it may rest on
        /// amounts, or on another caller's deadline, from before the caller asked.
        var hasJoined = false
        /// Whether the caller came before the order was asked to finish the saga. Later callers may mean another order
        /// with the same id: `batch_init` may have replaced the paid one.
        var maySharePayment = false
        /// Whether the caller only waits for the end of the saga, which had its effect.
        var isReplay = false

        /// Whether the caller's key was kept when this saga committed. One that has another key must ask the order
        /// again: each success under a key is kept. So must one whose saga was undone: a later one has paid the order.
        func sharesKey(with saga: SagaRecord) -> Bool {
            guard let claim = keyed?.kept else { return true }
            return saga.phase.result?.isSuccess == true && claim.key == saga.claim?.key
        }
    }

    /// A saga that runs, and who waits for it.
    final class Running {
        var saga: CheckoutSaga
        var callers: [Caller]
        /// When the checkout began, perhaps in an earlier process, monotonic milliseconds.
        let since: Int64
        var isFinishing = false
        var hasEnded = false
        /// Whether another process has ended the saga, at an unknown time.
        var isOvertaken = false
        /// Whether it ends a reservation that was over.
        var isEnd = false

        init(_ saga: CheckoutSaga, callers: [Caller], since: Int64) {
            self.saga = saga
            self.callers = callers
            self.since = since
        }
    }
}

extension CheckoutCoordinator.Caller {
    /// What begins the saga that the caller wants. Times are milliseconds since 1970.
    func operation(now: Int64, deadline: Int64, reservedUntil: Int64) -> OrderCommand.Operation {
        switch wish {
        case .checkout: .begin(now: now, deadline: deadline, keyed?.kept)
        case .reservation: .reserve(now: now, deadline: deadline, until: reservedUntil, keyed?.kept)
        case .noReservation: .giveBack(now: now, deadline: deadline, keyed?.kept)
        }
    }
}

extension [CheckoutCoordinator.Caller] {
    /// The present time and the deadline of a saga that begins for these callers, by the wall clock.
    func times(by clock: any ShopClock) -> (now: Int64, deadline: Int64) {
        let now = clock.monotonicMilliseconds
        let callersDeadline = map(\.deadline).max() ?? now
        let wall = clock.wallMilliseconds
        return (wall, wall + Swift.max(0, Deadline.ofWaiting(callersDeadline: callersDeadline, now: now) - now))
    }
}
