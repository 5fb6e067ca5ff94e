// Refunds, and the markers of their credits, as bytes. They are of format 4, and stand in no message.

extension Refund {
    func encode(into writer: inout ByteWriter) {
        writer.refundID(id)
        writer.text(user.text)
        writer.varint(UInt64(lines.count))
        for line in lines {
            writer.text(line.item.text)
            writer.amount(line.units)
            writer.amount(line.price)
        }
        writer.byte(restock ? 1 : 0)
        writer.text(reason)
        writer.fixed(begun)
        writer.byte(finished == nil ? 0 : 1)
        if let finished { writer.fixed(finished) }
        writer.fixed(driver)
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        let id = try reader.refundID()
        let user = try reader.identifier()
        var lines: [OrderLine] = []
        for _ in 0..<(try reader.count(atMost: Limits.orderLines)) {
            lines.append(
                OrderLine(
                    item: try reader.identifier(), units: try reader.amount(in: 1...Limits.balance),
                    price: try reader.amount(in: 0...Limits.moneyHundredths)))
        }
        guard let amount = Refund.amount(of: lines) else { throw .invalid("the amount of a refund") }
        self.init(
            id: id, user: user, lines: lines, amount: amount, restock: try reader.flag(), reason: try reader.text(),
            begun: try reader.time(), finished: try reader.flag() ? try reader.time() : nil,
            driver: try reader.fixed(UInt64.self))
    }
}

extension CreditMarker {
    func encode(into writer: inout ByteWriter) {
        writer.amount(amount)
        writer.fixed(expiry)
        writer.byte(isForgotten ? 1 : 0)
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        self.init(amount: try reader.amount(), expiry: try reader.time(), isForgotten: try reader.flag())
    }
}

extension RefundID {
    /// What a key refers to: the refund's name within its order.
    var reference: [UInt8] {
        var writer = ByteWriter()
        writer.fixed(incarnation)
        writer.varint(UInt64(number))
        return writer.bytes
    }

    /// Reads what a key of the order refers to; nil: it is no refund.
    public init?(_ reference: [UInt8], of order: Identifier) {
        var reader = ByteReader(reference)
        guard let incarnation = try? reader.fixed(UInt64.self), let number = try? reader.uint32(), reader.isAtEnd else {
            return nil
        }
        self.init(order: order, incarnation: incarnation, number: number)
    }
}
