// The queue of commands that wait for a contended amount: first come, first served per account. It lives in memory;
// after a crash its commands are sent again, or run into their deadline.

import DequeModule
import KontorCore

/// Commands that were answered `contended` and wait until the amount is free.
struct Waiters {
    struct Waiter {
        let command: LedgerCommand
        let keyed: KeyedWrite?
        /// When waiting ends, monotonic milliseconds.
        let deadline: Int64
        let reply: (LedgerReply) -> Void
    }

    private struct Queue {
        var waiters = Deque<Waiter>()
        /// The waiter whose command is being decided again; nil: none is.
        var retried: Waiter?
        /// Whether that waiter's saga has ended meanwhile: if it waited again, its hold could be granted and never end.
        var isRetriedCancelled = false

        var isUnused: Bool { waiters.isEmpty && retried == nil }
    }

    private var queues: [GroupKey: Queue] = [:]
    private(set) var count = 0

    var isFull: Bool { count >= Limits.waiters }

    /// Adds a waiter. A saga that waits already keeps its place, and the new reply replaces the old one.
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

    /// Takes an account's first waiter, to decide its command again; nil: there is none, or another one is being
    /// decided.
    mutating func takeFirst(of account: GroupKey) -> Waiter? {
        guard var queue = queues[account], queue.retried == nil, let first = queue.waiters.popFirst() else { return nil }
        queue.retried = first
        queue.isRetriedCancelled = false
        queues[account] = queue
        return first
    }

    /// Ends the retry of the waiter that was taken. It goes back to its place if it is still contended.
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

    /// Removes a saga's waiter: the saga is giving the account back.
    mutating func remove(_ saga: SagaID, from account: GroupKey) {
        guard var queue = queues[account] else { return }
        if queue.retried?.command.saga == saga { queue.isRetriedCancelled = true }
        if let place = queue.waiters.firstIndex(where: { $0.command.saga == saga }) {
            queue.waiters.remove(at: place)
            count -= 1
        }
        queues[account] = queue.isUnused ? nil : queue
    }

    /// Removes the waiters whose deadline has passed, in a stable order.
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

    /// The accounts that somebody waits for. Sorted: a dictionary's order differs between runs, and the simulator's
    /// must not.
    var accounts: [GroupKey] {
        queues.keys.sorted { ($0.kind.rawValue, $0.id) < ($1.kind.rawValue, $1.id) }
    }
}

extension LedgerCommand {
    /// The saga that the command belongs to.
    var saga: SagaID? {
        switch operation {
        case .hold(let saga, _, _, _), .capture(let saga, _, _), .release(let saga, _, _), .forget(let saga),
            .undo(let saga), .reserve(let saga, _, _, _):
            return saga
        default: return nil
        }
    }

    /// Whether a saga repeats the command until it is answered.
    var isResent: Bool {
        switch operation {
        case .hold, .capture, .release, .reserve, .refund: return true
        default: return false
        }
    }

    /// Whether its effect has no place in records of format 3.
    var isOfFormatFour: Bool {
        switch operation {
        case .refund, .reserve: true
        default: false
        }
    }

    /// Whether the command ends its saga's part in the account.
    var endsHold: Bool {
        switch operation {
        case .capture, .release, .forget, .undo: return true
        default: return false
        }
    }

    /// Whether the command waits if it is contended.
    var waitsWhenContended: Bool {
        switch operation {
        case .hold(_, _, let mayWait, _): return mayWait
        case .withdraw, .lockPayment: return true
        default: return false
        }
    }

    /// Whether the command can free an amount that others wait for, or make their refusal final.
    var canEndWaiting: Bool {
        switch operation {
        case .capture, .release, .reserve, .undo, .deposit, .withdraw, .payDirectly, .unlockPayment, .cancelPayment, .replace,
            .refund:
            return true
        case .read, .open, .findPayment, .hold, .lockPayment, .forget, .keepKey, .forgetRefund: return false
        }
    }
}
