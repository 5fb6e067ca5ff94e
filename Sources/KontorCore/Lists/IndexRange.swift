// Records that are there to be found in an order of their own: entries of the audit trail, and of the lists. The bytes
// of their keys sort as they are read, so a store finds a page of them without a look at anything else.

/// A range of an index, which a store reads from its beginning, page by page.
public struct IndexRange: Hashable, Sendable {
    /// The indexes. A store keeps each apart from all else, and apart from each other.
    public enum Index: Hashable, Sendable, CaseIterable {
        case trail
        /// The lists of accounts and orders, and when reservations are over.
        case lists
    }

    public let index: Index
    /// The bytes behind which its keys lie.
    public let start: [UInt8]
    /// The bytes before which its keys lie.
    public let end: [UInt8]
    /// Whether it is of the lists, which an older store may not have completely.
    public var isOfLists: Bool { index == .lists && !isOfDues }
    /// Whether it is of reservations.
    public var isOfDues: Bool { start.first == IndexTag.due }

    init(_ index: Index, start: [UInt8], end: [UInt8]) {
        self.index = index
        self.start = start
        self.end = end
    }

    /// Whether a key lies in it.
    public func contains(_ key: [UInt8]) -> Bool {
        start.lexicographicallyPrecedes(key) && key.lexicographicallyPrecedes(end)
    }
}

/// A record that was found in an index.
public struct IndexEntry: Hashable, Sendable {
    public let key: RecordKey
    public let record: Record

    public init(_ key: RecordKey, _ record: Record) {
        self.key = key
        self.record = record
    }
}

/// The beginning of a range of an index.
public struct IndexPart: Hashable, Sendable {
    /// In the order of the index.
    public let entries: [IndexEntry]
    /// The key behind which the range goes on; nil: there is nothing behind this part. It may be that of a record that
    /// is not among the entries.
    public let next: RecordKey?

    public init(entries: [IndexEntry], next: RecordKey?) {
        self.entries = entries
        self.next = next
    }

    /// Makes the part of what was found for it: all that there is, or at least one more than `bound`; sorted.
    public init(of found: some Collection<IndexEntry>, atMost bound: Int) {
        entries = Array(found.prefix(bound))
        next = found.count > bound ? entries.last?.key : nil
    }
}
