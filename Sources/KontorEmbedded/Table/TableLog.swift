// SQLite's write-ahead log after a sync of it may have failed: it is written to a new file before it is used again.

/// The log beside a table, and whether it is to be trusted.
///
/// A failed sync ends the process. The next one would find the log's last transaction in the page cache, believe it,
/// and checkpoint it; if the power fails during that checkpoint, the disk has a part of the new pages and no log that
/// makes them whole. So whoever sees a write fail leaves a mark. It is seen as long as the page cache lives, and after
/// that nobody needs it.
struct TableLog {
    private let table: String
    private let files = PosixFileSystem()

    /// The byte of the index that every connection to the table has locked (`UNIX_SHM_DMS` of SQLite's os_unix.c).
    private static let connectedByte = 128
    private static let chunkBytes = 1 << 20

    private var log: String { table + "-wal" }
    private var index: String { table + "-shm" }
    private var mark: String { table + "-distrusted" }

    /// - Parameter table: the table's file.
    init(_ table: String) { self.table = table }

    /// Runs `body`, which writes, and leaves the mark if it fails for good.
    func watching<Value>(_ body: () throws(EmbeddedError) -> Value) throws(EmbeddedError) -> Value {
        do throws(EmbeddedError) { return try body() } catch {
            // A disk on which no file can be made has lost its page cache before Kontor starts on it again.
            if !error.passes { _ = try? files.open(mark, .create) }
            throw error
        }
    }

    /// Writes the log to a new file, if the mark is there. Without room for that the mark stays.
    ///
    /// - Throws: `busy` if another process reads the table: it must go on with the log that it has.
    func renewIfDistrusted() throws(EmbeddedError) {
        guard try files.exists(mark) else { return }
        do throws(EmbeddedError) {
            if try files.exists(log) { try renew() }
            try files.remove(mark)
        } catch .diskFull {
            return
        }
    }

    private func renew() throws(EmbeddedError) {
        var lock: (any File)?
        if try files.exists(index) {
            lock = try files.lockByte(Self.connectedByte, of: index)
            if lock == nil { throw .busy(path: table) }
        }
        let new = log + ".new"
        let source = try files.open(log, .read)
        let target = try files.open(new, .create)
        var offset = 0
        while true {
            let bytes = try source.read(at: offset, count: Self.chunkBytes)
            if bytes.isEmpty { break }
            try target.append(bytes)
            offset += bytes.count
        }
        try target.sync()
        try files.rename(new, to: log)
        try files.syncDirectory(table.parentDirectory)
        withExtendedLifetime(lock) {}
    }
}
