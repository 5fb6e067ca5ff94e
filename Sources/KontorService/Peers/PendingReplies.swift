// The replies that one link waits for, by the numbers of their requests.

import DequeModule
import KontorCore

/// Remembers the origins of requests that went over one link, which carries numbers instead.
///
/// Numbers rise by one a request and wrap around, so this is a ring: what is answered leaves a gap, and gaps leave at the old end.
public struct PendingReplies {
    /// A reply of one kind to a request of the other: the other side does not speak the protocol.
    public struct WrongKind: Error, Hashable {
        public let reason: String
    }

    private struct Slot {
        /// nil: it is answered.
        var origin: Message.Origin?
        let isQuestion: Bool
        /// A hold that may wait is answered at once, and again once it is granted.
        let mayComeTwice: Bool
        /// Monotonic milliseconds.
        let since: Int64
    }

    private var slots = Deque<Slot>()
    /// Of the first slot.
    private var firstNumber: UInt32 = 0
    /// Replies that are waited for.
    public private(set) var count = 0
    private let bound: Int

    /// - Parameters:
    ///   - bound: replies that are waited for at most.
    ///   - firstNumber: where numbers begin.
    public init(bound: Int = Limits.pendingReplies, firstNumber: UInt32 = 0) {
        self.bound = bound
        self.firstNumber = firstNumber
    }

    /// Gives a request its number, and waits for its reply. At the bound the oldest one is forgotten.
    ///
    /// - Parameter now: monotonic milliseconds.
    public mutating func number(_ request: Message, now: Int64) -> NumberedMessage {
        if slots.count >= bound { forgetFirst() }
        slots.append(
            Slot(
                origin: request.origin, isQuestion: request.body.isQuestion, mayComeTwice: request.body.mayWait, since: now))
        count += 1
        return NumberedMessage(number: firstNumber &+ UInt32(slots.count - 1), request.body)
    }

    /// Gives a reply the origin of its request; nil: that was forgotten, or has been answered.
    public mutating func reply(_ reply: NumberedMessage) throws(WrongKind) -> Message? {
        let index = Int(reply.number &- firstNumber)
        guard index < slots.count, let origin = slots[index].origin else { return nil }
        switch (reply.body, slots[index].isQuestion) {
        case (.ledgerReply, false), (.orderReply, true): break
        case (.ledgerReply, true): throw WrongKind(reason: "a ledger's reply to a question about an order")
        default: throw WrongKind(reason: "an order's reply to a message for a ledger")
        }
        if case .ledgerReply(.decided(.contended)) = reply.body, slots[index].mayComeTwice {} else { end(index) }
        return Message(origin, reply.body)
    }

    /// Forgets what is waited for since before a time.
    public mutating func forget(before time: Int64) {
        while let first = slots.first, first.origin == nil || first.since < time { forgetFirst() }
    }

    /// Forgets all that is waited for. Numbers go on.
    public mutating func forgetAll() { while !slots.isEmpty { forgetFirst() } }

    private mutating func end(_ index: Int) {
        slots[index].origin = nil
        count -= 1
        while let first = slots.first, first.origin == nil { forgetFirst() }
    }

    private mutating func forgetFirst() {
        if slots.removeFirst().origin != nil { count -= 1 }
        firstNumber &+= 1
    }
}

extension Message.Body {
    fileprivate var isQuestion: Bool { if case .question = self { true } else { false } }

    fileprivate var mayWait: Bool {
        if case .command(let command, _) = self, case .hold(_, _, let mayWait, _) = command.operation { mayWait } else { false }
    }
}
