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
