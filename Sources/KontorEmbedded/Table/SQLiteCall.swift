// SQLite's own calls, with bytes and errors as this target has them.

import GRDB
import GRDBSQLite

enum SQLiteCall {
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
}
