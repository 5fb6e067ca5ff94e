// What crosses between the coordinator of checkouts, the ledgers and the orders. A message is a value that can be printed, stored
// and sent: in one process, over links and in the simulator it is the same one. How it becomes bytes is in Format/MessageCoding.

/// A request to a ledger or to the orders, or the reply to one.
///
/// On its way between processes a message may be lost, doubled, late and out of order. A request to a ledger may have two replies: a hold
/// that may wait is answered `contended` at once, and again when it is granted.
public struct Message: Hashable, Sendable {
    /// Who asked. A reply bears the origin of its request, and so finds its way back.
    public enum Origin: Hashable, Sendable {
        /// The coordinator of a saga, for one step of one leg.
        case leg(Int, CheckoutSaga.Step, of: SagaID)
        /// Who waits for a read, by its number.
        case read(UInt64)
        /// Another process: the link that the request came over, and its number there.
        case link(UInt64, number: UInt32)
        /// Nobody waits for a reply.
        case nobody
    }

    public enum Body: Hashable, Sendable {
        /// A request to a ledger. `deadline`: until when a contended hold waits; wall clock, milliseconds since 1970.
        case command(LedgerCommand, deadline: Int64)
        /// A question about one order: it changes nothing.
        case question(OrderCommand)
        case ledgerReply(LedgerReply)
        case orderReply(OrderReply)
    }

    public let origin: Origin
    public let body: Body

    public init(_ origin: Origin, _ body: Body) {
        self.origin = origin
        self.body = body
    }

    /// The account or order that a request is for; nil for a reply.
    public var recipient: GroupKey? {
        switch body {
        case .command(let command, _): command.account
        case .question(let command): GroupKey(.order, command.order)
        case .ledgerReply, .orderReply: nil
        }
    }

    /// Whether it asks for what is so, and changes nothing.
    public var isRead: Bool {
        switch body {
        case .command(let command, _): command.operation == .read
        case .question: true
        case .ledgerReply, .orderReply: false
        }
    }

    /// Whether it may go to another process, and be taken from one.
    public var mayCross: Bool { body.mayCross }
}

extension Message.Body {
    /// Whether it may cross from one process to another: replies, questions, reads and the steps of sagas. Anything else would be done
    /// twice if it came twice. This is the one gate: it is asked when a message leaves and when one arrives.
    var mayCross: Bool {
        switch self {
        case .command(let command, _):
            switch command.operation {
            case .read, .hold, .capture, .release: true
            case .open, .replace, .deposit, .withdraw, .payDirectly, .cancelPayment, .findPayment, .forget, .undo, .keepKey: false
            }
        case .question(let command): command.operation == .read || command.operation == .inspect
        case .ledgerReply, .orderReply: true
        }
    }
}

/// What a ledger replies to one command.
public typealias LedgerReply = Reply<LedgerOutcome>

/// What the orders reply to one question.
public typealias OrderReply = Reply<OrderOutcome>
