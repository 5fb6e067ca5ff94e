// What a table's file contains, and how an older release's becomes this one's.

import GRDB

/// The tables in SQLite, and their format.
enum SQLiteSchema {
    /// The format that is written. Format 1 had no expiring records, format 2 no audit trail, format 3 no lists.
    static let formatVersion: Int64 = 4

    private static let first = """
        CREATE TABLE record(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE open_work(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        """

    /// New rows expire last, so the index grows at its end and shrinks at its beginning.
    private static let expiring = """
        CREATE TABLE expiring(key BLOB PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX expiring_by_time ON expiring(expires);
        """

    private static let trail = """
        CREATE TABLE trail(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        """

    /// The lists; and, while they are not complete, the key of the last record that was looked at.
    private static let lists = """
        CREATE TABLE lists(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE unlisted(behind BLOB NOT NULL);
        """

    /// Says that the lists are not complete.
    static let forgetLists = "DELETE FROM unlisted; INSERT INTO unlisted(behind) VALUES (x'00');"

    /// Makes an empty table at position 0, in one transaction.
    static func create(_ database: Database, storeID: UInt64) throws {
        try database.inTransaction(.immediate) {
            try database.execute(sql: first + expiring + trail + lists)
            let insert = "INSERT INTO meta(name, value) VALUES (?, ?)"
            try database.execute(sql: insert, arguments: ["format", formatVersion])
            try database.execute(sql: insert, arguments: ["store", Int64(bitPattern: storeID)])
            try database.execute(sql: insert, arguments: ["position", 0])
            try database.execute(sql: insert, arguments: ["expiring", 0])
            return .commit
        }
    }

    /// Brings a table of an older release to this one's format, in one transaction.
    static func upgrade(_ database: Database) throws {
        let format = try SQLiteCall.meta("format", database)
        guard format < formatVersion else { return }
        try database.inTransaction(.immediate) {
            if format < 2 {
                try database.execute(sql: expiring)
                try database.execute(sql: "INSERT INTO meta(name, value) VALUES ('expiring', 0)")
            }
            if format < 3 { try database.execute(sql: trail) }
            try database.execute(sql: lists + forgetLists)
            try database.execute(sql: "UPDATE meta SET value = ? WHERE name = 'format'", arguments: [formatVersion])
            return .commit
        }
    }

    /// Throws `newerFormat` if a later release made the table.
    static func checkFormat(_ database: Database, _ path: String) throws {
        let version = try SQLiteCall.meta("format", database)
        if version > UInt64(formatVersion) {
            throw EmbeddedError.newerFormat(file: path, version: UInt32(truncatingIfNeeded: version))
        }
    }
}
