// Messages between the coordinator of checkouts, the ledgers and the orders: values that can be printed, stored and
// sent, the same in one process, over links and in the simulator. Format/MessageCoding.swift turns them into bytes.

/// A request to a ledger or to the orders, or the reply to one.
///
/// Between processes a message may be lost, doubled, late and out of order. A hold that may wait gets two replies:
/// `contended` at once, and another one when it is granted or refused.
public struct Message: Hashable, Sendable {
    /// The sender of a request. The reply bears the origin of its request, and so finds its way back.
    public enum Origin: Hashable, Sendable {
        /// The coordinator of a saga, for one step of one leg.
        case leg(Int, CheckoutSaga.Step, of: SagaID)
        /// The coordinator of refunds, for one leg's credit.
        case credit(leg: Int, of: RefundID)
        /// A read, by the number under which its reader waits.
        case read(UInt64)
        /// Another process: the link that the request came over, and the request's number on that link.
        case link(UInt64, number: UInt32)
        /// Nobody waits for a reply.
        case nobody

        /// Whether the request came from another process, which repeats it until it is answered.
        public var isLink: Bool { if case .link = self { true } else { false } }
    }

    /// What a message says.
    public enum Body: Hashable, Sendable {
        /// A request to a ledger. `deadline`: the moment until which a contended hold waits; wall clock, milliseconds
        /// since 1970.
        case command(LedgerCommand, deadline: Int64)
        /// A question about one order; it changes nothing.
        indirect case question(OrderCommand)
        case ledgerReply(LedgerReply)
        indirect case orderReply(OrderReply)
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

    /// Whether the message may go to another process, and be taken from one.
    public var mayCross: Bool { body.mayCross }
}

extension Message.Body {
    /// Whether the body may cross from one process to another: replies, questions, reads and the steps of sagas may.
    /// Anything else would have its effect twice if it arrived twice. This is the only check; it is made when a message
    /// leaves and when it arrives.
    var mayCross: Bool {
        switch self {
        case .command(let command, _):
            switch command.operation {
            case .read, .findPayment, .hold, .capture, .release, .reserve, .refund, .forgetRefund: true
            case .open, .replace, .deposit, .withdraw, .lockPayment, .payDirectly, .unlockPayment, .cancelPayment, .forget,
                .undo, .keepKey:
                false
            }
        case .question(let command):
            switch command.operation {
            case .read, .inspect, .findRefund: true
            default: false
            }
        case .ledgerReply, .orderReply: true
        }
    }
}

/// What a ledger replies to one command.
public typealias LedgerReply = Reply<LedgerOutcome>

/// What the orders reply to one question.
public typealias OrderReply = Reply<OrderOutcome>
