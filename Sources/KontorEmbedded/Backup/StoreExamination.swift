// What the doctor reports: everything about a store's directory that can be seen without a change to it.

import KontorCore

/// The facts about a store, and what is wrong with it. A part that cannot be read becomes a problem, and the other
/// parts are there all the same.
public struct StoreExamination {
    /// A file of the journal.
    public struct Segment: Equatable, Sendable {
        /// The file's name.
        public let name: String
        /// The file's size.
        public let bytes: Int
    }

    /// The files in the directory.
    public struct Files: Equatable, Sendable {
        /// The journal's segments, oldest first.
        public private(set) var segments: [Segment] = []
        /// The format of the last segment; nil if no segment has a header.
        public private(set) var journalFormat: UInt32?
        /// The size of the next segment's reserved file; nil if there is none.
        public private(set) var spareBytes: Int?
        /// The size of the table.
        public private(set) var tableBytes = 0
        /// The size of the table's write-ahead log.
        public private(set) var tableLogBytes = 0

        init() {}
    }

    /// What a start would do with the journal.
    public struct Replay: Equatable, Sendable {
        /// The number of frames that the table does not have.
        public let frames: Int
        /// The number of changes in these frames.
        public let records: Int
        /// The size of these frames.
        public let bytes: Int
        /// The size of a frame that is being written, or was when the process ended. It was never acknowledged, and a
        /// start cuts it.
        public let tornBytes: Int

        /// How long the replay would take, roughly.
        public var estimatedMilliseconds: Int { bytes / EmbeddedLimits.replayBytesPerMillisecond }
    }

    /// The id of the process that serves from the directory; nil if none does.
    public private(set) var owner: String?
    /// The directory's files.
    public private(set) var files = Files()
    /// The last frame that the table has; nil if the table cannot be read.
    public private(set) var tablePosition: UInt64?
    /// The table's format; nil if the table cannot be read.
    public private(set) var tableFormat: UInt64?
    /// What a start would do; nil if the journal or the table cannot be read.
    public private(set) var replay: Replay?
    /// The store's records; nil if they cannot be read.
    public private(set) var census: RecordCensus?
    /// The room that is left on the file system; nil if it does not say.
    public private(set) var freeBytes: Int?
    /// Why a server cannot start on the directory, as far as that was found.
    public private(set) var problems: [EmbeddedError] = []

    /// The room that the journal needs for its next segment.
    public static var reserveBytes: Int { EmbeddedLimits.segmentBytes + EmbeddedLimits.lastFrameBytes }
    /// The size of a journal that is not folded from which the fold is behind.
    public static var urgentFoldBytes: Int { EmbeddedLimits.urgentFoldBytes }
    /// The formats that this release writes.
    public static var formats: (journal: UInt32, table: Int64) { (SegmentHeader.formatVersion, SQLiteSchema.formatVersion) }

    /// Looks at everything. Reads all records, so it takes as long as an audit. Of a server that runs, only the
    /// checkpoint waits.
    public init(of directory: String, files: any FileSystem = PosixFileSystem()) {
        var problems: [EmbeddedError] = []
        func look<Value>(_ body: () throws -> Value?) -> Value? {
            do { return try body() } catch {
                let problem = error as? EmbeddedError ?? .table("\(error)")
                if !problems.contains(problem) { problems.append(problem) }
                return nil
            }
        }
        owner = look { try files.owner(of: directory) }
        freeBytes = look { try files.freeBytes(directory) }
        if let seen = look({ try Files(directory, files) }) { self.files = seen }
        let snapshot = EmbeddedSnapshot(directory: directory, files: files)
        if let ahead = look({ try snapshot.replay() }) {
            (tableFormat, tablePosition) = (ahead.tableFormat, ahead.position)
            replay = Replay(frames: ahead.frames, records: ahead.records, bytes: ahead.bytes, tornBytes: ahead.tornBytes)
        }
        census = look {
            var counted = RecordCensus()
            try snapshot.forEach { key, record in counted.add(key, record) }
            return counted
        }
        self.problems = problems
    }

    /// Opens a file; nil if it is not there. The owner may have removed it since its name was read.
    fileprivate static func open(_ path: String, _ files: any FileSystem) throws(EmbeddedError) -> (any File)? {
        do throws(EmbeddedError) { return try files.open(path, .read) } catch {
            if error.isMissingFile { return nil }
            throw error
        }
    }
}

extension StoreExamination.Files {
    fileprivate init(_ directory: String, _ files: any FileSystem) throws(EmbeddedError) {
        let paths = JournalPaths(directory)
        let table = SQLiteTable.path(directory)
        tableBytes = try StoreExamination.open(table, files)?.size() ?? 0
        tableLogBytes = try StoreExamination.open(table + "-wal", files)?.size() ?? 0
        guard try files.exists(paths.directory) else { return }
        for sequence in try paths.list(files).segments {
            let path = paths.segment(sequence)
            guard let file = try StoreExamination.open(path, files) else { continue }
            let name = String(path.dropFirst(paths.directory.count + 1))
            segments.append(StoreExamination.Segment(name: name, bytes: try file.size()))
            let head = try file.read(at: 0, count: SegmentHeader.bytes)
            journalFormat = head.withUnsafeBytes { SegmentHeader.format(in: $0) } ?? journalFormat
        }
        spareBytes = try StoreExamination.open(paths.spare, files)?.size()
    }
}
