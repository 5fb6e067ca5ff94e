// Reads of accounts and orders, in this process or others. This process's are read at once. A question to another
// process is repeated until it is answered or out of time. A reader always gets a reply.

import KontorCore

/// The reads of one shop that wait for their replies.
final class Reads {
    private enum Reader {
        case ofAccount((LedgerReply) -> Void)
        case ofOrder((OrderReply) -> Void)
    }

    private struct Pending {
        let request: Message
        let reader: Reader
        /// When the reader gets "unknown", monotonic milliseconds.
        let deadline: Int64
        /// When the question is repeated, monotonic milliseconds.
        var next: Int64
    }

    private let router: MessageRouter
    private let clock: any ShopClock
    private var pending: [UInt64: Pending] = [:]
    /// Starts at a random number, so that a late reply to an earlier instance of the shop finds no reader.
    private var lastNumber: UInt64

    init(_ router: MessageRouter, clock: any ShopClock, random: any RandomSource) {
        self.router = router
        self.clock = clock
        lastNumber = random.next()
    }

    /// Questions to other processes that have no reply.
    var waiting: Int { pending.count }

    /// Reads an account.
    ///
    /// - Parameters:
    ///   - deadline: monotonic milliseconds.
    ///   - reply: called once; ``Reply/unknown`` if there was no reply in time.
    func read(_ account: GroupKey, deadline: Int64, reply: @escaping (LedgerReply) -> Void) {
        ask(LedgerCommand(account, .read), deadline: deadline, reply: reply)
    }

    /// Asks `read` or `findPayment` of a ledger.
    ///
    /// - Parameters:
    ///   - deadline: monotonic milliseconds.
    ///   - reply: called once; ``Reply/unknown`` if there was no reply in time.
    func ask(_ question: LedgerCommand, deadline: Int64, reply: @escaping (LedgerReply) -> Void) {
        if let ledger = router.ledgerHere(of: question.account.kind) { return ledger.submit(question, reply: reply) }
        let now = clock.monotonicMilliseconds
        let deadline = min(deadline, now + Limits.longestDeadlineMilliseconds)
        let wallDeadline = clock.wallMilliseconds + deadline - now
        ask(.command(question, deadline: wallDeadline), .ofAccount(reply), deadline: deadline, now: now)
    }

    /// Asks `read` or `inspect` of an order, and waits for `Limits.deadlineMilliseconds` at most.
    ///
    /// - Parameter deadline: monotonic milliseconds; nil: only that bound.
    func ask(_ question: OrderCommand, deadline: Int64? = nil, reply: @escaping (OrderReply) -> Void) {
        if let orders = router.ordersHere { return orders.submit(question, reply: reply) }
        let now = clock.monotonicMilliseconds
        let most = now + Limits.deadlineMilliseconds
        ask(.question(question), .ofOrder(reply), deadline: min(deadline ?? most, most), now: now)
    }

    private func ask(_ body: Message.Body, _ reader: Reader, deadline: Int64, now: Int64) {
        lastNumber &+= 1
        let request = Message(.read(lastNumber), body)
        pending[lastNumber] = Pending(
            request: request, reader: reader, deadline: deadline, next: now + Limits.resendMilliseconds)
        router.send(request)
    }

    /// Takes the reply to a read. A read that was sent twice may be answered twice: the first reply counts.
    func receive(_ body: Message.Body, _ number: UInt64) {
        switch (pending[number]?.reader, body) {
        case (.ofAccount(let reply)?, .ledgerReply(let outcome)):
            pending[number] = nil
            reply(outcome)
        case (.ofOrder(let reply)?, .orderReply(let outcome)):
            pending[number] = nil
            reply(outcome)
        default: break
        }
    }

    /// Repeats the questions to other processes that are not answered, and ends those that are out of time.
    func tick(now: Int64) {
        guard !pending.isEmpty else { return }
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        for number in pending.filter({ $0.value.next <= now || $0.value.deadline <= now }).keys.sorted() {
            guard let question = pending[number] else { continue }
            if question.deadline <= now {
                pending[number] = nil
                switch question.reader {
                case .ofAccount(let reply): reply(.unknown)
                case .ofOrder(let reply): reply(.unknown)
                }
            } else {
                pending[number]?.next = now + Limits.resendMilliseconds
                let isReachable = question.request.recipient.map { !router.unreachable.contains($0.kind) } ?? false
                if isReachable { router.send(question.request) }
            }
        }
    }
}
