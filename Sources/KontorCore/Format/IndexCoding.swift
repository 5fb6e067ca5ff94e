// The keys of the indexes as bytes. A record has a key in its index, by which it is stored, and an order has a second
// one, by its user: stores derive it from the first.

/// The first byte of a key of an index. It lies where other keys have their kind, and behind all of them.
enum IndexTag {
    static let trail: UInt8 = 0x80
    /// Accounts and orders: kind, time, id; then the user.
    static let list: UInt8 = 0x81
    /// Orders by user: user, time, id.
    static let listByUser: UInt8 = 0x82
    /// Reservations: the moment at which they are over, id.
    static let due: UInt8 = 0x83

    /// Stands behind the bytes of a place and before all that lies behind it: no length and no kind is so large.
    fileprivate static let behind: UInt8 = 0xFF
}

extension RecordKey {
    /// The second key in its index of a record with this encoded key; nil: it has none.
    public static func secondIndexKey(ofEncoded key: ArraySlice<UInt8>) -> [UInt8]? {
        let time = key.startIndex + 2
        let id = time + 8
        guard key.first == IndexTag.list, id < key.endIndex else { return nil }
        // Ids have less than 128 bytes, so their length is one.
        let user = id + 1 + Int(key[id])
        guard user < key.endIndex else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(key.count)
        bytes.append(IndexTag.listByUser)
        bytes += key[user...]
        bytes += key[time..<user]
        return bytes
    }

    /// Reads a key of an index that stands before other bytes.
    ///
    /// - Returns: the key, and where those begin.
    public static func prefix(of bytes: [UInt8]) throws(FormatError) -> (key: RecordKey, end: Int) {
        var reader = ByteReader(bytes)
        guard let key = try inIndex(&reader) else { throw .invalid("a key of an index") }
        return (key, reader.position)
    }

    /// The keys in its index of a member with ``Member/isIndexed``: one or two.
    public var indexKeys: [[UInt8]] {
        var writer = ByteWriter()
        encode(into: &writer)
        let second = Self.secondIndexKey(ofEncoded: writer.bytes[...])
        return [writer.bytes] + (second.map { [$0] } ?? [])
    }

    /// Appends the key of a member with ``Member/isIndexed``. Returns whether it is one.
    func encodeInIndex(into writer: inout ByteWriter) -> Bool {
        switch member {
        case .trail(let id):
            writer.byte(IndexTag.trail)
            writer.bytes += id.orderedBytes
            writer.groupKey(group)
        case .listed(let entry):
            writer.byte(IndexTag.list)
            writer.byte(group.kind.rawValue)
            writer.newestFirst(entry.created)
            writer.text(group.id.text)
            if let user = entry.user { writer.text(user.text) }
        case .due(let time):
            writer.byte(IndexTag.due)
            writer.soonestFirst(time)
            writer.text(group.id.text)
        default: return false
        }
        return true
    }

    /// Reads a key of an index, the first or the second one; nil: the bytes begin as no such key does.
    static func inIndex(_ reader: inout ByteReader) throws(FormatError) -> RecordKey? {
        switch reader.bytes.first {
        case IndexTag.trail:
            _ = try reader.byte()
            let id = try TrailID(from: &reader)
            return RecordKey(try reader.groupKey(), .trail(id))
        case IndexTag.list:
            _ = try reader.byte()
            let kind = try reader.raw(GroupKey.Kind.self)
            let created = try reader.newestFirst()
            let id = try reader.identifier()
            let user = reader.isAtEnd ? nil : try reader.identifier()
            return RecordKey(GroupKey(kind, id), .listed(ListEntry(created: created, user: user)))
        case IndexTag.listByUser:
            _ = try reader.byte()
            let user = try reader.identifier()
            let created = try reader.newestFirst()
            return RecordKey(GroupKey(.order, try reader.identifier()), .listed(ListEntry(created: created, user: user)))
        case IndexTag.due:
            _ = try reader.byte()
            let time = try reader.soonestFirst()
            return RecordKey(GroupKey(.order, try reader.identifier()), .due(time))
        default: return nil
        }
    }
}

extension IndexRange {
    /// The entries of the audit trail that are older than `id`; nil: all of them.
    public static func trail(behind id: TrailID?) -> IndexRange {
        let start = id.map { $0.orderedBytes + [IndexTag.behind] } ?? []
        return IndexRange(.trail, start: [IndexTag.trail] + start, end: [IndexTag.trail + 1])
    }

    /// All items, users or orders, behind a place; nil: from the first one on.
    public static func list(of kind: GroupKey.Kind, behind cursor: ListCursor?) -> IndexRange {
        let start = cursor.map { $0.bytes + [IndexTag.behind] } ?? []
        return IndexRange(
            .lists, start: [IndexTag.list, kind.rawValue] + start, end: [IndexTag.list, kind.rawValue + 1])
    }

    /// The orders of a user, behind a place; nil: from the newest one on.
    public static func orders(of user: Identifier, behind cursor: ListCursor?) -> IndexRange {
        var writer = ByteWriter()
        writer.byte(IndexTag.listByUser)
        writer.text(user.text)
        return IndexRange(
            .lists, start: writer.bytes + (cursor?.bytes ?? []), end: writer.bytes + [IndexTag.behind])
    }

    /// The reservations of orders, the first to end first, behind an entry; nil: from the first one on.
    public static func dues(behind entry: RecordKey?) -> IndexRange {
        var writer = ByteWriter()
        if let entry { entry.encode(into: &writer) } else { writer.byte(IndexTag.due) }
        return IndexRange(.lists, start: writer.bytes, end: [IndexTag.due + 1])
    }
}

extension ListCursor {
    /// The bytes that keys of the lists have for a place.
    fileprivate var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.newestFirst(created)
        writer.text(id.text)
        return writer.bytes
    }
}

extension ByteWriter {
    /// Makes a later time a smaller number without a sign.
    fileprivate static let inversion = UInt64(Int64.max)

    /// Appends a time so that later ones sort before earlier ones.
    mutating func newestFirst(_ time: Int64) { fixed((UInt64(bitPattern: time) ^ Self.inversion).byteSwapped) }

    /// Appends a time so that earlier ones sort before later ones.
    mutating func soonestFirst(_ time: Int64) { newestFirst(-time) }
}

extension ByteReader {
    /// Reads what ``ByteWriter/newestFirst(_:)`` wrote.
    mutating func newestFirst() throws(FormatError) -> Int64 {
        let time = Int64(bitPattern: try fixed(UInt64.self).byteSwapped ^ ByteWriter.inversion)
        guard (-Limits.latestTime...Limits.latestTime).contains(time) else { throw .invalid("the time \(time)") }
        return time
    }

    /// Reads what ``ByteWriter/soonestFirst(_:)`` wrote.
    mutating func soonestFirst() throws(FormatError) -> Int64 { -(try newestFirst()) }
}
