// The expiring area of the real table.

import Foundation
import GRDB
import KontorCore
import Testing

// GRDB has a Record too.
import enum KontorCore.Record

@testable import KontorEmbedded

@Suite("Expiring records in SQLite")
final class SQLiteExpiryTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func slice(_ numbers: Range<Int>, expires: Int64, through: UInt64, removed: Bool = false) -> FoldSlice {
        var writer = ByteWriter()
        var changes: [FoldSlice.Change] = []
        for number in numbers {
            let start = writer.bytes.count
            writer.text("key-\(number)")
            let middle = writer.bytes.count
            Record.key(KeptKey(request: [1], expires: expires)).encode(into: &writer)
            changes.append(
                FoldSlice.Change(
                    key: start..<middle, value: removed ? nil : middle..<writer.bytes.count, area: .expiring))
        }
        return FoldSlice(bytes: writer.bytes, changes: changes, through: through)
    }

    @Test("they are counted when they come, are replaced, are removed and expire; the oldest go first")
    func counts() throws {
        let table = try SQLiteTable.opener.create(directory, 7)
        try table.apply(slice(0..<10, expires: 1_000, through: 1))
        try table.apply(slice(5..<20, expires: 2_000, through: 2))
        #expect(try table.expiringCount() == 20)
        try table.apply(slice(18..<25, expires: 0, through: 3, removed: true))
        #expect(try table.expiringCount() == 18)
        #expect(try table.expire(now: 1_000, trail: 0, atMost: 3).removed == 3)
        #expect(try table.expire(now: 1_000, trail: 0, atMost: 3).removed == 2)
        #expect(try table.expire(now: 1_999, trail: 0, atMost: 3).removed == 0)
        #expect(try table.expiringCount() == 13)
        #expect(try table.expire(now: 2_000, trail: 0, atMost: 100).removed == 13)
        #expect(try table.expiringCount() == 0)
        table.close()
    }

    /// Format 1 had no expiring records, format 2 no audit trail.
    @Test(
        "a table of a format before is brought to this one's, with all that it has",
        arguments: [
            "DROP TABLE expiring; DELETE FROM meta WHERE name = 'expiring'; UPDATE meta SET value = 1",
            "UPDATE meta SET value = 2",
        ])
    func upgrade(older change: String) throws {
        try PosixFileSystem().createDirectory(directory + "/journal")
        try JournalWriter.create(files: PosixFileSystem(), paths: JournalPaths(directory), storeID: 7)
        try SQLiteTable.opener.create(directory, 7).close()
        let older = try DatabaseQueue(path: directory + "/table.sqlite")
        try older.write { database in
            try database.execute(
                sql: "DROP TABLE trail; DROP TABLE lists; DROP TABLE unlisted; \(change) WHERE name = 'format'")
        }
        try older.close()
        try EmbeddedSnapshot(directory: directory).forEach { _, _ in }
        let table = try #require(try SQLiteTable.opener.open(directory))
        #expect(try table.storeID() == 7)
        try table.apply(slice(0..<3, expires: 1_000, through: 1))
        #expect(try table.expiringCount() == 3)
        #expect(try table.scan(.trail(behind: nil), atMost: 1).isEmpty)
        table.close()
        let again = try #require(try SQLiteTable.opener.open(directory))
        #expect(try again.expiringCount() == 3)
        again.close()
    }
}
