// The folded table in SQLite, through GRDB. Rows are written and read with SQLite's own calls on GRDB's cached
// statements: a fold moves a hundred thousand of them a second.

import GRDB
import GRDBSQLite

/// The table in DIRECTORY/table.sqlite: a table of keys and values for each area, and `meta`, which has numbers by
/// name.
public final class SQLiteTable: FoldedTable {
    /// How the embedded store opens its table.
    public static let opener = TableOpener(
        open: { directory throws(EmbeddedError) in try SQLiteTable.open(directory) },
        create: { directory, storeID throws(EmbeddedError) in try SQLiteTable.create(directory, storeID: storeID) })

    /// The table's file in a store's directory.
    static func path(_ directory: String) -> String { directory + "/table.sqlite" }

    /// The table's file.
    let path: String
    /// The connection of the fold lanes.
    let writer: DatabaseQueue
    /// The connection of the read lane. It cannot write.
    private let reader: DatabaseQueue

    private init(path: String, writer: DatabaseQueue) throws {
        self.path = path
        self.writer = writer
        reader = try DatabaseQueue(path: path, configuration: TableConnection.configuration(isReadOnly: true))
    }

    private static func open(_ directory: String) throws(EmbeddedError) -> SQLiteTable? {
        let path = path(directory)
        return try TableConnection.translatingErrors(path) {
            let writer = try TableConnection.openWriter(path)
            let hasTables = try writer.inDatabase { try $0.tableExists("meta") }
            guard hasTables else { return nil }
            try SQLiteSchema.checkFormat(writer, path)
            try writer.inDatabase { try SQLiteSchema.upgrade($0) }
            return try SQLiteTable(path: path, writer: writer)
        }
    }

    private static func create(_ directory: String, storeID: UInt64) throws(EmbeddedError) -> SQLiteTable {
        let path = path(directory)
        return try TableConnection.translatingErrors(path) {
            let writer = try TableConnection.openWriter(path)
            try writer.inDatabase { try SQLiteSchema.create($0, storeID: storeID) }
            return try SQLiteTable(path: path, writer: writer)
        }
    }

    // MARK: FoldedTable

    /// See ``FoldedTable``.
    public func storeID() throws(EmbeddedError) -> UInt64 { try meta("store") }
    /// See ``FoldedTable``.
    public func position() throws(EmbeddedError) -> UInt64 { try meta("position") }

    private func meta(_ name: String) throws(EmbeddedError) -> UInt64 {
        try TableConnection.translatingErrors(path) { try writer.inDatabase { try SQLiteCall.meta(name, $0) } }
    }

    /// See ``FoldedTable``.
    public func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?] {
        try TableConnection.translatingErrors(path) {
            // One transaction, so that SQLite takes its locks once and not for each key.
            try reader.read { database in
                // The connection keeps its cached statements.
                let selects = try TableArea.allCases.map { area in
                    try database.cachedStatement(sql: "SELECT value FROM \(area.table) WHERE key = ?").sqliteStatement
                }
                defer { for select in selects { sqlite3_reset(select) } }
                return try keys.map { key in
                    let select = selects[key.area == .record ? 0 : key.area == .openWork ? 1 : 2]
                    sqlite3_reset(select)
                    try key.bytes.withUnsafeBytes { try SQLiteCall.check(SQLiteCall.bind(select, 1, $0[...]), database) }
                    let code = sqlite3_step(select)
                    if code == SQLITE_DONE { return nil }
                    if code != SQLITE_ROW { try SQLiteCall.check(code, database) }
                    return SQLiteCall.column(select, 0)
                }
            }
        }
    }

    /// See ``FoldedTable``.
    public func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        try writer.inDatabase { try SQLiteCall.forEach($0, sql: "SELECT key, value FROM open_work ORDER BY key", body) }
    }

    /// See ``FoldedTable``.
    public func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int {
        try TableConnection.translatingErrors(path) {
            try writer.inDatabase { database in
                var expiring = 0
                try database.inTransaction(.immediate) {
                    try Self.write(slice, to: .record, database)
                    try Self.write(slice, to: .openWork, database)
                    try Self.writeExpiring(slice, database)
                    let update = try database.cachedStatement(sql: "UPDATE meta SET value = ? WHERE name = 'position'")
                    try update.execute(arguments: [Int64(bitPattern: slice.through)])
                    expiring = Int(try SQLiteCall.meta("expiring", database))
                    return .commit
                }
                return expiring
            }
        }
    }

    /// See ``FoldedTable``.
    public func checkpoint() throws(EmbeddedError) -> Bool {
        try TableConnection.translatingErrors(path) {
            do {
                try writer.inDatabase { _ = try $0.checkpoint(.truncate) }
                return true
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                return false
            }
        }
    }

    /// See ``FoldedTable``.
    public func close() {
        try? reader.close()
        try? writer.close()
    }

    private static func write(_ slice: FoldSlice, to area: TableArea, _ database: Database) throws {
        let table = area.table
        let upsert = try database.cachedStatement(
            sql: "INSERT INTO \(table)(key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2"
        ).sqliteStatement
        let delete = try database.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ?1").sqliteStatement
        // The statements point into the slice's bytes, and must not do so when the slice is gone.
        defer {
            for statement in [upsert, delete] {
                sqlite3_reset(statement)
                sqlite3_clear_bindings(statement)
            }
        }
        try slice.bytes.withUnsafeBytes { bytes in
            for change in slice.changes where change.area == area {
                let statement = change.value == nil ? delete : upsert
                try SQLiteCall.check(SQLiteCall.bind(statement, 1, bytes[change.key]), database)
                if let value = change.value { try SQLiteCall.check(SQLiteCall.bind(statement, 2, bytes[value]), database) }
                let code = sqlite3_step(statement)
                if code != SQLITE_DONE { try SQLiteCall.check(code, database) }
                sqlite3_reset(statement)
            }
        }
    }
}
