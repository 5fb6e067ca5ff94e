// Delivers each message: to a ledger, the orders or the coordinator of this process, or to another process.

import KontorCore

/// Routes the messages of one shop. Messages to other processes leave together at the end of a turn, behind the
/// barrier, when what they tell is durable.
final class MessageRouter {
    /// The recipients in this process.
    struct Services {
        let stock: LedgerService
        let payment: LedgerService
        let orders: OrderService
        let reads: Reads
    }

    /// nil: the shop is gone, and messages are dropped.
    private var services: Services?
    /// What this process serves; nil: everything, since the shop is alone.
    private let serving: Set<GroupKey.Kind>?
    private var outbox: [Message] = []

    init(_ deployment: Deployment) {
        if case .oneOfSeveral(let serving, _) = deployment { self.serving = serving } else { serving = nil }
    }

    /// Sets the recipients. To be called once, before the first message.
    func connect(_ services: Services) { self.services = services }

    func disconnect() { services = nil }

    /// Sends a request of this process. With several processes, the steps of sagas go over links even if this process
    /// serves the account: each account belongs to one process of its service.
    func send(_ request: Message) {
        if staysHere(request) { deliver(request) } else { outbox.append(request) }
    }

    /// Whether a request stays in this process: then it cannot be lost, and need not be repeated.
    func staysHere(_ request: Message) -> Bool {
        guard let serving else { return true }
        return request.isRead && request.recipient.map { serving.contains($0.kind) } ?? false
    }

    /// Sends a reply back to the origin of its request.
    func reply(_ origin: Message.Origin, _ body: Message.Body) {
        switch (origin, body) {
        case (.leg(let leg, let step, let saga), .ledgerReply(let reply)):
            services?.orders.coordinator.receive(reply, leg: leg, step, of: saga)
        case (.read(let number), _): services?.reads.receive(body, number)
        case (.link, _): outbox.append(Message(origin, body))
        // Nobody waits, or the reply is of the wrong kind.
        case (.nobody, _), (.leg, _): break
        }
    }

    /// Takes a message from another process. It drops requests that must not cross, or that are for what is not served
    /// here: the sender repeats them.
    func receive(_ message: Message) {
        guard message.mayCross else { return }
        guard let recipient = message.recipient else {
            // A reply with another process's origin went astray.
            if case .link = message.origin { return }
            return reply(message.origin, message.body)
        }
        if serving?.contains(recipient.kind) == true { deliver(message) }
    }

    private func deliver(_ request: Message) {
        guard let services else { return }
        switch request.body {
        case .command(let command, let deadline):
            let ledger = command.account.kind == .item ? services.stock : services.payment
            ledger.receive(command, deadline: deadline, from: request.origin)
        case .question(let command): services.orders.receive(command, from: request.origin)
        case .ledgerReply, .orderReply: break
        }
    }

    /// Takes the messages that leave behind this turn's barrier.
    func takeOutbox() -> [Message] {
        defer { outbox = [] }
        return outbox
    }
}
