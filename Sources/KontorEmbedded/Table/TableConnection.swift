// Connections to SQLite: how they are configured, and what their errors are here.

import GRDB
import GRDBSQLite

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Opens connections as the table needs them.
enum TableConnection {
    /// The configuration of every connection.
    ///
    /// - Parameter isExclusive: the connection keeps the table locked, and its log's index in memory. It then needs no
    ///   room for the index's file.
    static func configuration(
        isReadOnly: Bool, isExclusive: Bool = false, pageCacheBytes: Int = EmbeddedLimits.pageCacheBytes
    ) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(Double(EmbeddedLimits.busyMilliseconds) / 1_000)
        configuration.prepareDatabase { database in
            // Before anything is read: what the first read finds stays.
            if isExclusive { try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE") }
            try database.execute(sql: "PRAGMA cache_size = -\(pageCacheBytes >> 10)")
            // Otherwise lists that a statement needs go to a file in /var/tmp, which may be full or not writable.
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
            guard !isReadOnly else { return }
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        return configuration
    }

    /// Opens a connection that writes, and whose transactions survive a power cut.
    static func openWriter(_ path: String, isExclusive: Bool, pageCacheBytes: Int) throws -> DatabaseQueue {
        let configuration = configuration(isReadOnly: false, isExclusive: isExclusive, pageCacheBytes: pageCacheBytes)
        let writer = try DatabaseQueue(path: path, configuration: configuration)
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

    /// The file that a connection writes.
    enum Written {
        case log, table

        /// The errno of the last call on the file that failed; 0 if none has. SQLite keeps that of a commit nowhere
        /// else.
        fileprivate func lastCode(_ database: Database) -> CInt {
            let operation = self == .log ? SQLITE_FCNTL_JOURNAL_POINTER : SQLITE_FCNTL_FILE_POINTER
            var file: UnsafeMutablePointer<sqlite3_file>?
            var code: CInt = 0
            guard sqlite3_file_control(database.sqliteConnection, nil, operation, &file) == SQLITE_OK, let file,
                let control = file.pointee.pMethods?.pointee.xFileControl,
                control(file, SQLITE_FCNTL_LAST_ERRNO, &code) == SQLITE_OK
            else { return 0 }
            return code
        }
    }

    /// Runs `body` on a connection, and turns everything that is thrown into this target's error.
    static func use<Value>(
        _ connection: DatabaseQueue, _ path: String, writing written: Written = .log, _ body: (Database) throws -> Value
    ) throws(EmbeddedError) -> Value {
        var code: CInt = 0
        return try translatingErrors(path, systemCode: code) {
            try connection.inDatabase { database in
                do { return try body(database) } catch {
                    code = sqlite3_system_errno(database.sqliteConnection)
                    if code == 0 { code = written.lastCode(database) }
                    throw error
                }
            }
        }
    }

    /// Runs `body`, and turns everything that GRDB throws into this target's error.
    ///
    /// - Parameter systemCode: the errno of the call that failed, looked at afterwards; 0 if it is not known.
    static func translatingErrors<Value>(
        _ path: String, systemCode: @autoclosure () -> CInt = 0, _ body: () throws -> Value
    ) throws(EmbeddedError) -> Value {
        do {
            return try body()
        } catch let error as EmbeddedError {
            throw error
        } catch let error as DatabaseError {
            throw translated(error, path, systemCode())
        } catch {
            throw .table("\(error)")
        }
    }

    /// What SQLite's error means here. A sync that failed is none that passes, whatever its errno is: nobody knows what
    /// it has written.
    static func translated(_ error: DatabaseError, _ path: String, _ systemCode: CInt) -> EmbeddedError {
        switch error.extendedResultCode {
        case .SQLITE_FULL: return .diskFull(path: path)
        case .SQLITE_NOMEM, .SQLITE_IOERR_NOMEM: return .system(call: "SQLite", path: path, code: ENOMEM)
        case .SQLITE_IOERR_FSYNC, .SQLITE_IOERR_DIR_FSYNC: return .table("\(error)")
        default: break
        }
        switch (error.resultCode, systemCode) {
        case (.SQLITE_BUSY, _), (.SQLITE_LOCKED, _), (.SQLITE_PROTOCOL, _): return .busy(path: path)
        case (.SQLITE_IOERR, ENOSPC), (.SQLITE_IOERR, EDQUOT), (.SQLITE_CANTOPEN, ENOSPC), (.SQLITE_CANTOPEN, EDQUOT):
            return .diskFull(path: path)
        case (.SQLITE_IOERR, EMFILE), (.SQLITE_IOERR, ENFILE), (.SQLITE_IOERR, ENOMEM), (.SQLITE_CANTOPEN, EMFILE),
            (.SQLITE_CANTOPEN, ENFILE), (.SQLITE_CANTOPEN, ENOMEM):
            return .system(call: "SQLite", path: path, code: systemCode)
        default: return .table("\(error)")
        }
    }
}
