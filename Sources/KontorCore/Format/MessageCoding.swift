// Messages as bytes, for the links between processes. Records in messages are encoded as in a store. Frame.swift says
// how messages share a frame; KontorLink has the connections.

/// The format of messages between processes.
public enum Wire {
    /// The version of everything in this file and of the records in messages. Each frame bears it.
    public static let formatVersion: UInt8 = 1
    /// The format of records in messages, whatever format the stores are written in: peers may be of an older release.
    static let recordVersion = RecordFormat.three.rawValue
}

// MARK: Messages

/// A message as it crosses a link, where a number stands for its origin. The reply bears the number of its request.
public struct NumberedMessage: Hashable, Sendable {
    /// The number of the request on its link; its reply bears the same one.
    public let number: UInt32
    public let body: Message.Body

    public init(number: UInt32, _ body: Message.Body) {
        self.number = number
        self.body = body
    }

    /// The kind of frame that carries this message.
    public var kind: FrameKind {
        switch body {
        case .command: .commands
        case .question: .questions
        case .ledgerReply: .ledgerReplies
        case .orderReply: .orderReplies
        }
    }

    /// Appends a message for which ``Message/mayCross`` is true; traps on any other message, which is a bug.
    func encode(into writer: inout ByteWriter) {
        precondition(body.mayCross, "\(body) may not be sent to another process.")
        writer.fixed(number)
        switch body {
        case .command(let command, let deadline):
            writer.fixed(deadline)
            command.encode(into: &writer)
        case .question(let command): command.encode(into: &writer)
        case .ledgerReply(let reply): reply.encode(into: &writer)
        case .orderReply(let reply): reply.encode(into: &writer)
        }
    }

    /// Reads a message from a frame of the given kind.
    init(_ kind: FrameKind, from reader: inout ByteReader) throws(FormatError) {
        number = try reader.fixed(UInt32.self)
        switch kind {
        case .commands:
            let deadline = try reader.time()
            body = .command(try LedgerCommand(from: &reader), deadline: deadline)
        case .questions: body = .question(try OrderCommand(from: &reader))
        case .ledgerReplies: body = .ledgerReply(try LedgerReply(from: &reader))
        case .orderReplies: body = .orderReply(try OrderReply(from: &reader))
        case .ping, .pong, .leaving, .status: throw .invalid("an item")
        }
    }
}

// MARK: Status

/// What a process tells the others about itself.
public struct PeerStatus: Hashable, Sendable {
    /// Its wall clock, milliseconds since 1970.
    public let wallMilliseconds: Int64
    /// Why it takes no new work; nil: it takes it.
    public let admission: StoreError?

    public init(wallMilliseconds: Int64, admission: StoreError?) {
        self.wallMilliseconds = wallMilliseconds
        self.admission = admission
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(wallMilliseconds)
        switch admission {
        case nil: writer.byte(0)
        case .diskFull: writer.byte(1)
        case .unreachable(let what), .unreadable(let what):
            writer.byte(2)
            writer.text(what)
        case .memoryFull: writer.byte(3)
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        wallMilliseconds = try reader.fixed(Int64.self)
        switch try reader.byte() {
        case 0: admission = nil
        case 1: admission = .diskFull
        case 2: admission = .unreachable(try reader.text())
        case 3: admission = .memoryFull
        default: throw .invalid("an admission's tag")
        }
    }
}

// MARK: Commands

extension LedgerCommand {
    private enum Tag {
        static let read: UInt8 = 1
        static let hold: UInt8 = 2
        static let capture: UInt8 = 3
        static let release: UInt8 = 4
        /// Releases up to 0.1 do not know it, so it is sent only where none is left (the store's format says so).
        static let findPayment: UInt8 = 5
        /// As above, these three.
        static let refund: UInt8 = 6
        static let forgetRefund: UInt8 = 7
        static let reserve: UInt8 = 8
    }

