// Questions to services in other processes, which may be lost on the way: asked again until they are answered or their time is over.
// A reader always gets its answer.

import KontorCore

/// Reads accounts and orders of other services. Nothing else may be sent this way: it is asked again.
final class RemoteReads: OrderReader {
    private struct Pending {
        let ask: (_ number: Int) -> Void
        let giveUp: () -> Void
        /// Monotonic milliseconds.
        let deadline: Int64
        var next: Int64
    }

    private let clock: any ShopClock
    private let orders: any OrderReader
    private var pending: [Int: Pending] = [:]
    private var number = 0

    init(clock: any ShopClock, orders: any OrderReader) {
        self.clock = clock
        self.orders = orders
    }

    /// The accounts behind a link, as something that answers always.
    func accounts(over link: any Participant) -> any Participant { AccountReads(self, link) }

    /// `unknown` after `Limits.deadlineMilliseconds`.
    func ask(_ questions: [OrderQuestion]) {
        let deadline = clock.monotonicMilliseconds + Limits.deadlineMilliseconds
        for question in questions {
            add(deadline, question.reply) { [orders] reply in
                orders.ask([OrderQuestion(command: question.command, reply: reply)])
            }
        }
    }

    fileprivate func ask(_ message: ParticipantMessage, over link: any Participant) {
        precondition(message.command.operation == .read, "Only reads may be asked again.")
        let left = message.deadline - clock.wallMilliseconds
        let deadline = clock.monotonicMilliseconds + min(left, Limits.longestDeadlineMilliseconds)
        add(deadline, message.reply) { reply in
            link.send([ParticipantMessage(command: message.command, deadline: message.deadline, reply: reply)])
        }
    }

    private func add<Outcome>(
        _ deadline: Int64, _ reply: @escaping (Reply<Outcome>) -> Void,
        send: @escaping (_ reply: @escaping (Reply<Outcome>) -> Void) -> Void
    ) {
        number += 1
        let ask: (Int) -> Void = { [self] number in
            send { [self] answer in
                // A repeated question is answered twice.
                if pending.removeValue(forKey: number) != nil { reply(answer) }
            }
        }
        let next = clock.monotonicMilliseconds + Limits.resendMilliseconds
        pending[number] = Pending(ask: ask, giveUp: { reply(.unknown) }, deadline: deadline, next: next)
        ask(number)
    }

    func tick(now: Int64) {
        guard !pending.isEmpty else { return }
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        for number in pending.filter({ $0.value.next <= now || $0.value.deadline <= now }).keys.sorted() {
            guard let question = pending[number] else { continue }
            if question.deadline <= now {
                pending[number] = nil
                question.giveUp()
            } else {
                pending[number]?.next = now + Limits.resendMilliseconds
                question.ask(number)
            }
        }
    }
}

private final class AccountReads: Participant {
    private let reads: RemoteReads
    private let link: any Participant

    init(_ reads: RemoteReads, _ link: any Participant) {
        self.reads = reads
        self.link = link
    }

    func send(_ messages: [ParticipantMessage]) { for message in messages { reads.ask(message, over: link) } }
}
