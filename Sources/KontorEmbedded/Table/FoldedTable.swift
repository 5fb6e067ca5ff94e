// The port to the table: where records are that have left the journal.

import KontorCore

/// Where in the table a record lies.
public enum TableArea: UInt8, Sendable, CaseIterable {
    case record = 0
    /// Apart, so that a start finds it without a search.
    case openWork = 2
    /// Apart, so that what has expired is found by its time.
    case expiring = 4

    init(_ member: Member) {
        self = member.isOpenWork ? .openWork : member.isExpiring ? .expiring : .record
    }
}

/// The full name of a record in the table.
public struct TableKey: Hashable, Sendable {
    public let area: TableArea
    public let bytes: [UInt8]

    init(_ key: RecordKey) {
        area = TableArea(key.member)
        bytes = key.encoded
    }
}

/// Changes of several frames, each key once, sorted by key: one transaction of the table.
public struct FoldSlice: Sendable {
    public struct Change: Sendable {
        public let key: Range<Int>
        /// nil: removed.
        public let value: Range<Int>?
        public let area: TableArea
    }

    /// What the ranges of the changes refer to.
    public let bytes: [UInt8]
    public let changes: [Change]
    /// The last frame that the slice contains: the table's new position.
    public let through: UInt64
}

/// Records by key, and the journal's sequence up to which they are contained.
///
/// `apply`, `expire` and `checkpoint` are called on the fold lanes, one at a time; `read` on the read lane; the rest before the store
/// starts, or after it ended.
public protocol FoldedTable: AnyObject, Sendable {
    /// The store that the table belongs to.
    func storeID() throws(EmbeddedError) -> UInt64
    /// The last frame whose changes are here.
    func position() throws(EmbeddedError) -> UInt64
    /// The values of these keys, in their order; nil where there is none. Never sees a part of a slice.
    func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?]
    func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws
    /// Writes a slice and its position in one transaction. A crash keeps all of it or nothing.
    /// - Returns: the records in the expiring area then.
    @discardableResult
    func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int
    /// Removes records whose expiry is not after `now` (wall clock, milliseconds), those of the oldest first.
    /// - Returns: how many, at most `bound`, and how many records the expiring area has then.
    func expire(now: Int64, atMost bound: Int) throws(EmbeddedError) -> (removed: Int, left: Int)
    /// Records in the expiring area.
    func expiringCount() throws(EmbeddedError) -> Int
    /// Makes all that was applied independent of the write-ahead log, and syncs it. Only then may the journal that it came
    /// from go.
    /// - Returns: false if a reader is in the way: try again later.
    func checkpoint() throws(EmbeddedError) -> Bool
    func close()
}

/// Opens the table of a store's directory.
public struct TableOpener: Sendable {
    public let open: @Sendable (_ directory: String) throws(EmbeddedError) -> (any FoldedTable)?
    public let create: @Sendable (_ directory: String, _ storeID: UInt64) throws(EmbeddedError) -> any FoldedTable

    /// - Parameters:
    ///   - open: the table if it was ever made; nil otherwise, even if a crash left a part of it.
    ///   - create: makes an empty one at position 0.
    public init(
        open: @escaping @Sendable (_ directory: String) throws(EmbeddedError) -> (any FoldedTable)?,
        create: @escaping @Sendable (_ directory: String, _ storeID: UInt64) throws(EmbeddedError) -> any FoldedTable
    ) {
        self.open = open
        self.create = create
    }
}
