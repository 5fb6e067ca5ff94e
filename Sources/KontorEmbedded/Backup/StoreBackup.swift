// Writes a backup: one moment of a store, running or not, as one file. StoreRestore makes a store of it again.

import KontorCore

/// Why there is no backup.
public enum BackupError: Error, CustomStringConvertible {
    /// The store could not be read.
    case store(any Error)
    /// The file could not be written.
    case file(EmbeddedError)

    /// The sentence that an operator reads.
    public var description: String {
        switch self {
        case .store(let error): "the store cannot be read: \(error)"
        case .file(let error): "the backup cannot be written: \(error)"
        }
    }
}

/// What a backup contains.
public struct BackupReport: Equatable, Sendable {
    /// Its records.
    public let census: RecordCensus
    /// The file's size.
    public let bytes: Int
}

/// A backup's file. It is a segment of a journal with the whole store: frames 1, 2, ... with the records, sorted by
/// their keys' bytes, and at the end an empty frame, which shows that nothing is missing. It has no store's id, because
/// a store that is restored from it is a new one. Two backups of the same records are the same bytes.
public struct StoreBackup {
    /// Stands for a store's id.
    static let storeID: UInt64 = 0

    private let files: any FileSystem
    private let path: String

    /// - Parameters:
    ///   - path: the backup's file, which must not be there yet.
    ///   - files: the disk.
    public init(to path: String, files: any FileSystem = PosixFileSystem()) {
        self.path = path
        self.files = files
    }

    /// Writes the backup under another name, syncs it, reads it back, and only then gives it its name. A crash leaves
    /// no file of that name, or the whole backup.
    ///
    /// - Parameter directory: the store's.
    /// - Returns: what was read back.
    public func write(of directory: String) throws(BackupError) -> BackupReport {
        let partial = path + ".partial"
        let file = try onFile { () throws(EmbeddedError) in
            if try files.exists(path) { throw .exists(path: path) }
            return try files.open(partial, .createNew)
        }
        do throws(BackupError) {
            let written = try write(directory, to: file)
            return try onFile { () throws(EmbeddedError) in
                let report = try BackupReader(partial, files).check()
                if report.census != written {
                    throw .damage(file: partial, offset: 0, reason: "it was read back with other records than were written")
                }
                try files.rename(partial, to: path)
                try files.syncDirectory(path.parentDirectory)
                return report
            }
        } catch {
            try? files.remove(partial)
            throw error
        }
    }

    private func write(_ directory: String, to file: any File) throws(BackupError) -> RecordCensus {
        var writer = BackupWriter(file: file)
        do {
            try onFile { () throws(EmbeddedError) in try writer.begin() }
            try EmbeddedSnapshot(directory: directory, files: files).forEach { key, record in
                try onFile { () throws(EmbeddedError) in try writer.add(key, record) }
            }
            try onFile { () throws(EmbeddedError) in try writer.end() }
            return writer.census
        } catch {
            throw error as? BackupError ?? .store(error)
        }
    }

    private func onFile<Value>(_ body: () throws(EmbeddedError) -> Value) throws(BackupError) -> Value {
        do { return try body() } catch { throw .file(error) }
    }
}

/// Writes records in frames of bounded size.
private struct BackupWriter {
    let file: any File
    private(set) var census = RecordCensus()
    private var changes: [JournalChange] = []
    private var changeBytes = 0
    private var sequence: UInt64 = 1

    init(file: any File) { self.file = file }

    func begin() throws(EmbeddedError) {
        try file.append(SegmentHeader(storeID: StoreBackup.storeID, firstSequence: sequence).encoded())
    }

    mutating func add(_ key: RecordKey, _ record: Record) throws(EmbeddedError) {
        census.add(key, record)
        changes.append(JournalChange(key: key, record: record))
        changeBytes += key.encodedBytesAtMost + record.encodedBytesAtMost
        if changeBytes >= EmbeddedLimits.backupFrameBytes { try writeFrame() }
    }

    mutating func end() throws(EmbeddedError) {
        if !changes.isEmpty { try writeFrame() }
        try writeFrame()
        try file.sync()
    }

    private mutating func writeFrame() throws(EmbeddedError) {
        try file.append(JournalFrame.encoded(changes, sequence: sequence))
        sequence += 1
        changes.removeAll(keepingCapacity: true)
        changeBytes = 0
    }
}

extension String {
    /// The directory that a path's last name is in; "." if the path is only a name.
    var parentDirectory: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }
}
