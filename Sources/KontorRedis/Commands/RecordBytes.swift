// Records and versions as bytes in Redis.

import KontorCore
import KontorService
import RedisClient

extension RESPValue {
    /// The bytes of a string, copied, so that they can be kept; nil for other values.
    var octets: [UInt8]? { bytes.map { Array($0.readableBytesView) } }
}

/// Encodes and decodes what is stored. A group's head has its version in front of its record.
enum RecordBytes {
    static let versionBytes = 16

    static func bytes(_ record: Record, _ format: RecordFormat) -> [UInt8] {
        var writer = ByteWriter()
        record.encode(into: &writer, in: format)
        return writer.bytes
    }

    /// An entry of the audit trail: its key, and behind it its record.
    static func trailEntry(_ key: RecordKey, _ record: Record, _ format: RecordFormat) -> [UInt8] {
        var writer = ByteWriter()
        key.encode(into: &writer)
        record.encode(into: &writer, in: format)
        return writer.bytes
    }

    /// Reads an element of an index: an entry of the trail as ``trailEntry(_:_:_:)`` wrote it, or a key of the lists.
    static func indexEntry(_ bytes: [UInt8], of index: IndexRange.Index) throws(FormatError) -> IndexEntry {
        switch index {
        case .trail:
            let (key, end) = try RecordKey.prefix(of: bytes)
            return IndexEntry(key, try Record(decoding: bytes[end...]))
        case .lists: return IndexEntry(try RecordKey(decoding: bytes[...]), .listed)
        }
    }

    /// The bytes of a version; none for a group that is absent.
    static func bytes(_ version: Version) -> [UInt8] {
        if version == .absent { return [] }
        var writer = ByteWriter()
        writer.fixed(version.writer)
        writer.fixed(version.counter)
        return writer.bytes
    }

    /// - Parameter name: The record's key, for the error.
    static func record(_ bytes: ArraySlice<UInt8>, _ name: String) throws(StoreError) -> Record {
        do { return try Record(decoding: bytes) } catch { throw .unreadable("\(name): \(error)") }
    }

    /// Decodes a group's version and the record of its head; the record is nil for a group without a head.
    ///
    /// - Parameter name: The head's key, for the error.
    static func head(_ bytes: [UInt8], _ name: String) throws(StoreError) -> (Version, Record?) {
        do {
            var reader = ByteReader(bytes)
            let version = Version(writer: try reader.fixed(UInt64.self), counter: try reader.fixed(UInt64.self))
            return (version, reader.isAtEnd ? nil : try Record(decoding: bytes[versionBytes...]))
        } catch {
            throw .unreadable("\(name): \(error)")
        }
    }
}
