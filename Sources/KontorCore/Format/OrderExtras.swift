// What few orders and sagas have, as bytes behind what all of them have. It is of format 4.

/// In front of each part of an order stands a byte that says what it is.
extension Order {
    private enum Extra {
        static let refunds: UInt8 = 1
        static let reservation: UInt8 = 2
    }

    func encodeExtras(into writer: inout ByteWriter) {
        if refunds > 0 {
            writer.byte(Extra.refunds)
            writer.varint(UInt64(refunds))
            for line in lines { writer.amount(line.refunded) }
        }
        if let reservation {
            writer.byte(Extra.reservation)
            reservation.encode(into: &writer)
        }
    }

    mutating func readExtra(from reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte() {
        case Extra.refunds:
            refunds = UInt16(try reader.count(atMost: Limits.orderRefunds))
            for index in lines.indices { lines[index].refunded = try reader.amount(in: 0...lines[index].units.raw) }
        case Extra.reservation: reservation = try Reservation(from: &reader)
        default: throw .invalid("what stands behind an order")
        }
    }
}

extension Reservation {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(attempt))
        writer.fixed(until)
        writer.varint(UInt64(grants.count))
        for grant in grants { writer.varint(UInt64(grant)) }
    }

    fileprivate convenience init(from reader: inout ByteReader) throws(FormatError) {
        let attempt = try reader.uint32()
        let until = try reader.time()
        var grants: [UInt32] = []
        for _ in 0..<(try reader.count(atMost: Limits.orderLines)) { grants.append(try reader.uint32()) }
        self.init(attempt: attempt, until: until, grants: grants)
    }
}

/// Behind the sagas that have to do with a reservation stands which one they found, and until when they reserve.
extension SagaRecord {
    func encodeReservation(into writer: inout ByteWriter) {
        if found == nil, reservesUntil == nil { return }
        writer.byte(found == nil ? 0 : 1)
        found?.encode(into: &writer)
        writer.byte(reservesUntil == nil ? 0 : 1)
        if let reservesUntil { writer.fixed(reservesUntil) }
    }

    static func reservation(
        from reader: inout ByteReader
    ) throws(FormatError) -> (found: Reservation?, reservesUntil: Int64?) {
        if reader.isAtEnd { return (nil, nil) }
        let found = try reader.flag() ? try Reservation(from: &reader) : nil
        return (found, try reader.flag() ? try reader.time() : nil)
    }
}
