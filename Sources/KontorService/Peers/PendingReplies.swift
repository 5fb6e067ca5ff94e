// The replies that one link waits for, by the numbers of their requests.

import DequeModule
import KontorCore

/// Keeps the origins of requests that went over one link; the link itself carries numbers.
///
/// Numbers rise by one with each request and wrap around, so this is a ring. An answered request leaves a gap, which is
/// removed when it is the oldest.
public struct PendingReplies {
    /// A ledger's reply to a question, or the reverse: the other side does not speak the protocol.
    public struct WrongKind: Error, Hashable {
        /// The mistake, in words for the log.
        public let reason: String
    }

    private struct Slot {
        /// nil: the request is answered.
        var origin: Message.Origin?
        let isQuestion: Bool
        /// Whether two replies may come: a hold that may wait is answered at once, and again once it is granted.
        let mayComeTwice: Bool
        /// When the request was sent, monotonic milliseconds.
        let since: Int64
    }

    private var slots = Deque<Slot>()
    /// The number of the first slot.
    private var firstNumber: UInt32 = 0
    /// Replies that are waited for.
    public private(set) var count = 0
    private let bound: Int

    /// - Parameters:
    ///   - bound: the most replies that it waits for.
    ///   - firstNumber: the number of the first request.
    public init(bound: Int = Limits.pendingReplies, firstNumber: UInt32 = 0) {
        self.bound = bound
        self.firstNumber = firstNumber
    }

    /// Gives a request its number, and keeps its origin. At the bound the oldest request is forgotten.
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

    /// Gives a reply the origin of its request; nil: the request is forgotten, or was answered.
    public mutating func reply(_ reply: NumberedMessage) throws(WrongKind) -> Message? {
        let index = Int(reply.number &- firstNumber)
        guard index < slots.count, let origin = slots[index].origin else { return nil }
        switch (reply.body, slots[index].isQuestion) {
        case (.ledgerReply, false), (.orderReply, true): break
        case (.ledgerReply, true): throw WrongKind(reason: "a ledger's reply to a question about an order")
        default: throw WrongKind(reason: "an order's reply to a message for a ledger")
        }
        let isContended = if case .ledgerReply(.decided(.contended)) = reply.body { true } else { false }
        if !(isContended && slots[index].mayComeTwice) { end(index) }
        return Message(origin, reply.body)
    }

    /// Forgets requests that were sent before a time, monotonic milliseconds.
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
