// How a store starts: lock the directory, open the table, read its open work, replay the journal behind it, and begin a
// new segment without a torn end.

import KontorCore
import KontorService

/// What a start found and did.
public struct StartReport: Sendable, Equatable {
    /// Changes in the journal that the table did not have.
    public var recordsReplayed = 0
    /// The size of the frames with these changes.
    public var bytesReplayed = 0
    /// The size of a frame that was being written when the last process ended: it was never acknowledged, and is gone.
    public var tornBytesCut = 0
    /// Whether the store was made by this start.
    public var isNew = false
    /// Whether the disk has no room for a segment of the journal: until there is some, the store only reads.
    public var isReadOnly = false
    /// Records of open work in memory.
    public var openWorkRecords = 0
    /// How many of the changes that were replayed are of idempotency keys.
    public var expiringReplayed = 0
    /// How long the start took.
    public var milliseconds = 0
}

extension EmbeddedStore {
    /// Opens a directory's store, or makes a new one if the directory is new or empty. Blocks.
    ///
    /// - Parameters:
    ///   - directory: is made if it is not there; what it lies in must be.
    ///   - options: sizes and bounds.
    ///   - lanes: where blocking work goes from now on.
    ///   - random: names this process and a new store.
    ///   - files: the disk.
    ///   - tables: opens the directory's table, or makes it.
    ///   - metrics: what the store counts.
    ///   - events: told what an operator should see; nil: nobody is.
    /// - Throws: `inUse` if another process has it; `foreign` for a directory that has other files and no store;
    ///   `damage` and `newerFormat` with the file that an operator must look at; `unfinishedRestore`; `diskFull`,
    ///   `system` and `table` as they come.
    public static func open(
        _ directory: String, options: EmbeddedOptions = EmbeddedOptions(), lanes: any Lanes, random: any RandomSource,
        files: any FileSystem = PosixFileSystem(), tables: TableOpener = SQLiteTable.opener,
        metrics: StoreMetrics = StoreMetrics(), events: (any EventLog)? = nil
    ) throws(EmbeddedError) -> EmbeddedStore {
        try StoreDirectory(directory, files).check()
        try files.createDirectory(directory)
        let lock = try files.lock(directory)
        do throws(EmbeddedError) {
            let start = StoreStart(directory: directory, options: options, files: files, tables: tables)
            let ports = StorePorts(lanes: lanes, metrics: metrics, events: events)
            return EmbeddedStore(try start.run(random), options, lock, ports)
        } catch {
            lock.release()
            throw error
        }
    }
}

/// What a start hands to the store.
struct StartedStore {
    let cache: RecordCache
    let table: any FoldedTable
    let writer: JournalWriter
    let worker: FoldWorker
    /// The last frame of the journal.
    let lastSequence: UInt64
    let expiringInTable: Int
    /// Whether the table's lists are complete.
    let isListed: Bool
    /// The last frame that was replayed; 0: none was.
    let lastReplayed: UInt64
    /// Why there is no room for the journal's next segment; nil if there is.
    let reserveFailure: EmbeddedError?
    let report: StartReport
}

/// The steps of a start.
private struct StoreStart {
    let directory: String
    let options: EmbeddedOptions
    let files: any FileSystem
    let tables: TableOpener
    var paths: JournalPaths { JournalPaths(directory) }

    func run(_ random: any RandomSource) throws(EmbeddedError) -> StartedStore {
        let clock = ContinuousClock()
        let began = clock.now
        let found = try findOrCreate(random)
        let position = try found?.position() ?? 0
        let cache = RecordCache(bound: options.cacheRecords, foldedThrough: position, nonce: random.next() | 1)
        var report = StartReport()
        if let found { try loadOpenWork(found, into: cache) }
        let end = try replay(behind: position, storeID: try found?.storeID(), into: cache, &report)
        let table: any FoldedTable
        if let found { table = found } else { table = try tables.create(directory, end.storeID) }
        report.tornBytesCut = end.tornBytes
        report.openWorkRecords = cache.openWorkRecords
        let writer = try JournalWriter(files: files, paths: paths, end: end, segmentBytes: options.segmentBytes)
        let reserveFailure = writer.reserve()
        if let reserveFailure, !writer.hasBegun {
            guard reserveFailure.passes else { throw reserveFailure }
            try writer.renewLastFrame()
        }
        report.isReadOnly = !writer.hasBegun
        report.isNew = found == nil
        let worker = FoldWorker(
            files: files, paths: paths, table: table, from: end.start, sliceBytes: options.foldSliceBytes,
            trailMilliseconds: options.trailMilliseconds)
        report.milliseconds = Int((clock.now - began) / .milliseconds(1))
        return StartedStore(
            cache: cache, table: table, writer: writer, worker: worker, lastSequence: end.lastSequence,
            expiringInTable: try table.expiringCount(), isListed: try table.isListed(),
            lastReplayed: report.recordsReplayed == 0 ? 0 : end.lastSequence, reserveFailure: reserveFailure, report: report)
    }

    /// The table; nil if there is none, because the directory is new. A new directory gets its journal first and then
    /// its table, so a table without a journal means that the journal was lost.
    private func findOrCreate(_ random: any RandomSource) throws(EmbeddedError) -> (any FoldedTable)? {
        try files.createDirectory(paths.directory)
        try files.syncDirectory(directory)
        try files.syncDirectory(directory + "/..")
        if try files.exists(paths.spare) { try files.remove(paths.spare) }
        if try files.exists(StoreRestore.marker(directory)) { throw .unfinishedRestore(directory: directory) }
        let table = try tables.open(directory)
        guard try paths.list(files) == JournalPaths.Listing() else { return table }
        if table != nil {
            throw .damage(file: paths.directory, offset: 0, reason: "the journal is gone, and the table is not new")
        }
        try JournalWriter.create(files: files, paths: paths, storeID: random.next())
        return nil
    }

    private func loadOpenWork(_ table: any FoldedTable, into cache: RecordCache) throws(EmbeddedError) {
        do {
            try table.forEachOpenWork { key, value in
                cache.restore(try RecordKey(decoding: key[...]), try Record(stored: value), sequence: 0)
            }
        } catch let error as EmbeddedError {
            throw error
        } catch {
            throw .table("open work does not decode: \(error)")
        }
    }

    private func replay(
        behind position: UInt64, storeID: UInt64?, into cache: RecordCache, _ report: inout StartReport
    ) throws(EmbeddedError) -> JournalEnd {
        let reader = JournalReader(files: files, paths: paths)
        let end = try reader.read(behind: position, storeID: storeID) { frame, bytes, path throws(EmbeddedError) in
            try frame.forEachChange(in: bytes, path) { key, record in
                cache.restore(key, record, sequence: frame.sequence)
                if key.member.isExpiring { report.expiringReplayed += 1 }
                report.recordsReplayed += 1
            }
            report.bytesReplayed += frame.end - frame.start
        }
        guard let end else { throw .damage(file: paths.directory, offset: 0, reason: "the journal is gone") }
        return end
    }
}
