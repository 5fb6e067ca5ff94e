// The port to the table, which has the records that were folded.

import KontorCore

/// A part of the table. Its number is stored in the journal.
public enum TableArea: UInt8, Sendable, CaseIterable {
    /// All records that are in no other area.
    case record = 0
    /// Records of open work: a start loads all of them and must not search.
    case openWork = 2
    /// Records that expire: they are found by the time of their expiry.
    case expiring = 4
    /// Entries of the audit trail: their keys sort by time.
    case trail = 6
    /// Entries of the lists, by each of the keys that they have in their index (`RecordKey.indexKeys`), and when
    /// reservations are over.
    case lists = 8

    /// The area of a member's record.
    init(_ member: Member) {
        switch member {
        case .head, .payment, .receipt, .refunded: self = .record
        case .saga, .hold, .refund: self = .openWork
        case .key: self = .expiring
        case .trail: self = .trail
        case .listed, .due: self = .lists
        }
    }

    /// The area that has the keys of an index.
    init(_ index: IndexRange.Index) {
        switch index {
        case .trail: self = .trail
        case .lists: self = .lists
        }
    }
}

/// The full name of a record in the table.
public struct TableKey: Hashable, Sendable {
    /// Where the record is.
    public let area: TableArea
    /// The record's encoded key.
    public let bytes: [UInt8]

    init(_ key: RecordKey) {
        area = TableArea(key.member)
        bytes = key.encoded
    }
}

/// Changes of several frames, each key once, sorted by key: one transaction of the table.
public struct FoldSlice: Sendable {
    /// One record that is written or removed.
    public struct Change: Sendable {
        /// The encoded key, as a range of the slice's bytes.
        public let key: Range<Int>
        /// The encoded record, as a range of the slice's bytes; nil if it is removed.
        public let value: Range<Int>?
        /// Where in the table the record is.
        public let area: TableArea
    }

    /// The bytes that keys and values lie in.
    public let bytes: [UInt8]
    /// The changes of all areas, sorted by key.
    public let changes: [Change]
    /// The last frame that the slice contains: the table's new position.
    public let through: UInt64
}

/// A table of records by key, with the position in the journal up to which it contains all changes.
///
/// ``apply(_:)``, ``expire(now:trail:atMost:)``, ``listSlice(atMost:)`` and ``checkpoint()`` are called on the fold
/// lanes, one at a time, ``read(_:)``, ``scan(_:atMost:)`` and ``close()`` on the read lane, and the rest before the
/// store serves.
public protocol FoldedTable: AnyObject, Sendable {
    /// The store that the table belongs to.
    func storeID() throws(EmbeddedError) -> UInt64
    /// The last frame whose changes the table contains; 0 if there is none.
    func position() throws(EmbeddedError) -> UInt64
    /// The values of these keys, in their order; nil where there is none. Sees all of a slice or nothing of it.
    func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?]
    /// Calls `body` for each record of open work.
    ///
    /// - Throws: ``EmbeddedError``, or what `body` throws.
    func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws
    /// Writes a slice and its position in one transaction. A crash keeps all of it or nothing.
    ///
    /// - Returns: the number of records in the expiring area afterwards.
    @discardableResult
    func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int
    /// The first keys of a range of an index, and the values of their records: at most `bound`. Sees all of a slice or
    /// nothing of it.
    func scan(_ range: IndexRange, atMost bound: Int) throws(EmbeddedError) -> [(key: [UInt8], value: [UInt8])]
    /// Removes records whose expiry is not after `now` (milliseconds since 1970), those that expired first before
    /// others; and as many entries of the audit trail that are not newer than `trail`.
    ///
    /// - Returns: how many were removed of both, at most `bound` of each, and how many records the expiring area has
    ///   afterwards.
    func expire(now: Int64, trail: Int64, atMost bound: Int) throws(EmbeddedError) -> (removed: Int, left: Int)
    /// The number of records in the expiring area.
    func expiringCount() throws(EmbeddedError) -> Int
    /// Whether the lists have all accounts and orders of the table. If not, an older release wrote some of them.
    func isListed() throws(EmbeddedError) -> Bool
    /// Notes that the lists may lack accounts and orders of the table.
    func forgetLists() throws(EmbeddedError)
    /// Looks at the next records of a table whose lists are not complete, and lists those that are not: at most
    /// `bound`, and how far it has come, in one transaction.
    func listSlice(atMost bound: Int) throws(EmbeddedError) -> ListSlice
    /// Moves everything that was applied from the write-ahead log to the table itself, and syncs it. Only then may the
    /// journal that it came from be deleted.
    ///
    /// - Returns: false if a reader is in the way: try again later.
    func checkpoint() throws(EmbeddedError) -> Bool
    /// Gives the table's files back. Nothing is called afterwards.
    func close()
}

/// What became of one slice of the lists of an older store.
public struct ListSlice: Sendable {
    /// The number of records that were looked at.
    public var records = 0
    /// The records that cannot be read, and why: they are not listed.
    public var unreadable: [String] = []
    /// Whether the lists are complete now.
    public var isLast = false

    public init() {}

    /// Takes one record of the table.
    ///
    /// - Returns: the entry of the lists that it needs, with its keys and its value; nil: it needs none.
    public mutating func take(_ key: [UInt8], _ value: [UInt8]) -> (keys: [[UInt8]], value: [UInt8])? {
        records += 1
        do throws(FormatError) {
            let known = try RecordKey(decoding: key[...])
            guard known.member == .head, let entry = try Record(decoding: value[...]).listEntry else { return nil }
            var writer = ByteWriter()
            Record.listed.encode(into: &writer)
            return (RecordKey(known.group, .listed(entry)).indexKeys, writer.bytes)
        } catch {
            unreadable.append("\(key): \(error)")
            return nil
        }
    }
}

/// Opens or makes the table of a store's directory.
public struct TableOpener: Sendable {
    /// Opens the table; nil if there is none yet.
    public let open: @Sendable (_ directory: String) throws(EmbeddedError) -> (any FoldedTable)?
    /// Makes an empty table.
    public let create: @Sendable (_ directory: String, _ storeID: UInt64) throws(EmbeddedError) -> any FoldedTable

    /// - Parameters:
    ///   - open: opens the table if it was ever made; nil otherwise, even if a crash left a part of it.
    ///   - create: makes an empty table at position 0.
    public init(
        open: @escaping @Sendable (_ directory: String) throws(EmbeddedError) -> (any FoldedTable)?,
        create: @escaping @Sendable (_ directory: String, _ storeID: UInt64) throws(EmbeddedError) -> any FoldedTable
    ) {
        self.open = open
        self.create = create
    }
}

extension Record {
    /// Decodes a value of the table.
    ///
    /// - Throws: `newerFormat`, or `table` for bytes that are no record.
    init(stored bytes: [UInt8]) throws(EmbeddedError) {
        do throws(FormatError) {
            try self.init(decoding: bytes[...])
        } catch .newerFormat(let version) {
            throw .newerFormat(file: "table.sqlite", version: UInt32(version))
        } catch {
            throw .table("a record does not decode: \(error)")
        }
    }
}
