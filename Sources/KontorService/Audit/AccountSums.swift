// What is known of all accounts, and of all orders with refunds, in a memory that does not grow with their number: sums
// that are zero if all is well.

import KontorCore

/// What one record says about an account, or about an order's refunds.
enum AccountEntry {
    case account(Account)
    /// A hold that is not decided.
    case held(Amount)
    /// A hold of a reservation.
    case reserved(Amount)
    /// What a paid order owes. If the order's saga is open, its captures may still be on their way.
    case owed(Amount)
    case paidDirectly(Amount)
    /// What an open saga has not captured yet of what its order owes.
    case uncaptured(Amount)
    /// What a refund gives the account. If it is open, its credit may still be on its way.
    case refunded(Amount)
    /// What an open refund has not credited yet.
    case uncredited(Amount)
    /// Of an order: what its lines say is refunded.
    case refundedByLines(money: Int64, units: Int64)
    /// Of an order: what one of its refunds gives back.
    case refundedByRefund(money: Int64, units: Int64)

    /// What it adds to `captured` less `refunded` less what orders, refunds and direct payments say, and to `held` and
    /// a multiple of `reserved` less what the holds say; of an order, to what its lines say less what its refunds say,
    /// in money and in units. Both are zero over all entries of a sound account or order. They wrap around, because a
    /// damaged record may have any amount.
    var excess: (captured: Int64, held: Int64) {
        switch self {
        case .account(let account):
            let locked = account.held.raw &+ account.reserved.raw &* Self.reservedFactor
            return (account.captured.raw &- account.refunded.raw, locked)
        case .held(let amount): return (0, 0 &- amount.raw)
        case .reserved(let amount): return (0, 0 &- amount.raw &* Self.reservedFactor)
        case .owed(let amount), .paidDirectly(let amount): return (0 &- amount.raw, 0)
        case .uncaptured(let amount), .refunded(let amount): return (amount.raw, 0)
        case .uncredited(let amount): return (0 &- amount.raw, 0)
        case .refundedByLines(let money, let units): return (money, units)
        case .refundedByRefund(let money, let units): return (0 &- money, 0 &- units)
        }
    }
}

extension AccountEntry {
    /// So large that no error in what is held makes up for one in what is reserved.
    private static let reservedFactor: Int64 = 0x5851_F42D_4C95_7F2D
}

/// For each bucket of accounts one sum of all excesses, each multiplied by a random odd number of its account. If one
/// account of a bucket is wrong, its sum is not zero; if several are, it is zero once in many billions.
struct AccountSums {
    private var captured = [UInt64](repeating: 0, count: Limits.auditBuckets)
    private var held = [UInt64](repeating: 0, count: Limits.auditBuckets)

    mutating func add(_ entry: AccountEntry, of account: GroupKey) {
        let (bucket, factor) = Self.place(account)
        let excess = entry.excess
        captured[bucket] &+= factor &* UInt64(bitPattern: excess.captured)
        held[bucket] &+= factor &* UInt64(bitPattern: excess.held)
    }

    /// The buckets that contain an account which is wrong.
    var wrong: [Int] { captured.indices.filter { captured[$0] != 0 || held[$0] != 0 } }

    static func bucket(_ account: GroupKey) -> Int { place(account).bucket }

    /// The hash has a random key for each process, so nobody can choose accounts whose errors cancel out.
    private static func place(_ account: GroupKey) -> (bucket: Int, factor: UInt64) {
        let hash = UInt64(truncatingIfNeeded: account.hashValue)
        return (Int(hash >> 32) % Limits.auditBuckets, hash | 1)
    }
}

/// The entries of one account or order, added up.
struct AccountTally {
    private(set) var account: Account?
    private(set) var held: Int64 = 0
    private(set) var reserved: Int64 = 0
    private(set) var owed: Int64 = 0
    private(set) var paidDirectly: Int64 = 0
    private(set) var uncaptured: Int64 = 0
    /// What refunds have credited.
    private(set) var refunded: Int64 = 0
    /// What an order's lines say is refunded, less what its refunds give back.
    private(set) var refundDifference: (money: Int64, units: Int64) = (0, 0)

    mutating func add(_ entry: AccountEntry) {
        switch entry {
        case .account(let account): self.account = account
        case .held(let amount): held &+= amount.raw
        case .reserved(let amount): reserved &+= amount.raw
        case .owed(let amount): owed &+= amount.raw
        case .paidDirectly(let amount): paidDirectly &+= amount.raw
        case .uncaptured(let amount): uncaptured &+= amount.raw
        case .refunded(let amount): refunded &+= amount.raw
        case .uncredited(let amount): refunded &-= amount.raw
        case .refundedByLines, .refundedByRefund:
            let (money, units) = entry.excess
            refundDifference = (refundDifference.money &+ money, refundDifference.units &+ units)
        }
    }

    /// What must have been captured, and not refunded.
    var expected: Int64 { owed &+ paidDirectly &- uncaptured &- refunded }
}
