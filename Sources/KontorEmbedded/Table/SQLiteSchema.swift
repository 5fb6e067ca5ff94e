// What a table's file contains, and how an older release's becomes this one's.

import GRDB

/// The tables in SQLite, and their format.
enum SQLiteSchema {
    /// The format that is written. Format 1 had no expiring records, format 2 no audit trail.
    static let formatVersion: Int64 = 3

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

    /// Makes an empty table at position 0, in one transaction.
    static func create(_ database: Database, storeID: UInt64) throws {
        try database.inTransaction(.immediate) {
            try database.execute(sql: first + expiring + trail)
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
            try database.execute(sql: trail)
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
