// The table as somebody sees it who is not its owner: an audit, a backup, the doctor. Nothing is written, and no file is made.

import GRDB

/// The table as one transaction sees it.
struct SQLiteView {
    fileprivate let database: Database

    /// A connection of its own to somebody's table, which writes nothing: not a byte, nor a file beside the table.
    struct Source {
        private let path: String
        private let files: any FileSystem
        private let connection: DatabaseQueue
        /// There is no log: nobody uses the table, and it is read as a file that does not change.
        private let isImmutable: Bool

        init(_ path: String, _ files: any FileSystem) throws(EmbeddedError) {
            self.path = path
            self.files = files
            isImmutable = try SQLiteView.hasNoLog(path, files)
            connection = try SQLiteView.connect(path, isImmutable: isImmutable)
        }

        func read<Value>(_ body: (SQLiteView) throws -> Value) throws -> Value {
            try connection.read { database in
                let view = SQLiteView(database: database)
                let value = try body(view)
                if isImmutable { try checkUnused(since: view) }
                return value
            }
        }

        /// A server that used the table has moved its position, but for one that only removed what had expired.
        private func checkUnused(since view: SQLiteView) throws {
            let now = try SQLiteView.connect(path, isImmutable: true).read { try SQLiteTable.meta("position", $0) }
            if try !SQLiteView.hasNoLog(path, files) || now != view.meta("position") {
                throw EmbeddedError.table("a server began to use \(path) while it was read: try again")
            }
        }
    }

    /// SQLite makes the log and its index when it opens a table in WAL mode, unless it is told that the table is immutable.
    private static func hasNoLog(_ path: String, _ files: any FileSystem) throws(EmbeddedError) -> Bool {
        let (log, index) = (path + "-wal", path + "-shm")
        guard try files.exists(log) else { return true }
        if try files.exists(index) { return false }
        if try files.open(log, .read).size() == 0 { return true }
        throw .table("\(log) is there without \(index), as in an incomplete copy: `kontor serve` makes it again")
    }

    /// `readonly_shm`: the index in memory is used as its owner keeps it, or made anew in private if it has none.
    private static func connect(_ path: String, isImmutable: Bool) throws(EmbeddedError) -> DatabaseQueue {
        // Without an authority of its own, a path that begins with two slashes would be taken for one.
        var address = path.utf8.first == UInt8(ascii: "/") ? "file://" : "file:"
        for byte in path.utf8 {
            let isPlain = byte > 0x20 && byte < 0x7F && !"%?#".utf8.contains(byte)
            address += isPlain ? String(UnicodeScalar(byte)) : "%" + String(256 + Int(byte), radix: 16).dropFirst()
        }
        address += isImmutable ? "?immutable=1" : "?readonly_shm=1"
        return try SQLiteTable.failing(path) {
            let configuration = SQLiteTable.configuration(isReadOnly: true)
            let connection = try DatabaseQueue(path: address, configuration: configuration)
            try SQLiteTable.checkFormat(connection, path)
            return connection
        }
    }

    func meta(_ name: String) throws -> UInt64 { try SQLiteTable.meta(name, database) }

    /// All records, open work among them, in the order of their keys.
    func forEach(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        // A table that an older release made, and that no `serve` has opened since, has no expiring records.
        let areas = try TableArea.allCases.filter { try database.tableExists($0.table) }
        let sql = areas.map { "SELECT key, value FROM \($0.table)" }.joined(separator: " UNION ALL ") + " ORDER BY key"
        try SQLiteTable.forEach(database, sql: sql, body)
    }
}

extension TableArea {
    var table: String {
        switch self {
        case .record: return "record"
        case .openWork: return "open_work"
        case .expiring: return "expiring"
        }
    }
}
