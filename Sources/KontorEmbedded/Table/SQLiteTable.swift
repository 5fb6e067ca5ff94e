// The folded table in SQLite, through GRDB. Rows are written and read with SQLite's own calls on GRDB's cached
// statements: a fold moves a hundred thousand of them a second.

import GRDB
import GRDBSQLite
import KontorCore
import Synchronization

/// The table in DIRECTORY/table.sqlite: a table of keys and values for each area, and `meta`, which has numbers by
/// name.
public final class SQLiteTable: FoldedTable {
    /// How the embedded store opens its table.
    public static let opener = opener(pageCacheBytes: EmbeddedLimits.pageCacheBytes)

    /// How the embedded store opens its table, with a page cache of so many bytes for each of its two connections.
    public static func opener(pageCacheBytes: Int) -> TableOpener {
        TableOpener(
            open: { directory throws(EmbeddedError) in try SQLiteTable.open(directory, pageCacheBytes) },
            create: { directory, storeID throws(EmbeddedError) in
                try SQLiteTable.create(directory, pageCacheBytes, storeID: storeID)
            })
    }

    /// The table's file in a store's directory.
    static func path(_ directory: String) -> String { directory + "/table.sqlite" }

    /// The table's file.
    let path: String
    private let pageCacheBytes: Int
    let connections: Mutex<Connections>

    /// The connection of the fold lanes, and that of the read lane, which cannot write. On a disk that has no room for
    /// the index of SQLite's log it is one and the same, which keeps the index in memory and others out.
    struct Connections {
        let writer: DatabaseQueue
        let reader: DatabaseQueue
        var isShared: Bool { writer === reader }

        /// Opens both; or one, if there is no room for two.
        init(_ path: String, _ pageCacheBytes: Int) throws {
            do {
                let writer = try TableConnection.openWriter(path, isExclusive: false, pageCacheBytes: pageCacheBytes)
                let configuration = TableConnection.configuration(isReadOnly: true, pageCacheBytes: pageCacheBytes)
                self.init(writer: writer, reader: try DatabaseQueue(path: path, configuration: configuration))
            } catch let error as DatabaseError where error.meansNoRoomForIndex {
                let writer = try TableConnection.openWriter(path, isExclusive: true, pageCacheBytes: pageCacheBytes)
                self.init(writer: writer, reader: writer)
            }
        }

        fileprivate init(writer: DatabaseQueue, reader: DatabaseQueue) {
            self.writer = writer
            self.reader = reader
        }

        func close() {
            if !isShared { try? reader.close() }
            try? writer.close()
        }
    }

    /// The connection of the fold lanes.
    var writer: DatabaseQueue { connections.withLock { $0.writer } }

    private init(path: String, pageCacheBytes: Int) throws(EmbeddedError) {
        self.path = path
        self.pageCacheBytes = pageCacheBytes
        connections = Mutex(try TableConnection.translatingErrors(path) { try Connections(path, pageCacheBytes) })
    }

    private static func open(_ directory: String, _ pageCacheBytes: Int) throws(EmbeddedError) -> SQLiteTable? {
        let table = try opened(directory, pageCacheBytes)
        let isMade = try TableConnection.use(table.writer, table.path) { database in
            guard try database.tableExists("meta") else { return false }
            try SQLiteSchema.checkFormat(database, table.path)
            try SQLiteSchema.upgrade(database)
            return true
        }
        if isMade { return table }
        table.close()
        return nil
    }

    private static func create(
        _ directory: String, _ pageCacheBytes: Int, storeID: UInt64
    ) throws(EmbeddedError) -> SQLiteTable {
        let table = try opened(directory, pageCacheBytes)
        try TableConnection.use(table.writer, table.path) { try SQLiteSchema.create($0, storeID: storeID) }
        return table
    }

    /// Connects to the table's file, and makes it if it is not there: for its owner alone, as SQLite would not.
    private static func opened(_ directory: String, _ pageCacheBytes: Int) throws(EmbeddedError) -> SQLiteTable {
        let path = path(directory)
        let files = PosixFileSystem()
        if try !files.exists(path) { _ = try files.open(path, .createNew) }
        try TableLog(path).renewIfDistrusted()
        return try SQLiteTable(path: path, pageCacheBytes: pageCacheBytes)
    }

