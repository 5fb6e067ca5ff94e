// The port to the table: where records are that have left the journal.

/// Changes of several frames, each key once, sorted by key: one transaction of the table.
public struct FoldSlice: Sendable {
    public struct Change: Sendable {
        public let key: Range<Int>
        /// nil: removed.
        public let value: Range<Int>?
        public let isOpenWork: Bool
    }

    /// What the ranges of the changes refer to.
    public let bytes: [UInt8]
    public let changes: [Change]
    /// The last frame that the slice contains: the table's new position.
    public let through: UInt64
}

/// Records by key, and the journal's sequence up to which they are contained.
///
/// `apply` and `checkpoint` are called on the fold lanes, one at a time; `read` on the read lane; the rest before the store
/// starts, or after it ended.
public protocol FoldedTable: AnyObject, Sendable {
    /// The store that the table belongs to.
    func storeID() throws(EmbeddedError) -> UInt64
    /// The last frame whose changes are here.
    func position() throws(EmbeddedError) -> UInt64
    /// The values of these keys, in their order; nil where there is none. Never sees a part of a slice.
    func read(_ keys: [[UInt8]]) throws(EmbeddedError) -> [[UInt8]?]
    func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws
    /// Writes a slice and its position in one transaction. A crash keeps all of it or nothing.
    func apply(_ slice: FoldSlice) throws(EmbeddedError)
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
