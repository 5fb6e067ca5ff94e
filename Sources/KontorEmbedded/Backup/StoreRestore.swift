// Makes a new store from a backup. Until it is whole its directory has a file that keeps servers from starting on it.

import KontorCore
import KontorService

/// Makes a store in a new or empty directory.
public struct StoreRestore {
    private let path: String
    private let files: any FileSystem
    private let tables: TableOpener

    /// The file that stands in a directory while its store is not whole.
    static func marker(_ directory: String) -> String { directory + "/restoring" }

    /// - Parameters:
    ///   - path: the backup's file.
    ///   - files: the disk.
    ///   - tables: makes the new store's table.
    public init(from path: String, files: any FileSystem = PosixFileSystem(), tables: TableOpener = SQLiteTable.opener) {
        self.path = path
        self.files = files
        self.tables = tables
    }

    /// Reads the whole backup, and makes no store.
    ///
    /// - Throws: `damage` and `newerFormat`, with the place.
    public func check() throws(EmbeddedError) -> BackupReport { try BackupReader(path, files).check() }

    /// Checks the backup, then writes the store. A crash leaves the directory as it was, or with an unfinished restore
    /// (no server starts on it, and the restore can be run again), or with the whole store.
    ///
    /// - Parameters:
    ///   - directory: is new, empty, or has an unfinished restore.
    ///   - random: names the new store.
    /// - Returns: what the backup contains.
    /// - Throws: `notEmpty`, `inUse`, `diskFull`; `damage` and `newerFormat` for the backup.
    public func run(to directory: String, random: any RandomSource) throws(EmbeddedError) -> BackupReport {
        let reader = try BackupReader(path, files)
        let report = try reader.check()
        try files.createDirectory(directory)
        let lock = try takeEmpty(directory)
        defer { lock.release() }
        try files.syncDirectory(directory.parentDirectory)
        let storeID = random.next()
        try mark(directory)
        try clear(directory)
        try writeTable(reader, directory, storeID, isListed: report.census.isListed)
        // The journal last: a table without one is refused too.
        let paths = JournalPaths(directory)
        try files.createDirectory(paths.directory)
        try JournalWriter.create(files: files, paths: paths, storeID: storeID)
        try files.syncDirectory(directory)
        try files.remove(Self.marker(directory))
        try files.syncDirectory(directory)
        return report
    }

    /// Locks a directory that is empty. Looks before that, because the lock is a file in it, and again afterwards,
    /// because another process may have been faster.
    private func takeEmpty(_ directory: String) throws(EmbeddedError) -> any DirectoryLock {
        try checkEmpty(directory)
        let lock = try files.lock(directory)
        do throws(EmbeddedError) {
            try checkEmpty(directory)
            return lock
        } catch {
            lock.release()
            throw error
        }
    }

    private func checkEmpty(_ directory: String) throws(EmbeddedError) {
        if try files.exists(Self.marker(directory)) { return }
        if let name = try StoreDirectory(directory, files).foreignName() {
            throw .notEmpty(directory: directory, name: name)
        }
    }

    private func mark(_ directory: String) throws(EmbeddedError) {
        try files.open(Self.marker(directory), .create).sync()
        try files.syncDirectory(directory)
    }

    /// Removes what an unfinished restore has left.
    private func clear(_ directory: String) throws(EmbeddedError) {
        let paths = JournalPaths(directory)
        if try files.exists(paths.directory) {
            for name in try files.list(paths.directory) { try files.remove(paths.directory + "/" + name) }
        }
        let table = SQLiteTable.path(directory)
        for path in [table, table + "-wal", table + "-shm"] where try files.exists(path) { try files.remove(path) }
    }

    /// Writes the records to a new table, a frame in each transaction. The position stays 0: the new store's journal is
    /// empty.
    ///
    /// - Parameter isListed: whether the backup has complete lists. If not, the first server makes them.
    private func writeTable(
        _ reader: BackupReader, _ directory: String, _ storeID: UInt64, isListed: Bool
    ) throws(EmbeddedError) {
        let table = try tables.create(directory, storeID)
        defer { table.close() }
        if !isListed { try table.forgetLists() }
        var uncheckpointedBytes = 0
        try reader.forEachFrame { frame, bytes throws(EmbeddedError) in
            try table.apply(FoldSlice(bytes: bytes, changes: FoldWorker.coalesce([frame], bytes), through: 0))
            uncheckpointedBytes += bytes.count
            guard uncheckpointedBytes >= EmbeddedLimits.checkpointBytes else { return }
            uncheckpointedBytes = 0
            // A reader in the way costs only room. The last checkpoint must succeed.
            _ = try table.checkpoint()
        }
        guard try table.checkpoint() else { throw .table("somebody reads it: run the restore again") }
    }
}
