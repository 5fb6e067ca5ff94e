// SQLite's own calls, with this target's bytes and GRDB's errors.

import GRDB
import GRDBSQLite

/// Calls of SQLite's C interface on GRDB's statements.
enum SQLiteCall {
    /// Throws a result that is not `SQLITE_OK`.
    static func check(_ code: CInt, _ database: Database) throws {
        if code != SQLITE_OK {
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: database.lastErrorMessage)
        }
    }

    /// Binds bytes without copying them: they must stay until the statement is reset.
    static func bind(_ statement: OpaquePointer, _ index: CInt, _ bytes: Slice<UnsafeRawBufferPointer>) -> CInt {
        let rebased = UnsafeRawBufferPointer(rebasing: bytes)
        return sqlite3_bind_blob(statement, index, rebased.baseAddress, CInt(rebased.count), nil)
    }

    /// The bytes of a column of the current row.
    static func column(_ statement: OpaquePointer, _ index: CInt) -> [UInt8] {
        let count = Int(sqlite3_column_bytes(statement, index))
        guard let base = sqlite3_column_blob(statement, index) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Runs a statement that gives no rows.
    static func run(_ statement: OpaquePointer, _ database: Database) throws {
        let code = sqlite3_step(statement)
        if code != SQLITE_DONE { try check(code, database) }
        sqlite3_reset(statement)
    }

    /// The number of this name in `meta`.
    static func meta(_ name: String, _ database: Database) throws -> UInt64 {
        let sql = "SELECT value FROM meta WHERE name = ?"
        guard let value = try Int64.fetchOne(database, sql: sql, arguments: [name]) else {
            throw EmbeddedError.table("meta has no \(name)")
        }
        return UInt64(bitPattern: value)
    }

    /// Calls `body` for each row of a statement that selects keys and values.
    static func forEach(
        _ database: Database, sql: String, _ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void
    ) throws {
        let statement = try database.makeStatement(sql: sql)
        // GRDB finalizes a statement when it is released.
        try withExtendedLifetime(statement) {
            let select = statement.sqliteStatement
            defer { sqlite3_reset(select) }
            while true {
                let code = sqlite3_step(select)
                if code == SQLITE_DONE { return }
                if code != SQLITE_ROW { try check(code, database) }
                try body(column(select, 0), column(select, 1))
            }
        }
    }
}
