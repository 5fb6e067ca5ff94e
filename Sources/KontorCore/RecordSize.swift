// How large records can be as bytes, without encoding them: a store bounds its batches by it.

extension Record {
    /// At least what ``encode(into:)`` writes; exact in the number of lines, legs and the like.
    public var encodedBytesAtMost: Int {
        switch self {
        case .account, .hold, .payment: Self.fixedBytes
        case .order(let order): Self.fixedBytes + order.lines.count * Self.lineBytes
        case .saga(let saga): Self.fixedBytes + saga.legs.count * Self.lineBytes
        }
    }

    /// Version, tag, and everything that there is a fixed number of: two ids, and ten integers of at most ten bytes.
    private static let fixedBytes = 2 + 2 * idBytes + 100
    /// An id and two integers.
    private static let lineBytes = idBytes + 2 * 10
    /// Its length, its kind, and the id.
    private static let idBytes = 2 + Limits.identifierBytes
}

extension RecordKey {
    /// At least what ``encode(into:)`` writes: two ids, their kinds and lengths, a tag, an incarnation and an attempt.
    public static let encodedBytesAtMost = 2 * (2 + Limits.identifierBytes) + 1 + 8 + 5
}
