// How large records can be as bytes, without encoding them: a store bounds its batches by it.

extension Record {
    /// At least what ``encode(into:)`` writes; it follows the number of lines, legs and the like.
    public var encodedBytesAtMost: Int {
        switch self {
        case .account, .hold, .payment: Size.fixed
        case .order(let order): Size.fixed + order.lines.count * Size.line + order.history.bytes.count
        case .saga(let saga): Size.fixed + saga.legs.count * Size.line + (saga.claim.map(Size.of) ?? 0)
        case .key(let kept): Size.fixed + kept.request.count
        }
    }
}

extension RecordKey {
    /// At least what ``encode(into:)`` writes.
    public var encodedBytesAtMost: Int {
        if case .key(let key) = member { Size.key + key.text.utf8.count } else { Size.key }
    }
}

private enum Size {
    static let integer = 10
    /// Its length or kind, and the bytes.
    static let id = 3 + Limits.identifierBytes
    /// Version, tag, and everything that a record or an attempt has a fixed number of: ids and integers.
    static let fixed = 3 * id + 12 * integer
    /// An id and two integers.
    static let line = id + 2 * integer
    /// Two ids, a tag, an incarnation and an attempt.
    static let key = 2 * id + 2 * integer

    static func of(_ claim: KeyClaim) -> Int { 3 * integer + claim.key.text.utf8.count + claim.request.count }
}
