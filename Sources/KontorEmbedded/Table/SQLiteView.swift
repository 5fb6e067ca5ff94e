// The table as an audit, a backup or the doctor sees it, who are not its owners: nothing is written, and no file is
// made.

import GRDB

/// The table as one transaction sees it.
struct SQLiteView {
    fileprivate let database: Database

    /// A connection that writes nothing: neither to the table nor a file beside it.
    struct Source {
        private let path: String
        private let files: any FileSystem
        private let connection: DatabaseQueue
        /// Whether there is no write-ahead log: then nobody uses the table, and it is read as a file that does not
        /// change.
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

        /// Throws if a server used the table meanwhile. That shows in its log or in its position, unless the server has
        /// only removed what had expired, and ended.
        private func checkUnused(since view: SQLiteView) throws {
            let now = try SQLiteView.connect(path, isImmutable: true).read { try SQLiteCall.meta("position", $0) }
            if try !SQLiteView.hasNoLog(path, files) || now != view.meta("position") {
                throw EmbeddedError.table("a server began to use \(path) while it was read: try again")
            }
        }
    }

    /// Whether there is no write-ahead log. If there is none, SQLite would make it and its index when it opens the
    /// table, unless it is told that the table is immutable.
    private static func hasNoLog(_ path: String, _ files: any FileSystem) throws(EmbeddedError) -> Bool {
        let (log, index) = (path + "-wal", path + "-shm")
        guard try files.exists(log) else { return true }
        if try files.exists(index) { return false }
        if try files.open(log, .read).size() == 0 { return true }
        throw .table("\(log) is there without \(index), as in an incomplete copy: `kontor serve` makes it again")
    }

    /// Opens the table. `readonly_shm` makes SQLite use the log's index as the owner keeps it, or a private one if
    /// there is no owner.
    private static func connect(_ path: String, isImmutable: Bool) throws(EmbeddedError) -> DatabaseQueue {
        // With an empty authority, because a path that begins with two slashes would be taken for one.
        var address = path.utf8.first == UInt8(ascii: "/") ? "file://" : "file:"
        for byte in path.utf8 {
            let isPlain = byte > 0x20 && byte < 0x7F && !"%?#".utf8.contains(byte)
            address += isPlain ? String(UnicodeScalar(byte)) : "%" + String(256 + Int(byte), radix: 16).dropFirst()
        }
        address += isImmutable ? "?immutable=1" : "?readonly_shm=1"
        return try TableConnection.translatingErrors(path) {
            let configuration = TableConnection.configuration(isReadOnly: true)
            let connection = try DatabaseQueue(path: address, configuration: configuration)
            try connection.inDatabase { try SQLiteSchema.checkFormat($0, path) }
            return connection
        }
    }

    /// The number of this name in `meta`.
    func meta(_ name: String) throws -> UInt64 { try SQLiteCall.meta(name, database) }

    /// Whether the lists are complete. A table that an older release made has none.
    var isListed: Bool {
        get throws {
            guard try database.tableExists("unlisted") else { return false }
            return try Int.fetchOne(database, sql: "SELECT 1 FROM unlisted") == nil
        }
    }

    /// All records, open work among them, in the order of their keys; what is listed under two keys comes once.
    func forEach(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        // A table that an older release made lacks some areas until `serve` opens it.
        let areas = try TableArea.allCases.filter { try database.tableExists($0.table) }
        let selects = areas.map {
            "SELECT key, value FROM \($0.table)\($0 == .lists ? " WHERE key < x'82' OR key >= x'83'" : "")"
        }
        let sql = selects.joined(separator: " UNION ALL ") + " ORDER BY key"
        try SQLiteCall.forEach(database, sql: sql, body)
    }
}

extension TableArea {
    /// The name of the area's table in SQLite.
    var table: String {
        switch self {
        case .record: return "record"
        case .openWork: return "open_work"
        case .expiring: return "expiring"
        case .trail: return "trail"
        case .lists: return "lists"
        }
    }
}
