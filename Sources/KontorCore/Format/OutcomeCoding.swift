// The outcomes of commands as bytes, for replies to other processes.

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
            // Format 3 has no place for what is reserved. Where something is, every process reads format 4.
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
