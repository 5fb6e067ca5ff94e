// The replies that one connection waits for, by the numbers of their messages.

import KontorCore
import KontorService
import NIOCore

/// Numbers rise by one a message and wrap around, so this is a ring: what is answered leaves a gap, and gaps leave at the old end.
struct PendingReplies {
    enum Waiting {
        /// `mayComeTwice`: a hold that may wait is answered at once, and again once it is granted.
        case ledger(mayComeTwice: Bool, (LedgerReply) -> Void)
        case order((Reply<OrderOutcome>) -> Void)
    }

    private struct Slot {
        var waiting: Waiting?
        /// Monotonic milliseconds.
        let since: Int64
    }

    private var slots = CircularBuffer<Slot>()
    /// Of the first slot.
    private var firstNumber: UInt32 = 0
    private(set) var count = 0
    private let bound: Int

    /// - Parameter firstNumber: where numbers begin.
    init(bound: Int = LinkLimits.pendingReplies, firstNumber: UInt32 = 0) {
        self.bound = bound
        self.firstNumber = firstNumber
    }

    /// Waits for a reply. At the bound the oldest one is forgotten.
    /// - Returns: the message's number.
    mutating func add(_ waiting: Waiting, now: Int64) -> UInt32 {
        if slots.count >= bound { forgetFirst() }
        slots.append(Slot(waiting: waiting, since: now))
        count += 1
        return firstNumber &+ UInt32(slots.count - 1)
    }

    /// Where the reply to a message goes; nil: it was forgotten, or has come before.
    /// - Throws: if the message was one of another kind.
    mutating func takeLedger(_ number: UInt32, _ reply: LedgerReply) throws(LinkFailure) -> ((LedgerReply) -> Void)? {
        guard let index = index(of: number), let waiting = slots[offset: index].waiting else { return nil }
        guard case .ledger(let mayComeTwice, let take) = waiting else {
            throw LinkFailure("a ledger's reply to a question about an order")
        }
        if mayComeTwice, case .decided(.contended) = reply { return take }
        end(index)
        return take
    }

    /// Like ``takeLedger(_:_:)``.
    mutating func takeOrder(_ number: UInt32) throws(LinkFailure) -> ((Reply<OrderOutcome>) -> Void)? {
        guard let index = index(of: number), let waiting = slots[offset: index].waiting else { return nil }
        guard case .order(let take) = waiting else { throw LinkFailure("an order's reply to a message for a ledger") }
        end(index)
        return take
    }

    /// Forgets what is waited for since before a time.
    mutating func forget(before time: Int64) {
        while let first = slots.first, first.waiting == nil || first.since < time { forgetFirst() }
    }

    private func index(of number: UInt32) -> Int? {
        let index = Int(number &- firstNumber)
        return index < slots.count ? index : nil
    }

    private mutating func end(_ index: Int) {
        slots[offset: index].waiting = nil
        count -= 1
        while let first = slots.first, first.waiting == nil { forgetFirst() }
    }

    private mutating func forgetFirst() {
        if slots.removeFirst().waiting != nil { count -= 1 }
        firstNumber &+= 1
    }
}