    fileprivate func encode(into writer: inout ByteWriter) {
        writer.groupKey(account)
        switch operation {
        case .read: writer.byte(Tag.read)
        case .findPayment(let order):
            writer.byte(Tag.findPayment)
            writer.text(order.text)
        case .hold(let saga, let amount, let mayWait, let expiry):
            writer.byte(Tag.hold)
            writer.sagaID(saga)
            writer.amount(amount)
            writer.byte(mayWait ? 1 : 0)
            writer.fixed(expiry)
        case .capture(let saga, let amount, let grant):
            writer.byte(Tag.capture)
            writer.sagaID(saga)
            writer.amount(amount)
            writer.varint(UInt64(grant))
        case .release(let saga, let amount, let expiry):
            writer.byte(Tag.release)
            writer.sagaID(saga)
            writer.amount(amount)
            writer.fixed(expiry)
        case .reserve(let saga, let amount, let grant, let until):
            writer.byte(Tag.reserve)
            writer.sagaID(saga)
            writer.amount(amount)
            writer.varint(UInt64(grant))
            writer.fixed(until)
        case .refund(let id, let amount, let expiry):
            writer.byte(Tag.refund)
            writer.refundID(id)
            writer.amount(amount)
            writer.fixed(expiry)
        case .forgetRefund(let id, let expiry):
            writer.byte(Tag.forgetRefund)
            writer.refundID(id)
            writer.fixed(expiry)
        default: preconditionFailure("\(operation) may cross, but has no bytes.")
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        let account = try reader.groupKey()
        guard account.kind != .order else { throw .invalid("an account that is an order") }
        switch try reader.byte() {
        case Tag.read: self.init(account, .read)
        case Tag.findPayment: self.init(account, .findPayment(order: try reader.identifier()))
        case Tag.hold:
            self.init(
                account,
                .hold(
                    try reader.sagaID(), try reader.amount(), mayWait: try reader.flag(),
                    expiry: try reader.time()))
        case Tag.capture:
            self.init(account, .capture(try reader.sagaID(), try reader.amount(), grant: try reader.uint32()))
        case Tag.release:
            self.init(
                account, .release(try reader.sagaID(), try reader.amount(), expiry: try reader.time()))
        case Tag.reserve:
            self.init(
                account,
                .reserve(
                    try reader.sagaID(), try reader.amount(), grant: try reader.uint32(), until: try reader.time()))
        case Tag.refund:
            self.init(
                account,
                .refund(
                    try reader.refundID(), try reader.amount(in: 0...Limits.moneyHundredths), expiry: try reader.time()))
        case Tag.forgetRefund: self.init(account, .forgetRefund(try reader.refundID(), expiry: try reader.time()))
        default: throw .invalid("a ledger command's tag")
        }
    }
}

extension OrderCommand {
    private enum Tag {
        static let read: UInt8 = 1
        static let inspect: UInt8 = 2
        /// Releases up to 0.1 do not know it: see ``LedgerCommand``.
        static let findRefund: UInt8 = 3
    }

    fileprivate func encode(into writer: inout ByteWriter) {
        if case .findRefund(let id) = operation {
            writer.byte(Tag.findRefund)
            return writer.refundID(id)
        }
        writer.byte(operation == .read ? Tag.read : Tag.inspect)
        writer.text(order.text)
    }

    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        let operation: Operation
        switch try reader.byte() {
        case Tag.read: operation = .read
        case Tag.inspect: operation = .inspect
        case Tag.findRefund: operation = .findRefund(try reader.refundID())
        default: throw .invalid("an order command's tag")
        }
        if case .findRefund(let id) = operation {
            self.init(id.order, operation)
        } else {
            self.init(try reader.identifier(), operation)
        }
    }
}

// MARK: Outcomes

/// An outcome that a reply can carry to another process.
protocol WireOutcome: Hashable, Sendable {
    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(FormatError)
}

extension LedgerOutcome: WireOutcome {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .done: writer.byte(1)
        case .held(let grant):
            writer.byte(2)
            writer.varint(UInt64(grant))
        case .account(let account):
            // What is reserved has no place in format 3. Where something may be reserved, no process reads only that.
            let format = account.reserved > .zero ? RecordFormat.four : .three
            writer.byte(format >= .four ? 15 : 3)
            if format >= .four {
                var bytes = ByteWriter()
                account.encode(into: &bytes, in: format)
                writer.blob(bytes.bytes)
            } else {
                account.encode(into: &writer, in: format)
            }
        case .payment(let payment):
            writer.byte(4)
            writer.byte(payment == nil ? 0 : 1)
            payment?.encode(into: &writer, in: .four)
        case .unknownAccount: writer.byte(5)
        case .accountExists: writer.byte(6)
        case .noDirectPayment: writer.byte(7)
        case .alreadyPaidDirectly: writer.byte(8)
        case .hasHolds: writer.byte(9)
        case .overLimit: writer.byte(10)
        case .insufficient(let balance):
            writer.byte(11)
            writer.amount(balance)
        case .contended(let balance):
            writer.byte(12)
            writer.amount(balance)
        case .anomaly(let anomaly):
            writer.byte(13)
            writer.byte(anomaly.rawValue)
        case .reserved(let until):
            writer.byte(14)
            writer.fixed(until)
        case .paymentNotLocked: preconditionFailure("No such answer is sent to another process.")
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte() {
        case 1: self = .done
        case 2: self = .held(grant: try reader.uint32())
        case 3:
            var account = try Account(from: &reader, Wire.recordVersion)
            // Only the account's own rules need it.
            account.mayHavePayments = false
            self = .account(account)
        case 4: self = .payment(try reader.flag() ? try DirectPayment(from: &reader, RecordFormat.four.rawValue) : nil)
        case 5: self = .unknownAccount
        case 6: self = .accountExists
        case 7: self = .noDirectPayment
        case 8: self = .alreadyPaidDirectly
        case 9: self = .hasHolds
        case 10: self = .overLimit
        case 11: self = .insufficient(balance: try reader.amount())
        case 12: self = .contended(balance: try reader.amount())
        case 13: self = .anomaly(try reader.raw(Anomaly.self))
        case 14: self = .reserved(until: try reader.time())
        case 15:
            var account = ByteReader(try reader.blob())
            self = .account(try Account(from: &account, RecordFormat.four.recordVersion))
        default: throw .invalid("a ledger outcome's tag")
        }
    }
}

