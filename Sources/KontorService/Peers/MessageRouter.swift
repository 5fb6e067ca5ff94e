// Brings each message to whom it is for: a ledger, the orders or the coordinator of this process, or another process.

import KontorCore

/// The post of one shop. What goes to other processes leaves together at the end of a turn, behind the barrier: what it tells may not be
/// durable before.
final class MessageRouter {
    /// To whom messages are brought in this process.
    struct Services {
        let stock: LedgerService
        let payment: LedgerService
        let orders: OrderService
        let reads: Reads
    }

    /// nil once the shop is gone: what still comes is dropped.
    private var services: Services?
    /// nil: the shop is alone, and serves everything.
    private let serving: Set<GroupKey.Kind>?
    private var outbox: [Message] = []

    init(_ deployment: Deployment) {
        if case .oneOfSeveral(let serving, _) = deployment { self.serving = serving } else { serving = nil }
    }

    /// To be called once, before the first message: the services know the router, and the router them.
    func connect(_ services: Services) { self.services = services }

    func disconnect() { services = nil }

    /// Sends a request of this process. The steps of sagas go to other processes, if there are any, though this one may serve the account,
    /// too: each account belongs to one of its service's processes.
    func send(_ request: Message) {
        if staysHere(request) { deliver(request) } else { outbox.append(request) }
    }

    /// Whether a request of this process goes from queue to queue: it cannot be lost, and need not be sent again.
    func staysHere(_ request: Message) -> Bool {
        guard let serving else { return true }
        return request.isRead && request.recipient.map { serving.contains($0.kind) } ?? false
    }

    /// Sends a reply back to whoever asked.
    func reply(_ origin: Message.Origin, _ body: Message.Body) {
        switch (origin, body) {
        case (.leg(let leg, let step, let saga), .ledgerReply(let reply)):
            services?.orders.coordinator.receive(reply, leg: leg, step, of: saga)
        case (.read(let number), _): services?.reads.receive(body, number)
        case (.link, _): outbox.append(Message(origin, body))
        default: break
        }
    }

    /// Takes a message from another process. What it may not ask for, or what is not served here, is dropped: who sent it asks again.
    func receive(_ message: Message) {
        guard message.mayCross else { return }
        guard let recipient = message.recipient else {
            // A reply that bears the origin of another process went astray.
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

    /// Takes what leaves behind this turn's barrier.
    func takeOutbox() -> [Message] {
        defer { outbox = [] }
        return outbox
    }
}
