// Where an order stands, in the words of clients.

/// What clients see of an order's status and refunds.
public enum OrderState: String, CaseIterable, Sendable {
    case open
    case reserved
    case checkingOut = "checking_out"
    case paid
    case partlyRefunded = "partly_refunded"
    case refunded
    case removed
}

extension Order {
    /// Where the order stands. Units that are being refunded count as refunded.
    public var state: OrderState {
        switch status {
        case .open: .open
        case .reserved: .reserved
        case .checkingOut: .checkingOut
        case .removed: .removed
        case .paid where refunds == 0: .paid
        case .paid: lines.allSatisfy { $0.refunded == $0.units } ? .refunded : .partlyRefunded
        }
    }

    /// What was refunded, or is being refunded.
    public var refundedTotal: Amount {
        lines.reduce(Amount.zero) { sum, line in
            Amount(sum.raw &+ line.price.raw &* line.refunded.raw)
        }
    }

    /// Tells one state of the order that clients see from another one, for `ETag` and `If-Match`: a hash (FNV-1a,
    /// 64 bits) of all that they see.
    public var tag: UInt64 {
        var writer = ByteWriter()
        writer.fixed(incarnation)
        writer.byte(status.rawValue)
        for line in lines {
            writer.text(line.item.text)
            writer.amount(line.units)
            writer.amount(line.price)
            writer.amount(line.refunded)
        }
        if let reservedUntil { writer.fixed(reservedUntil) }
        return writer.bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Until when its stock is held for it, milliseconds since 1970; nil: it is not reserved.
    public var reservedUntil: Int64? {
        switch status {
        case .reserved, .checkingOut: reservation?.until
        case .open, .paid, .removed: nil
        }
    }

    /// When its checkout was decided to commit: wall clock, milliseconds since 1970; nil: it is not paid, or the time
    /// is not remembered.
    public var paidAt: Int64? {
        guard status == .paid, let last = history.attempts.last(where: { $0.decision == .commit }) else { return nil }
        return last.begun + Int64(last.decidedAfter)
    }
}
