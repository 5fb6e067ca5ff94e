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
    /// nil: the shop is alone.
    private let transport: (any Transport)?
    private var outbox: [Message] = []
    /// Messages that were taken from the outbox, and wait for their barrier.
    private var leaving = 0
    /// When a message left last, or none waited: monotonic milliseconds.
    private var lastLeft: Int64 = .min
    /// The time of the last tick, monotonic milliseconds.
    private var now: Int64 = 0
    /// The kinds of groups to which no message would leave, as of the last tick. Repeating one would only fill queues.
    private(set) var unreachable: Set<GroupKey.Kind> = []

    init(_ deployment: Deployment) {
        switch deployment {
        case .alone: (serving, transport) = (nil, nil)
        case .oneOfSeveral(let serving, let transport): (self.serving, self.transport) = (serving, transport)
        }
    }

    /// Sets the recipients. To be called once, before the first message.
    func connect(_ services: Services) { self.services = services }

    func disconnect() { services = nil }

    /// Sends a request of this process. With several processes it goes over a link even if this process serves the
    /// account: each account belongs to one process of its service.
    func send(_ request: Message) {
        if serving == nil { deliver(request) } else { leave(request) }
    }

    /// The ledger of such accounts, and the orders, for a read, if this process has them; nil: others are asked.
    func ledgerHere(of kind: GroupKey.Kind) -> LedgerService? {
        guard isHere(kind) else { return nil }
        return kind == .item ? services?.stock : services?.payment
    }

    var ordersHere: OrderService? { isHere(.order) ? services?.orders : nil }

    private func isHere(_ kind: GroupKey.Kind) -> Bool { serving?.contains(kind) ?? true }

    /// Adds a message to the outbox, or drops it if too many wait for the barrier: requests are repeated.
    private func leave(_ message: Message) {
        if outbox.count + leaving < Limits.leavingMessages { outbox.append(message) }
    }

    /// Sends a reply back to the origin of its request.
    func reply(_ origin: Message.Origin, _ body: Message.Body) {
        switch (origin, body) {
        case (.leg(let leg, let step, let saga), .ledgerReply(let reply)):
            services?.orders.coordinator.receive(reply, leg: leg, step, of: saga)
        case (.credit(let leg, let refund), .ledgerReply(let reply)):
            services?.orders.refunds.receive(reply, leg: leg, of: refund)
        case (.read(let number), _): services?.reads.receive(body, number)
        case (.link, _): leave(Message(origin, body))
        // Nobody waits, or the reply is of the wrong kind.
        case (.nobody, _), (.leg, _), (.credit, _): break
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
        case .command(let command, _):
            let ledger = command.account.kind == .item ? services.stock : services.payment
            ledger.receive(command, from: request.origin)
        case .question(let command): services.orders.receive(command, from: request.origin)
        case .ledgerReply, .orderReply: break
        }
    }

    /// Takes the messages that leave behind this turn's barrier. ``didLeave(_:)`` is to be called for them.
    func takeOutbox() -> [Message] {
        defer { outbox = [] }
        if leaving == 0 { lastLeft = now }
        leaving += outbox.count
        return outbox
    }

    /// Messages that have not left.
    var waiting: Int { outbox.count + leaving }

    /// Notes that so many messages have left, or were dropped at the barrier.
    func didLeave(_ count: Int) {
        leaving -= count
        lastLeft = now
    }

    /// Looks whom messages would reach.
    func tick(now: Int64) {
        self.now = now
        guard let transport else { return }
        let isHeldUp = leaving > 0 && now - lastLeft >= Limits.resendMilliseconds
        unreachable = Set(GroupKey.Kind.allCases.filter { isHeldUp || !transport.peers(of: $0).isReachable })
    }

    /// Why a participant of checkouts takes no new work; nil: all take it.
    var admissionOfPeers: StoreError? {
        guard let transport else { return nil }
        return transport.peers(of: .item).admission ?? transport.peers(of: .user).admission
    }
}
