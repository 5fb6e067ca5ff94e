// The indexes in SQLite: pages of them, and how the lists of an older store are made.

import GRDB
import GRDBSQLite
import KontorCore

extension SQLiteTable {
    /// See ``FoldedTable``.
    public func scan(
        _ range: IndexRange, atMost bound: Int
    ) throws(EmbeddedError) -> [(key: [UInt8], value: [UInt8])] {
        try connections.withLock { connections throws(EmbeddedError) in
            try TableConnection.use(connections.reader, path) { try Self.rows(of: range, atMost: bound, $0) }
        }
    }

    private static func rows(
        of range: IndexRange, atMost bound: Int, _ database: Database
    ) throws -> [(key: [UInt8], value: [UInt8])] {
        let table = TableArea(range.index).table
        let sql = "SELECT key, value FROM \(table) WHERE key > ?1 AND key < ?3 ORDER BY key LIMIT ?2"
        let select = try database.cachedStatement(sql: sql).sqliteStatement
        return try range.end.withUnsafeBytes { end in
            try SQLiteCall.check(SQLiteCall.bind(select, 3, end[...]), database)
            return try rows(select, behind: range.start, atMost: bound, database)
        }
    }

    /// The rows of a statement that selects keys and values, at most `?2` of them behind the key `?1`.
    private static func rows(
        _ select: OpaquePointer, behind start: [UInt8], atMost bound: Int, _ database: Database
    ) throws -> [(key: [UInt8], value: [UInt8])] {
        var found: [(key: [UInt8], value: [UInt8])] = []
        try start.withUnsafeBytes { start in
            defer {
                sqlite3_reset(select)
                sqlite3_clear_bindings(select)
            }
            try SQLiteCall.check(SQLiteCall.bind(select, 1, start[...]), database)
            try SQLiteCall.check(sqlite3_bind_int64(select, 2, Int64(bound)), database)
            while sqlite3_step(select) == SQLITE_ROW {
                found.append((SQLiteCall.column(select, 0), SQLiteCall.column(select, 1)))
            }
            try SQLiteCall.check(sqlite3_reset(select), database)
        }
        return found
    }

    // MARK: The lists of an older store

    /// See ``FoldedTable``.
    public func isListed() throws(EmbeddedError) -> Bool {
        try TableConnection.use(writer, path) { try Int.fetchOne($0, sql: "SELECT 1 FROM unlisted") == nil }
    }

    /// See ``FoldedTable``.
    public func forgetLists() throws(EmbeddedError) {
        try TableConnection.use(writer, path) { database in
            try database.inTransaction(.immediate) {
                try database.execute(sql: SQLiteSchema.forgetLists)
                return .commit
            }
        }
    }

    /// See ``FoldedTable``. Folds may come between two slices: what they wrote they have listed, and what they replaced
    /// is not found here any more.
    public func listSlice(atMost bound: Int) throws(EmbeddedError) -> ListSlice {
        try TableLog(path).watching { () throws(EmbeddedError) in
            try TableConnection.use(writer, path) { database in
                var slice = ListSlice()
                try database.inTransaction(.immediate) {
                    try Self.list(&slice, atMost: bound, database)
                    return .commit
                }
                return slice
            }
        }
    }

    private static func list(_ slice: inout ListSlice, atMost bound: Int, _ database: Database) throws {
        guard let behind = try lastListed(database) else { return slice.isLast = true }
        let select = try database.cachedStatement(sql: "SELECT key, value FROM record WHERE key > ?1 ORDER BY key LIMIT ?2")
        let found = try rows(select.sqliteStatement, behind: behind, atMost: bound, database)
        let insert = try database.cachedStatement(sql: "INSERT OR IGNORE INTO lists(key, value) VALUES (?1, ?2)")
            .sqliteStatement
        defer {
            sqlite3_reset(insert)
            sqlite3_clear_bindings(insert)
        }
        for row in found {
            guard let entry = slice.take(row.key, row.value) else { continue }
            for key in entry.keys {
                try key.withUnsafeBytes { key in
                    try entry.value.withUnsafeBytes { value in
                        try SQLiteCall.check(SQLiteCall.bind(insert, 1, key[...]), database)
                        try SQLiteCall.check(SQLiteCall.bind(insert, 2, value[...]), database)
                        try SQLiteCall.run(insert, database)
                    }
                }
            }
        }
        slice.isLast = found.count < bound
        if slice.isLast {
            try database.execute(sql: "DELETE FROM unlisted")
        } else if let last = found.last {
            let update = try database.cachedStatement(sql: "UPDATE unlisted SET behind = ?1").sqliteStatement
            try last.key.withUnsafeBytes { key in
                defer { sqlite3_clear_bindings(update) }
                try SQLiteCall.check(SQLiteCall.bind(update, 1, key[...]), database)
                try SQLiteCall.run(update, database)
            }
        }
    }

    /// The key of the last record that was looked at; nil: all are listed.
    private static func lastListed(_ database: Database) throws -> [UInt8]? {
        let select = try database.cachedStatement(sql: "SELECT behind FROM unlisted").sqliteStatement
        defer { sqlite3_reset(select) }
        let code = sqlite3_step(select)
        if code == SQLITE_DONE { return nil }
        if code != SQLITE_ROW { try SQLiteCall.check(code, database) }
        return SQLiteCall.column(select, 0)
    }
}

extension TableArea {
    /// Whether its records have two keys, or are read in their order.
    var isIndex: Bool { self == .trail || self == .lists }
}
