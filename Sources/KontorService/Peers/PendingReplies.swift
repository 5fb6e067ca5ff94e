// The replies that one link waits for, by the numbers of their requests.

import DequeModule
import KontorCore

/// Keeps the origins of requests that went over one link; the link itself carries numbers.
///
/// There is at most one request for each leg of a saga or refund: asked again it keeps its number, so that the reply to
/// any copy of it is taken, and another step of the leg takes its place. Who still wants a reply asks again, so a
/// request that was not repeated for long is forgotten. Nothing else makes room: at the bound a request is refused.
public struct PendingReplies {
    /// A ledger's reply to a question, or the reverse: the other side does not speak the protocol.
    public struct WrongKind: Error, Hashable {
        /// The mistake, in words for the log.
        public let reason: String
    }

    private struct Slot {
        /// The place of the slot, and above it how often it was used: a late reply to an earlier use finds nothing.
        var number: UInt32
        /// nil: no reply is waited for.
        var origin: Message.Origin?
        var isQuestion = false
        /// Whether two replies may come: a hold that may wait is answered at once, and again once it is granted.
        var mayComeTwice = false
        /// When the request was sent last, monotonic milliseconds.
        var since: Int64 = 0
    }

    /// The name of a leg or of a read. Incarnations and the numbers of reads are random, so the hash need not be.
    private struct Name: Hashable {
        let first: UInt64
        let second: UInt64

        init?(_ origin: Message.Origin) {
            switch origin {
            case .leg(let leg, _, let saga):
                first = saga.incarnation
                second = UInt64(saga.attempt) << 32 | UInt64(UInt32(truncatingIfNeeded: leg))
            case .credit(let leg, let refund):
                // The numbers of a saga's legs have no such bit.
                first = refund.incarnation
                second = UInt64(refund.number) << 32 | UInt64(UInt32(truncatingIfNeeded: leg) | 1 << 31)
            case .read(let number):
                first = number
                second = .max
            case .link, .nobody: return nil
            }
        }

        func hash(into hasher: inout Hasher) { hasher.combine(first &+ second &* 0x9E37_79B9_7F4A_7C15) }
    }

    /// The bits of a number that are the slot's place.
    private static let placeBits: UInt32 = 19
    /// Slots that rest before one of them is used again: with the other bits of a number, some eight million requests
    /// go by until a number comes again.
    public static let restingSlots = 1_024
    /// The largest bound: each slot must have a place.
    public static let mostSlots = 1 << Int(placeBits)
    /// Slots that one call of ``forget(before:)`` looks at: all of them within some seconds of ticks.
    private static let sweptSlots = 8_192

    private var slots: [Slot] = []
    /// The places of slots without a request, the one that rests longest first.
    private var free = Deque<Int>()
    private var places: [Name: Int] = [:]
    private var nextSwept = 0
    private let bound: Int

    /// - Parameter bound: the most replies that it waits for.
    public init(bound: Int = Limits.pendingReplies) { self.bound = min(bound, Self.mostSlots - Self.restingSlots) }

    /// Replies that are waited for.
    public var count: Int { slots.count - free.count }

    /// Gives a request its number, and keeps its origin. A request that is repeated keeps its number.
    ///
    /// - Parameter now: monotonic milliseconds.
    /// - Returns: nil at the bound: the request must not be sent.
    public mutating func number(_ request: Message, now: Int64) -> NumberedMessage? {
        let name = Name(request.origin)
        if let name, let place = places[name] {
            if slots[place].origin == request.origin {
                slots[place].since = now
                return NumberedMessage(number: slots[place].number, request.body)
            }
            // The saga has gone on to another step: nobody wants the reply to the one before.
            end(place)
        }
        guard count < bound else { return nil }
        let place = newPlace()
        slots[place] = Slot(
            number: slots[place].number, origin: request.origin, isQuestion: request.body.isQuestion,
            mayComeTwice: request.body.mayWait, since: now)
        if let name { places[name] = place }
        return NumberedMessage(number: slots[place].number, request.body)
    }

    /// Gives a reply the origin of its request; nil: the request is forgotten, or was answered.
    public mutating func reply(_ reply: NumberedMessage) throws(WrongKind) -> Message? {
        let place = Int(reply.number & (1 << Self.placeBits - 1))
        guard place < slots.count, slots[place].number == reply.number, let origin = slots[place].origin else { return nil }
        switch (reply.body, slots[place].isQuestion) {
        case (.ledgerReply, false), (.orderReply, true): break
        case (.ledgerReply, true): throw WrongKind(reason: "a ledger's reply to a question about an order")
        default: throw WrongKind(reason: "an order's reply to a message for a ledger")
        }
        let isContended = if case .ledgerReply(.decided(.contended)) = reply.body { true } else { false }
        if !(isContended && slots[place].mayComeTwice) { end(place) }
        return Message(origin, reply.body)
    }

    /// Forgets requests that were sent last before a time, monotonic milliseconds. One call looks at some of them only:
    /// it is to be called with each tick.
    public mutating func forget(before time: Int64) {
        for _ in 0..<min(slots.count, Self.sweptSlots) {
            if nextSwept >= slots.count { nextSwept = 0 }
            if slots[nextSwept].origin != nil, slots[nextSwept].since < time { end(nextSwept) }
            nextSwept += 1
        }
    }

    /// Forgets all that is waited for. Numbers go on.
    public mutating func forgetAll() { for place in slots.indices where slots[place].origin != nil { end(place) } }

    private mutating func newPlace() -> Int {
        if free.count >= Self.restingSlots || slots.count >= bound + Self.restingSlots, let place = free.popFirst() {
            return place
        }
        slots.append(Slot(number: UInt32(slots.count)))
        return slots.count - 1
    }

    private mutating func end(_ place: Int) {
        if let name = slots[place].origin.flatMap(Name.init) { places[name] = nil }
        slots[place].origin = nil
        slots[place].number &+= 1 << Self.placeBits
        free.append(place)
    }
}

extension Message.Body {
    fileprivate var isQuestion: Bool { if case .question = self { true } else { false } }

    fileprivate var mayWait: Bool {
        if case .command(let command, _) = self, case .hold(_, _, let mayWait, _) = command.operation { mayWait } else { false }
    }
}
