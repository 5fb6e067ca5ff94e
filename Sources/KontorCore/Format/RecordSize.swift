// An upper bound for the size of an encoded record, without encoding it. Stores bound their batches by it.

extension Optional where Wrapped == Record {
    /// Bytes that the record takes at most; none: 0. Of the optional, because to unwrap it would copy the record.
    public var encodedBytesAtMost: Int {
        switch self {
        case .none: 0
        case .some(let record): record.encodedBytesAtMost
        }
    }
}

extension Record {
    /// Bytes that ``encode(into:)`` writes at most, estimated from the numbers of lines, legs and attempts.
    public var encodedBytesAtMost: Int {
        switch self {
        case .account, .hold, .payment, .marker: Size.fixed
        case .order(let order):
            Size.fixed + order.lines.count * (Size.line + (order.refunds > 0 ? Size.integer : 0)) + order.history.bytes.count
                + Size.of(order.reservation)
        case .saga(let saga): Size.fixed + saga.legs.count * Size.line + (saga.claim.map(Size.of) ?? 0) + Size.of(saga.found)
        case .key(let kept): Size.fixed + kept.request.count + kept.reference.count
        case .trail(let note): Size.fixed + Size.of(note)
        case .refund(let refund): Size.fixed + refund.lines.count * Size.line + refund.reason.utf8.count
        case .listed: 2
        }
    }
}

extension RecordKey {
    /// Bytes that ``encode(into:)`` writes at most.
    public var encodedBytesAtMost: Int {
        if case .key(let key) = member { Size.key + key.text.utf8.count } else { Size.key }
    }
}

private enum Size {
    static let integer = 10
    /// A length or kind, and the id's bytes.
    static let id = 3 + Limits.identifierBytes
    /// Version, tag, and all ids and integers that each record or attempt has.
    static let fixed = 3 * id + 12 * integer
    /// An id and two integers.
    static let line = id + 2 * integer
    /// Two ids, a tag, an incarnation and an attempt.
    static let key = 2 * id + 2 * integer

    static func of(_ note: TrailNote) -> Int {
        let texts =
            [note.principal, note.address, note.operation, note.reason] + note.arguments.flatMap { [$0.name, $0.value] }
        return texts.reduce(integer) { $0 + integer + $1.utf8.count }
    }

    static func of(_ reservation: Reservation?) -> Int {
        reservation.map { (4 + $0.grants.count) * integer } ?? integer
    }

    static func of(_ claim: KeyClaim) -> Int { 3 * integer + claim.key.text.utf8.count + claim.request.count }
}
