// The area of expiring records: written with their expiry, counted as they come and go, and removed oldest first.

import GRDB
import GRDBSQLite
import KontorCore

extension SQLiteTable {
    /// See ``FoldedTable``.
    public func expiringCount() throws(EmbeddedError) -> Int {
        try TableConnection.use(writer, path) { Int(try SQLiteCall.meta("expiring", $0)) }
    }

    /// See ``FoldedTable``.
    public func expire(
        now: Int64, trail: Int64, atMost bound: Int
    ) throws(EmbeddedError) -> (removed: Int, left: Int) {
        try TableLog(path).watching { () throws(EmbeddedError) in
            try removeExpired(now: now, trail: trail, atMost: bound)
        }
    }

    private func removeExpired(
        now: Int64, trail: Int64, atMost bound: Int
    ) throws(EmbeddedError) -> (removed: Int, left: Int) {
        try TableConnection.use(writer, path) { database in
            var removed = 0
            var left = 0
            try database.inTransaction(.immediate) {
                let delete = try database.cachedStatement(
                    sql: """
                        DELETE FROM expiring WHERE key IN
                        (SELECT key FROM expiring WHERE expires <= ? ORDER BY expires LIMIT ?)
                        """)
                try delete.execute(arguments: [now, bound])
                removed = database.changesCount
                if removed > 0 { try Self.addExpiring(-removed, database) }
                removed += try Self.removeTrail(at: trail, atMost: bound, database)
                left = Int(try SQLiteCall.meta("expiring", database))
                return .commit
            }
            return (removed, left)
        }
    }

    private static func removeTrail(at time: Int64, atMost bound: Int, _ database: Database) throws -> Int {
        let delete = try database.cachedStatement(
            sql: "DELETE FROM trail WHERE key IN (SELECT key FROM trail WHERE key > ?1 ORDER BY key DESC LIMIT ?2)"
        ).sqliteStatement
        // Those whose time is over lie behind this.
        try IndexRange.trail(behind: TrailID(time: time, number: .max)).start.withUnsafeBytes { start in
            defer {
                sqlite3_reset(delete)
                sqlite3_clear_bindings(delete)
            }
            try SQLiteCall.check(SQLiteCall.bind(delete, 1, start[...]), database)
            try SQLiteCall.check(sqlite3_bind_int64(delete, 2, Int64(bound)), database)
            try SQLiteCall.run(delete, database)
        }
        return database.changesCount
    }

    /// Writes the changes of a slice that belong to the expiring area.
    static func writeExpiring(_ slice: FoldSlice, _ database: Database) throws {
        guard slice.changes.contains(where: { $0.area == .expiring }) else { return }
        let update = try database.cachedStatement(
            sql: "UPDATE expiring SET value = ?2, expires = ?3 WHERE key = ?1"
        ).sqliteStatement
        let insert = try database.cachedStatement(
            sql: "INSERT INTO expiring(key, value, expires) VALUES (?1, ?2, ?3)"
        ).sqliteStatement
        let delete = try database.cachedStatement(sql: "DELETE FROM expiring WHERE key = ?1").sqliteStatement
        // The statements point into the slice's bytes, and must not do so when the slice is gone.
        defer {
            for statement in [update, insert, delete] {
                sqlite3_reset(statement)
                sqlite3_clear_bindings(statement)
            }
        }
        var added = 0
        try slice.bytes.withUnsafeBytes { bytes in
            for change in slice.changes where change.area == .expiring {
                guard let value = change.value else {
                    try SQLiteCall.check(SQLiteCall.bind(delete, 1, bytes[change.key]), database)
                    try SQLiteCall.run(delete, database)
                    added -= database.changesCount
                    continue
                }
                guard let expires = Record.expiry(inEncoded: slice.bytes[value]) else {
                    throw EmbeddedError.table("an expiring record has no expiry")
                }
                // A record that is there already must not be counted twice.
                for statement in [update, insert] {
                    try SQLiteCall.check(SQLiteCall.bind(statement, 1, bytes[change.key]), database)
                    try SQLiteCall.check(SQLiteCall.bind(statement, 2, bytes[value]), database)
                    try SQLiteCall.check(sqlite3_bind_int64(statement, 3, expires), database)
                    try SQLiteCall.run(statement, database)
                    if statement == insert { added += 1 }
                    if database.changesCount > 0 { break }
                }
            }
        }
        if added != 0 { try addExpiring(added, database) }
    }

    private static func addExpiring(_ count: Int, _ database: Database) throws {
        let update = try database.cachedStatement(sql: "UPDATE meta SET value = value + ? WHERE name = 'expiring'")
        try update.execute(arguments: [count])
    }
}