    // MARK: FoldedTable

    /// See ``FoldedTable``.
    public func storeID() throws(EmbeddedError) -> UInt64 { try meta("store") }
    /// See ``FoldedTable``.
    public func position() throws(EmbeddedError) -> UInt64 { try meta("position") }

    private func meta(_ name: String) throws(EmbeddedError) -> UInt64 {
        try TableConnection.use(writer, path) { try SQLiteCall.meta(name, $0) }
    }

    /// See ``FoldedTable``.
    public func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?] {
        try connections.withLock { connections throws(EmbeddedError) in
            try TableConnection.use(connections.reader, path) { database in
                var values: [[UInt8]?] = []
                // One transaction, so that SQLite takes its locks once and not for each key.
                try database.inTransaction(.deferred) {
                    values = try Self.read(keys, database)
                    return .commit
                }
                return values
            }
        }
    }

    private static func read(_ keys: [TableKey], _ database: Database) throws -> [[UInt8]?] {
        // The connection keeps its cached statements.
        let selects = try [TableArea.record, .openWork, .expiring].map { area in
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

    /// See ``FoldedTable``.
    public func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        try writer.inDatabase { try SQLiteCall.forEach($0, sql: "SELECT key, value FROM open_work ORDER BY key", body) }
    }

    /// See ``FoldedTable``.
    public func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int {
        try TableLog(path).watching { () throws(EmbeddedError) in try write(slice) }
    }

    private func write(_ slice: FoldSlice) throws(EmbeddedError) -> Int {
        try TableConnection.use(writer, path) { database in
            var expiring = 0
            try database.inTransaction(.immediate) {
                try Self.write(slice, to: .record, database)
                try Self.write(slice, to: .openWork, database)
                try Self.write(slice, to: .trail, database)
                try Self.write(slice, to: .lists, database)
                try Self.writeExpiring(slice, database)
                let update = try database.cachedStatement(sql: "UPDATE meta SET value = ? WHERE name = 'position'")
                try update.execute(arguments: [Int64(bitPattern: slice.through)])
                expiring = Int(try SQLiteCall.meta("expiring", database))
                return .commit
            }
            return expiring
        }
    }

    /// See ``FoldedTable``.
    public func checkpoint() throws(EmbeddedError) -> Bool {
        do throws(EmbeddedError) {
            try TableLog(path).watching { () throws(EmbeddedError) in
                try TableConnection.use(writer, path, writing: .table) { _ = try $0.checkpoint(.truncate) }
            }
        } catch .busy {
            return false
        }
        try letOthersIn()
        return true
    }

    /// Opens two connections in the place of one that keeps others out, once there is room for them.
    private func letOthersIn() throws(EmbeddedError) {
        try connections.withLock { connections throws(EmbeddedError) in
            guard connections.isShared, try PosixFileSystem().freeBytes(path) >= EmbeddedLimits.indexBytes else { return }
            connections.close()
            connections = try TableConnection.translatingErrors(path) { [path, pageCacheBytes] in
                try Connections(path, pageCacheBytes)
            }
        }
    }

    /// See ``FoldedTable``.
    public func close() { connections.withLock { $0.close() } }

    private static func write(_ slice: FoldSlice, to area: TableArea, _ database: Database) throws {
        if area.isIndex, !slice.changes.contains(where: { $0.area == area }) { return }
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
                guard area.isIndex, let second = RecordKey.secondIndexKey(ofEncoded: slice.bytes[change.key]) else { continue }
                try second.withUnsafeBytes { second in
                    try SQLiteCall.check(SQLiteCall.bind(statement, 1, second[...]), database)
                    try SQLiteCall.run(statement, database)
                }
            }
        }
    }
}

extension DatabaseError {
    /// Whether there is no room for the index of the write-ahead log, or for the log.
    fileprivate var meansNoRoomForIndex: Bool {
        switch extendedResultCode {
        case .SQLITE_FULL, .SQLITE_IOERR_SHMSIZE, .SQLITE_IOERR_SHMOPEN, .SQLITE_IOERR_SHMMAP, .SQLITE_CANTOPEN: true
        default: false
        }
    }
}
