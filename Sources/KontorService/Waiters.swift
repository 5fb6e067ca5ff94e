// Who waits for a contended amount: first come, first served per account. The queue lives in memory; whoever loses its place
// in a crash asks again or runs into its deadline.

import DequeModule
import KontorCore

/// Commands that were answered `contended` and wait until the amount is free.
struct Waiters {
    struct Waiter {
        let command: LedgerCommand
        /// Monotonic milliseconds.
        let deadline: Int64
        let reply: (LedgerReply) -> Void
    }

    private struct Queue {
        var waiters = Deque<Waiter>()
        /// The first one's command is being decided again.
        var isProbing = false
    }

    private var queues: [GroupKey: Queue] = [:]
    private(set) var count = 0

    var isFull: Bool { count >= Limits.waiters }

    /// Adds a waiter. A saga that asks again keeps its place, and the new reply replaces the old one.
    mutating func add(_ waiter: Waiter) {
        let account = waiter.command.account
        if let saga = waiter.command.saga,
            let place = queues[account]?.waiters.firstIndex(where: { $0.command.saga == saga })
        {
            queues[account]?.waiters[place] = waiter
            return
        }
        queues[account, default: Queue()].waiters.append(waiter)
        count += 1
    }

    /// Puts back one that was taken and is still contended.
    mutating func putBack(_ waiter: Waiter) {
        queues[waiter.command.account, default: Queue()].waiters.prepend(waiter)
        count += 1
    }

    /// Takes the first waiter of an account to decide its command again; nil while another one of it is being decided.
    mutating func takeFirst(of account: GroupKey) -> Waiter? {
        guard var queue = queues[account], !queue.isProbing, let first = queue.waiters.popFirst() else { return nil }
        queue.isProbing = true
        queues[account] = queue
        count -= 1
        return first
    }

    mutating func endProbe(of account: GroupKey) {
        queues[account]?.isProbing = false
        if queues[account]?.waiters.isEmpty == true { queues[account] = nil }
    }

    /// The saga has released the account: it no longer waits.
    mutating func remove(_ saga: SagaID, from account: GroupKey) {
        guard var queue = queues[account], let place = queue.waiters.firstIndex(where: { $0.command.saga == saga })
        else { return }
        queue.waiters.remove(at: place)
        count -= 1
        queues[account] = queue.waiters.isEmpty && !queue.isProbing ? nil : queue
    }

    /// Removes those whose deadline has passed, in a stable order.
    mutating func removeExpired(now: Int64) -> [Waiter] {
        var expired: [Waiter] = []
        for account in accounts {
            guard var queue = queues[account], queue.waiters.contains(where: { $0.deadline <= now }) else { continue }
            expired += queue.waiters.filter { $0.deadline <= now }
            queue.waiters.removeAll { $0.deadline <= now }
            queues[account] = queue.waiters.isEmpty && !queue.isProbing ? nil : queue
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
        case .hold(let saga, _, _), .capture(let saga, _), .release(let saga, _), .forget(let saga): return saga
        default: return nil
        }
    }

    /// Whether a contended answer means waiting.
    var waitsWhenContended: Bool {
        switch operation {
        case .hold(_, _, let mayWait): return mayWait
        case .withdraw, .payDirectly: return true
        default: return false
        }
    }

    /// Whether it can free an amount that others wait for, or settle that it will never be free.
    var canEndWaiting: Bool {
        switch operation {
        case .capture, .release, .deposit, .withdraw, .payDirectly, .cancelPayment, .replace: return true
        case .read, .open, .findPayment, .hold, .forget: return false
        }
    }
}