extension OrderOutcome: WireOutcome {
    /// Appends the outcome of a read or an inspection; traps on any other outcome, which is a bug.
    func encode(into writer: inout ByteWriter) {
        switch self {
        // Who asks is told that there is none, as ever.
        case .unknownOrder, .isRemoved: writer.byte(1)
        case .order(let order):
            writer.byte(2)
            order.encode(into: &writer, in: .three)
        // What they have to do with a reservation has no place in format 3.
        case .inspected(let order, let saga) where order.reservation != nil || saga?.reservesUntil != nil:
            writer.byte(saga == nil ? 7 : 8)
            var bytes = ByteWriter()
            order.encode(into: &bytes, in: .four)
            writer.blob(bytes.bytes)
            guard let saga else { return }
            bytes = ByteWriter()
            saga.encode(into: &bytes, in: .four)
            writer.blob(bytes.bytes)
        case .inspected(let order, let saga):
            writer.byte(saga == nil ? 3 : 4)
            order.encode(into: &writer, in: .three)
            saga?.encode(into: &writer, in: .three)
        case .refundOpen: writer.byte(5)
        case .refundOver: writer.byte(6)
        case .done, .begun, .running, .decided, .stale, .orderExists, .changedSince, .unknownItem, .alreadyPaid,
            .isCheckingOut, .isReserved, .isEmpty, .overLimit, .isRefunded, .refund, .refunds, .notPaid, .nothingToRefund,
            .exceedsRefundable:
            preconditionFailure("A question about an order has no such answer.")
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte() {
        case 1: self = .unknownOrder
        case 2: self = .order(try Order(from: &reader, Wire.recordVersion))
        case 3: self = .inspected(try Order(from: &reader, Wire.recordVersion), nil)
        case 4:
            let order = try Order(from: &reader, Wire.recordVersion)
            self = .inspected(order, try SagaRecord(from: &reader, Wire.recordVersion))
        case 5: self = .refundOpen
        case 6: self = .refundOver
        case let tag where tag == 7 || tag == 8:
            var order = ByteReader(try reader.blob())
            let found = try Order(from: &order, RecordFormat.four.recordVersion)
            if tag == 7 {
                self = .inspected(found, nil)
            } else {
                var saga = ByteReader(try reader.blob())
                self = .inspected(found, try SagaRecord(from: &saga, RecordFormat.four.recordVersion))
            }
        default: throw .invalid("an order outcome's tag")
        }
    }
}

// MARK: Replies

extension Reply where Outcome: WireOutcome {
    /// Appends a reply. Only commands without an idempotency key cross, so a verdict on a key is a bug, and traps.
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .unknown: writer.byte(1)
        case .decided(let outcome):
            writer.byte(2)
            outcome.encode(into: &writer)
        case .refused(.diskFull): writer.byte(3)
        case .refused(let error):
            writer.byte(4)
            writer.text(error.wireText)
        case .keyed: preconditionFailure("No command with an idempotency key is sent to another process.")
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte() {
        case 1: self = .unknown
        case 2: self = .decided(try Outcome(from: &reader))
        case 3: self = .refused(.diskFull)
        case 4:
            self = .refused(StoreError(wireText: try reader.text()))
        default: throw .invalid("a reply's tag")
        }
    }
}

extension StoreError {
    /// What stands for the errors that release 0.1 has no tag for: it takes them for a store that cannot be reached.
    private static let memoryFullText = "the memory of the store is full"
    private static let unreadableText = "a record cannot be read: "

    fileprivate var wireText: String {
        switch self {
        case .unreachable(let what): what
        case .unreadable(let what): Self.unreadableText + what
        case .memoryFull, .diskFull: Self.memoryFullText
        }
    }

    fileprivate init(wireText text: String) {
        if text == Self.memoryFullText {
            self = .memoryFull
        } else if text.hasPrefix(Self.unreadableText) {
            self = .unreadable(String(text.dropFirst(Self.unreadableText.count)))
        } else {
            self = .unreachable(text)
        }
    }
}
