// Connections to SQLite: how they are configured, and what their errors are here.

import GRDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Opens connections as the table needs them.
enum TableConnection {
    /// The configuration of every connection.
    static func configuration(isReadOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(Double(EmbeddedLimits.busyMilliseconds) / 1_000)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA cache_size = -\(EmbeddedLimits.pageCacheKiB)")
            // Otherwise lists that a statement needs go to a file in /var/tmp, which may be full or not writable.
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
            guard !isReadOnly else { return }
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        return configuration
    }

    /// Opens a connection that writes, and whose transactions survive a power cut.
    static func openWriter(_ path: String) throws -> DatabaseQueue {
        let writer = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: false))
        try writer.inDatabase { database in
            // After opening, because GRDB sets it to NORMAL with WAL mode, and NORMAL may lose transactions in a power
            // cut.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            let isFull = try Int.fetchOne(database, sql: "PRAGMA synchronous") == 2
            let isWAL = try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal"
            if !isFull || !isWAL {
                throw EmbeddedError.table("SQLite does not take synchronous = FULL and WAL on \(path)")
            }
        }
        return writer
    }

    /// Runs `body`, and turns everything that GRDB throws into this target's error.
    static func translatingErrors<Value>(_ path: String, _ body: () throws -> Value) throws(EmbeddedError) -> Value {
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
