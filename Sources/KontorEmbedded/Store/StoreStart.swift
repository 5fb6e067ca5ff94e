// How a store starts: lock the directory, open the table, read its open work, replay the journal's tail, cut a torn end.

import KontorCore
import KontorService

/// What a start found and did.
public struct StartReport: Sendable, Equatable {
    /// Changes in the journal behind the table's position.
    public var recordsReplayed = 0
    public var bytesReplayed = 0
    /// Of a frame that was being written when the process ended; it was never acknowledged.
    public var tornBytesCut = 0
    public var openWorkRecords = 0
    /// Of the records replayed: idempotency keys.
    public var expiringReplayed = 0
    public var milliseconds = 0
}

extension EmbeddedStore {
    struct Parts {
        let options: EmbeddedOptions
        let lanes: any Lanes
        let table: any FoldedTable
        let writer: JournalWriter
        let folder: JournalFolder
        let lock: any DirectoryLock
        let memory: StartMemory
        let nonce: UInt64
        let lastSequence: UInt64
        let foldedThrough: UInt64
        let expiring: ExpiringRecords
        let reserveFailure: EmbeddedError?
        let report: StartReport
    }

    /// Opens a directory's store, or makes a new one if the directory is new or empty. Blocks.
    ///
    /// - Parameters:
    ///   - random: names this process and a new store.
    ///   - lanes: where blocking work goes from now on.
    ///   - events: told what an operator should see.
    /// - Throws: `inUse` if another process has it; `damage` and `newerFormat` with the file that an operator must look at.
    public static func open(
        _ directory: String, options: EmbeddedOptions = EmbeddedOptions(), lanes: any Lanes, random: any RandomSource,
        files: any FileSystem = PosixFileSystem(), tables: TableOpener = SQLiteTable.opener,
        metrics: StoreMetrics = StoreMetrics(), events: (any EventLog)? = nil
    ) throws(EmbeddedError) -> EmbeddedStore {
        try files.createDirectory(directory)
        let lock = try files.lock(directory)
        do throws(EmbeddedError) {
            let start = Start(directory: directory, options: options, files: files, tables: tables)
            return EmbeddedStore(try start.run(lanes, random, lock), metrics: metrics, events: events)
        } catch {
            lock.release()
            throw error
        }
    }
}

/// The memory that a start fills.
struct StartMemory {
    let slots: SlotTable
    var openWork = OpenWorkIndex()
    var versionCounter: UInt64 = 0

    /// Takes a record as the table (`sequence` 0) or a frame has it; later ones replace earlier ones.
    mutating func put(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
        let isOpenWork = key.member.isOpenWork
        if let index = slots.find(key.group, key.member) {
            let slot = slots.pointer(index)
            if isOpenWork && record == nil {
                openWork.remove(index, in: slots)
                return slots.remove(index)
            }
            slot.pointee.record = record
            slot.pointee.sequence = sequence
            slot.pointee.existsBelow = record != nil
        } else if !isOpenWork || record != nil {
            let index = slots.insert(key, record, existsBelow: record != nil)
            let slot = slots.pointer(index)
            slot.pointee.sequence = sequence
            if isOpenWork { openWork.add(index, in: slots) }
            if key.member == .head {
                versionCounter += 1
                slot.pointee.version = versionCounter
            }
        }
    }
}

/// The steps of a start.
private struct Start {
    let directory: String
    let options: EmbeddedOptions
    let files: any FileSystem
    let tables: TableOpener
    var paths: JournalPaths { JournalPaths(directory) }

    func run(
        _ lanes: any Lanes, _ random: any RandomSource, _ lock: any DirectoryLock
    ) throws(EmbeddedError) -> EmbeddedStore.Parts {
        let clock = ContinuousClock()
        let began = clock.now
        let found = try findOrCreate(random)
        let position = try found?.position() ?? 0
        var memory = StartMemory(slots: SlotTable())
        var report = StartReport()
        if let found { try loadOpenWork(found, &memory) }
        let end = try replay(behind: position, storeID: try found?.storeID(), &memory, &report)
        let table: any FoldedTable
        if let found { table = found } else { table = try tables.create(directory, end.storeID) }
        try cutTornTail(end, storeID: try table.storeID())
        report.tornBytesCut = end.tornBytes
        report.openWorkRecords = memory.openWork.count
        let writer = try JournalWriter(
            files: files, paths: paths, storeID: end.storeID,
            end: (end.segment, max(end.goodBytes, SegmentHeader.bytes)), segmentBytes: options.segmentBytes)
        let folder = JournalFolder(
            files: files, paths: paths, table: table, from: end.start, sliceBytes: options.foldSliceBytes)
        report.milliseconds = Int((clock.now - began) / .milliseconds(1))
        return EmbeddedStore.Parts(
            options: options, lanes: lanes, table: table, writer: writer, folder: folder, lock: lock, memory: memory,
            nonce: random.next() | 1, lastSequence: end.lastSequence, foldedThrough: position,
            expiring: ExpiringRecords(inTable: try table.expiringCount(), inJournal: report.expiringReplayed),
            reserveFailure: writer.reserve(), report: report)
    }

    /// The table if there is one. A new directory gets its journal first, then its table: a table without a journal has
    /// lost it.
    private func findOrCreate(_ random: any RandomSource) throws(EmbeddedError) -> (any FoldedTable)? {
        try files.createDirectory(paths.directory)
        try files.syncDirectory(directory)
        try files.syncDirectory(directory + "/..")
        if try files.exists(paths.spare) { try files.remove(paths.spare) }
        if try files.exists(StoreRestore.marker(directory)) { throw .unfinishedRestore(directory: directory) }
        let table = try tables.open(directory)
        guard try paths.segments(files).isEmpty else { return table }
        if table != nil {
            throw .damage(file: paths.directory, offset: 0, reason: "the journal is gone, and the table is not new")
        }
        try JournalWriter.create(files: files, paths: paths, storeID: random.next())
        return nil
    }

    private func loadOpenWork(_ table: any FoldedTable, _ memory: inout StartMemory) throws(EmbeddedError) {
        do {
            try table.forEachOpenWork { key, value in
                memory.put(try RecordKey(decoding: key[...]), try Record(stored: value), sequence: 0)
            }
        } catch let error as EmbeddedError {
            throw error
        } catch {
            throw .table("open work does not decode: \(error)")
        }
    }

    private func replay(
        behind position: UInt64, storeID: UInt64?, _ memory: inout StartMemory, _ report: inout StartReport
    ) throws(EmbeddedError) -> JournalEnd {
        let reader = JournalReader(files: files, paths: paths)
        let end = try reader.read(behind: position, storeID: storeID) { frame, bytes, path throws(EmbeddedError) in
            try frame.forEachChange(in: bytes, path) { key, record in
                memory.put(key, record, sequence: frame.sequence)
                if key.member.isExpiring { report.expiringReplayed += 1 }
                report.recordsReplayed += 1
            }
            report.bytesReplayed += frame.end - frame.start
        }
        guard let end else { throw .damage(file: paths.directory, offset: 0, reason: "the journal is gone") }
        return end
    }

    /// Also syncs what a killed process had written and not synced: from now on it is built upon.
    private func cutTornTail(_ end: JournalEnd, storeID: UInt64) throws(EmbeddedError) {
        let file = try files.open(paths.segment(end.segment), .append)
        if end.tornBytes > 0 { try file.truncate(to: end.goodBytes) }
        if end.goodBytes == 0 {
            try file.append(SegmentHeader(storeID: storeID, firstSequence: end.segment).encoded())
        }
        try file.sync()
        try files.syncDirectory(paths.directory)
    }
}
