// What is known of all accounts in a memory that does not grow with their number: sums that are zero if all is well.

import KontorCore

/// What one record says about an account.
enum AccountEntry {
    case account(Account)
    /// A hold that is not decided.
    case held(Amount)
    /// What a paid order owes. If the order's saga is open, its captures may still be on their way.
    case owed(Amount)
    case paidDirectly(Amount)
    /// What an open saga has not captured yet of what its order owes.
    case uncaptured(Amount)

    /// What it adds to `captured` less what orders and direct payments say, and to `held` less what the holds say: both
    /// are zero over all entries of a sound account. They wrap around, because a damaged record may have any amount.
    var excess: (captured: Int64, held: Int64) {
        switch self {
        case .account(let account): return (account.captured.raw, account.held.raw)
        case .held(let amount): return (0, 0 &- amount.raw)
        case .owed(let amount), .paidDirectly(let amount): return (0 &- amount.raw, 0)
        case .uncaptured(let amount): return (amount.raw, 0)
        }
    }
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

/// The entries of one account, added up.
struct AccountTally {
    private(set) var account: Account?
    private(set) var held: Int64 = 0
    private(set) var owed: Int64 = 0
    private(set) var paidDirectly: Int64 = 0
    private(set) var uncaptured: Int64 = 0

    mutating func add(_ entry: AccountEntry) {
        switch entry {
        case .account(let account): self.account = account
        case .held(let amount): held &+= amount.raw
        case .owed(let amount): owed &+= amount.raw
        case .paidDirectly(let amount): paidDirectly &+= amount.raw
        case .uncaptured(let amount): uncaptured &+= amount.raw
        }
    }

    /// What must have been captured.
    var expected: Int64 { owed &+ paidDirectly &- uncaptured }
}
