// Leases: what only one process at a time may do. A lease is a kept key that its holder renews, and that others take
// over when it has ended.

/// One process's hold on a lease, until a moment by its own clock.
public struct Lease: Hashable, Sendable {
    let key: IdempotencyKey
    /// A random number of this holder.
    public let holder: UInt64
    /// What the lease is held for. Two holders with the same purpose want to do the same thing.
    public let purpose: [UInt8]
    /// The moment until which the holder may act: wall clock, milliseconds since 1970.
    public let end: Int64

    public init(_ name: StaticString, holder: UInt64, purpose: [UInt8], end: Int64) {
        key = IdempotencyKey(reserved: "\(name)")
        self.holder = holder
        self.purpose = purpose
        self.end = end
    }

    private static func bytes(_ holder: UInt64, _ purpose: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed(holder)
        return writer.bytes + purpose
    }

    /// The stored lease. Others count it as over, and the store removes it, when it has ended by every clock.
    fileprivate var record: Record {
        .key(KeptKey(request: Self.bytes(holder, purpose), expires: end + Limits.clockSkewMilliseconds))
    }

    fileprivate func isHeld(in record: Record?) -> Bool {
        if case .key(let kept)? = record { kept.request == Self.bytes(holder, purpose) } else { false }
    }

    /// Whether the lease is held for the purpose that this holder has.
    func isForSame(as record: Record?) -> Bool {
        guard case .key(let kept)? = record, !purpose.isEmpty else { return false }
        return kept.request.dropFirst(Self.bytes(0, []).count).elementsEqual(purpose)
    }
}

/// What a command does to a lease, besides its own effect.
public enum LeaseStep: Hashable, Sendable {
    /// Takes a lease that is free, or renews it.
    case take(Lease)
    /// Renews a lease that is still the holder's.
    case renew(Lease)
    /// Gives a lease back that is still the holder's.
    case end(Lease)

    /// The lease that it is done to.
    public var lease: Lease {
        switch self {
        case .take(let lease), .renew(let lease), .end(let lease): lease
        }
    }

    /// - Parameter now: wall clock, milliseconds since 1970.
    func isPossible(on record: Record?, now: Int64) -> Bool {
        if lease.isHeld(in: record) { return true }
        guard case .take = self else { return false }
        if case .key(let kept)? = record { return kept.expires <= now }
        return true
    }
}

extension GroupDraft {
    mutating func take(_ step: LeaseStep) {
        switch step {
        case .take(let lease), .renew(let lease): self[.key(lease.key)] = lease.record
        case .end(let lease): self[.key(lease.key)] = nil
        }
    }
}
