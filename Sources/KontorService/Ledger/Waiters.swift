// Who waits for a contended amount: first come, first served per account. The queue lives in memory; whoever loses its place
// in a crash asks again or runs into its deadline.

import DequeModule
import KontorCore

/// Commands that were answered `contended` and wait until the amount is free.
struct Waiters {
    struct Waiter {
        let command: LedgerCommand
        let keyed: KeyedWrite?
        /// Monotonic milliseconds.
        let deadline: Int64
        let reply: (LedgerReply) -> Void
    }

    private struct Queue {
        var waiters = Deque<Waiter>()
        /// The one whose command is being decided again.
        var retried: Waiter?
        /// Its saga has ended meanwhile: a hold that it took again would never be given back.
        var isRetriedCancelled = false

        var isUnused: Bool { waiters.isEmpty && retried == nil }
    }

    private var queues: [GroupKey: Queue] = [:]
    private(set) var count = 0

    var isFull: Bool { count >= Limits.waiters }

    /// Adds a waiter. A saga that asks again keeps its place, and the new reply replaces the old one.
    mutating func add(_ waiter: Waiter) {
        let account = waiter.command.account
        if let saga = waiter.command.saga, let queue = queues[account] {
            if queue.retried?.command.saga == saga { return }
            if let place = queue.waiters.firstIndex(where: { $0.command.saga == saga }) {
                queues[account]?.waiters[place] = waiter
                return
            }
        }
        queues[account, default: Queue()].waiters.append(waiter)
        count += 1
    }

    /// Takes the first waiter of an account to decide its command again; nil while another one of it is being decided.
    mutating func takeFirst(of account: GroupKey) -> Waiter? {
        guard var queue = queues[account], queue.retried == nil, let first = queue.waiters.popFirst() else { return nil }
        queue.retried = first
        queue.isRetriedCancelled = false
        queues[account] = queue
        return first
    }

    /// The waiter that was taken has its decision; it goes back to its place if it is still contended.
    mutating func endRetry(of account: GroupKey, isContended: Bool) {
        guard var queue = queues[account], let retried = queue.retried else { return }
        queue.retried = nil
        if isContended && !queue.isRetriedCancelled {
            queue.waiters.prepend(retried)
        } else {
            count -= 1
        }
        queues[account] = queue.isUnused ? nil : queue
    }

    /// The saga gives the account back: it no longer waits.
    mutating func remove(_ saga: SagaID, from account: GroupKey) {
        guard var queue = queues[account] else { return }
        if queue.retried?.command.saga == saga { queue.isRetriedCancelled = true }
        if let place = queue.waiters.firstIndex(where: { $0.command.saga == saga }) {
            queue.waiters.remove(at: place)
            count -= 1
        }
        queues[account] = queue.isUnused ? nil : queue
    }

    /// Removes those whose deadline has passed, in a stable order.
    mutating func removeExpired(now: Int64) -> [Waiter] {
        var expired: [Waiter] = []
        for account in accounts {
            guard var queue = queues[account], queue.waiters.contains(where: { $0.deadline <= now }) else { continue }
            expired += queue.waiters.filter { $0.deadline <= now }
            queue.waiters.removeAll { $0.deadline <= now }
            queues[account] = queue.isUnused ? nil : queue
        }
        count -= expired.count
        return expired
    }

    /// All accounts that somebody waits for. Sorted: a dictionary's order differs between runs, and the simulator's must not.
    var accounts: [GroupKey] {
        queues.keys.sorted { ($0.kind.rawValue, $0.id) < ($1.kind.rawValue, $1.id) }
    }
}

extension LedgerCommand {
    /// The saga that the command belongs to.
    var saga: SagaID? {
        switch operation {
        case .hold(let saga, _, _, _), .capture(let saga, _, _), .release(let saga, _, _), .forget(let saga),
            .undo(let saga):
            return saga
        default: return nil
        }
    }

    /// Whether its saga sends it again until it is answered.
    var isResent: Bool {
        switch operation {
        case .hold, .capture, .release: return true
        default: return false
        }
    }

    /// Whether it ends its saga's part in the account.
    var endsHold: Bool {
        switch operation {
        case .capture, .release, .forget, .undo: return true
        default: return false
        }
    }

    /// Whether a contended answer means waiting.
    var waitsWhenContended: Bool {
        switch operation {
        case .hold(_, _, let mayWait, _): return mayWait
        case .withdraw, .payDirectly: return true
        default: return false
        }
    }

    /// Whether it can free an amount that others wait for, or settle that it will never be free.
    var canEndWaiting: Bool {
        switch operation {
        case .capture, .release, .undo, .deposit, .withdraw, .payDirectly, .cancelPayment, .replace: return true
        case .read, .open, .findPayment, .hold, .forget, .keepKey: return false
        }
    }
}
