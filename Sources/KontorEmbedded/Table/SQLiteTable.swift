// The folded table in SQLite, through GRDB. Rows are written and read with SQLite's own calls on GRDB's cached statements:
// a fold moves a hundred thousand of them a second.

import GRDB
import GRDBSQLite

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// DIR/table.sqlite: three tables of key and value, one an area, and `meta`.
public final class SQLiteTable: FoldedTable {
    /// 1 had no expiring records.
    static let formatVersion: Int64 = 2

    /// How the embedded store opens its table.
    public static let opener = TableOpener(
        open: { directory throws(EmbeddedError) in try SQLiteTable.open(directory) },
        create: { directory, storeID throws(EmbeddedError) in try SQLiteTable.create(directory, storeID: storeID) })

    static func path(_ directory: String) -> String { directory + "/table.sqlite" }

    let path: String
    /// On the fold lanes.
    let writer: DatabaseQueue
    /// On the read lane; it cannot write.
    private let reader: DatabaseQueue

    private init(path: String, writer: DatabaseQueue) throws {
        self.path = path
        self.writer = writer
        reader = try DatabaseQueue(path: path, configuration: Self.configuration(isReadOnly: true))
    }

    private static func open(_ directory: String) throws(EmbeddedError) -> SQLiteTable? {
        let path = path(directory)
        return try failing(path) {
            let writer = try openWriter(path)
            let hasTables = try writer.inDatabase { try $0.tableExists("meta") }
            guard hasTables else { return nil }
            try checkFormat(writer, path)
            try writer.inDatabase { try upgrade($0) }
            return try SQLiteTable(path: path, writer: writer)
        }
    }

    private static func create(_ directory: String, storeID: UInt64) throws(EmbeddedError) -> SQLiteTable {
        let path = path(directory)
        return try failing(path) {
            let writer = try openWriter(path)
            try writer.inDatabase { database in
                try database.inTransaction(.immediate) {
                    try database.execute(sql: schema + expiringSchema)
                    let insert = "INSERT INTO meta(name, value) VALUES (?, ?)"
                    try database.execute(sql: insert, arguments: ["format", formatVersion])
                    try database.execute(sql: insert, arguments: ["store", Int64(bitPattern: storeID)])
                    try database.execute(sql: insert, arguments: ["position", 0])
                    try database.execute(sql: insert, arguments: ["expiring", 0])
                    return .commit
                }
            }
            return try SQLiteTable(path: path, writer: writer)
        }
    }

    private static let schema = """
        CREATE TABLE record(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE open_work(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        """

    /// New rows expire last, so the index grows at its end and shrinks at its beginning.
    private static let expiringSchema = """
        CREATE TABLE expiring(key BLOB PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX expiring_by_time ON expiring(expires);
        """

    /// Brings a table of an older release to this one's format.
    private static func upgrade(_ database: Database) throws {
        guard try meta("format", database) < 2 else { return }
        try database.inTransaction(.immediate) {
            try database.execute(sql: expiringSchema)
            try database.execute(sql: "INSERT INTO meta(name, value) VALUES ('expiring', 0)")
            try database.execute(sql: "UPDATE meta SET value = ? WHERE name = 'format'", arguments: [formatVersion])
            return .commit
        }
    }

    // MARK: FoldedTable

    public func storeID() throws(EmbeddedError) -> UInt64 { try meta("store") }
    public func position() throws(EmbeddedError) -> UInt64 { try meta("position") }

    private func meta(_ name: String) throws(EmbeddedError) -> UInt64 {
        try Self.failing(path) { try writer.inDatabase { try Self.meta(name, $0) } }
    }

    public func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?] {
        try Self.failing(path) {
            // One transaction: else SQLite takes and gives back its locks for each key.
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

    public func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        try writer.inDatabase { try Self.forEach($0, sql: "SELECT key, value FROM open_work ORDER BY key", body) }
    }

    public func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int {
        try Self.failing(path) {
            try writer.inDatabase { database in
                var expiring = 0
                try database.inTransaction(.immediate) {
                    try Self.write(slice, to: .record, database)
                    try Self.write(slice, to: .openWork, database)
                    try Self.writeExpiring(slice, database)
                    let update = try database.cachedStatement(sql: "UPDATE meta SET value = ? WHERE name = 'position'")
                    try update.execute(arguments: [Int64(bitPattern: slice.through)])
                    expiring = Int(try Self.meta("expiring", database))
                    return .commit
                }
                return expiring
            }
        }
    }

    public func checkpoint() throws(EmbeddedError) -> Bool {
        try Self.failing(path) {
            do {
                try writer.inDatabase { _ = try $0.checkpoint(.truncate) }
                return true
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                return false
            }
        }
    }

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
        // The statements point into the slice's bytes; they must not when it is gone.
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

// MARK: Connections

extension SQLiteTable {
    static func configuration(isReadOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(Double(EmbeddedLimits.busyMilliseconds) / 1_000)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA cache_size = -\(EmbeddedLimits.pageCacheKiB)")
            // Else lists of a statement go to a file in /var/tmp, which may be full or not writable.
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
            guard !isReadOnly else { return }
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        return configuration
    }

    private static func openWriter(_ path: String) throws -> DatabaseQueue {
        let writer = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: false))
        try writer.inDatabase { database in
            // After opening: GRDB sets it to NORMAL when it sets WAL mode, and that loses transactions with the power.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            let isFull = try Int.fetchOne(database, sql: "PRAGMA synchronous") == 2
            let isWAL = try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal"
            if !isFull || !isWAL {
                throw EmbeddedError.table("SQLite does not take synchronous = FULL and WAL on \(path)")
            }
        }
        return writer
    }

    static func checkFormat(_ connection: DatabaseQueue, _ path: String) throws {
        let version = try connection.inDatabase { try meta("format", $0) }
        if version > UInt64(formatVersion) {
            throw EmbeddedError.newerFormat(file: path, version: UInt32(truncatingIfNeeded: version))
        }
    }

    static func meta(_ name: String, _ database: Database) throws -> UInt64 {
        let sql = "SELECT value FROM meta WHERE name = ?"
        guard let value = try Int64.fetchOne(database, sql: sql, arguments: [name]) else {
            throw EmbeddedError.table("meta has no \(name)")
        }
        return UInt64(bitPattern: value)
    }

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
                if code != SQLITE_ROW { try SQLiteCall.check(code, database) }
                try body(SQLiteCall.column(select, 0), SQLiteCall.column(select, 1))
            }
        }
    }

    /// Turns everything that GRDB throws into this layer's error.
    static func failing<Value>(_ path: String, _ body: () throws -> Value) throws(EmbeddedError) -> Value {
        do {
            return try body()
        } catch let error as EmbeddedError {
            throw error
        } catch let error as DatabaseError {
            switch error.extendedResultCode {
            case .SQLITE_FULL: throw .diskFull(path: path)
            case .SQLITE_NOMEM, .SQLITE_IOERR_NOMEM: throw .system(call: "SQLite", path: path, code: ENOMEM)
            default: throw .table("\(error)")
            }
        } catch {
            throw .table("\(error)")
        }
    }
}
