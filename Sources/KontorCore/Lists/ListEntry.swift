// Where an account or order stands in the lists. An entry says only what never changes, so nothing that happens to an
// account or order later touches it.

/// What the lists keep of an account or order besides its id. It is written when that is created, in the same group and
/// commit, and goes when another one takes its place.
public struct ListEntry: Hashable, Sendable {
    /// When the order was created: wall clock, milliseconds since 1970; 0: that is not known, or it is an account.
    public let created: Int64
    /// Whose order it is; nil: it is an account.
    public let user: Identifier?

    public init(created: Int64, user: Identifier?) {
        self.created = created
        self.user = user
    }

    /// The entry of every item and user: these are listed by their ids.
    public static let account = ListEntry(created: 0, user: nil)
}

extension Order {
    /// Where the order is listed.
    public var listEntry: ListEntry { ListEntry(created: created, user: user) }
}

extension Record {
    /// Where a group with this head is listed; nil: this is no head.
    public var listEntry: ListEntry? {
        switch self {
        case .account: return .account
        case .order(let order): return order.listEntry
        case .hold, .payment, .saga, .key, .trail, .listed, .refund, .marker: return nil
        }
    }
}

/// A place in a list, behind which a page begins. It stays valid whatever is created or replaced meanwhile.
public struct ListCursor: Hashable, Sendable {
    /// See ``ListEntry/created``.
    public let created: Int64
    /// The item, user or order.
    public let id: Identifier

    public init(created: Int64, id: Identifier) {
        self.created = created
        self.id = id
    }

    /// The place of an account or order.
    public init(_ group: GroupKey, _ entry: ListEntry) { self.init(created: entry.created, id: group.id) }

    /// Whether this place comes before another one: the newest order is the first; what was created in one millisecond
    /// goes by its id, the shortest first. It is the order of the entries' bytes.
    public func isListedBefore(_ other: ListCursor) -> Bool {
        if created != other.created { return created > other.created }
        let (own, others) = (id.text.utf8, other.id.text.utf8)
        return own.count == others.count ? own.lexicographicallyPrecedes(others) : own.count < others.count
    }

    /// As clients get it; for them it has no meaning.
    public var text: String { "\(created).\(id)" }

    /// Reads what ``text`` gave; nil: it is not that.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let created = Int64(parts[0]), let id = Identifier(String(parts[1])),
            (-Limits.latestTime...Limits.latestTime).contains(created), String(created) == parts[0]
        else { return nil }
        self.init(created: created, id: id)
    }
}

extension GroupDraft {
    /// Lists the group as what its head is now, and no longer as what it was before.
    ///
    /// - Parameter old: where it was listed; nil: nowhere.
    mutating func list(_ entry: ListEntry, insteadOf old: ListEntry? = nil) {
        if let old, old != entry { self[.listed(old)] = nil }
        self[.listed(entry)] = .listed
    }
}
