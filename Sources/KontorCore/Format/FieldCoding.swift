// The fields that records and messages have in common, as bytes. What was read is within its bounds.

extension ByteWriter {
    mutating func legs(_ legs: [Leg]) {
        varint(UInt64(legs.count))
        for leg in legs {
            groupKey(leg.account)
            amount(leg.amount)
        }
    }

    mutating func amount(_ amount: Amount) { varint(UInt64(bitPattern: amount.raw)) }

    mutating func groupKey(_ key: GroupKey) {
        byte(key.kind.rawValue)
        text(key.id.text)
    }

    mutating func sagaID(_ saga: SagaID) {
        text(saga.order.text)
        fixed(saga.incarnation)
        varint(UInt64(saga.attempt))
    }

    mutating func refundID(_ refund: RefundID) {
        text(refund.order.text)
        fixed(refund.incarnation)
        varint(UInt64(refund.number))
    }
}

extension ByteReader {
    mutating func legs() throws(FormatError) -> [Leg] {
        var legs: [Leg] = []
        for _ in 0..<(try count(atMost: Limits.orderLines + 1)) {
            legs.append(Leg(account: try groupKey(), amount: try amount()))
        }
        return legs
    }

    /// Reads an amount within its bounds: the rules' arithmetic would trap on others, and no rule writes any.
    mutating func amount(in bounds: ClosedRange<Int64> = 0...Limits.lifetimeTotal) throws(FormatError) -> Amount {
        let amount = Amount(Int64(bitPattern: try varint()))
        guard bounds.contains(amount.raw) else { throw .invalid("the amount \(amount.raw)") }
        return amount
    }

    /// Reads a moment by the wall clock, milliseconds since 1970, to which any duration of `Limits` can be added.
    mutating func time() throws(FormatError) -> Int64 {
        let time = try fixed(Int64.self)
        guard (-Limits.latestTime...Limits.latestTime).contains(time) else { throw .invalid("the time \(time)") }
        return time
    }

    mutating func flag() throws(FormatError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw .invalid("a flag")
        }
    }

    mutating func uint32() throws(FormatError) -> UInt32 {
        guard let value = UInt32(exactly: try varint()) else { throw .invalid("a 32-bit number") }
        return value
    }

    /// Reads the number of elements that follow.
    mutating func count(atMost bound: Int) throws(FormatError) -> Int {
        let count = try varint()
        guard count <= UInt64(bound) else { throw .invalid("a count of \(count)") }
        return Int(count)
    }

    mutating func raw<Value: RawRepresentable>(
        _ type: Value.Type
    ) throws(FormatError) -> Value where Value.RawValue == UInt8 {
        guard let value = Value(rawValue: try byte()) else { throw .invalid("\(type)") }
        return value
    }

    mutating func identifier() throws(FormatError) -> Identifier {
        guard let id = Identifier(try text()) else { throw .invalid("an identifier") }
        return id
    }

    mutating func idempotencyKey() throws(FormatError) -> IdempotencyKey {
        guard let key = IdempotencyKey(try text()) else { throw .invalid("an idempotency key") }
        return key
    }

    mutating func groupKey() throws(FormatError) -> GroupKey {
        GroupKey(try raw(GroupKey.Kind.self), try identifier())
    }

    mutating func sagaID() throws(FormatError) -> SagaID {
        SagaID(order: try identifier(), incarnation: try fixed(UInt64.self), attempt: try uint32())
    }

    mutating func refundID() throws(FormatError) -> RefundID {
        RefundID(order: try identifier(), incarnation: try fixed(UInt64.self), number: try uint32())
    }
}
