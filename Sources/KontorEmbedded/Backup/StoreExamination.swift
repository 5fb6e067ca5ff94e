// What the doctor looks at: everything about a store's directory that can be seen without a change to it.

import KontorCore

/// The facts about a store, and what is wrong with it. Each part that cannot be read is a problem, and the others are there.
public struct StoreExamination {
    public struct Segment: Equatable, Sendable {
        public let name: String
        public let bytes: Int
    }

    /// What lies in the directory.
    public struct Files: Equatable, Sendable {
        public private(set) var segments: [Segment] = []
        public private(set) var journalFormat: UInt32?
        /// The next segment's reserved file.
        public private(set) var spareBytes: Int?
        public private(set) var tableBytes = 0
        public private(set) var tableLogBytes = 0

        init() {}
    }

    /// What a start would do with the journal.
    public struct Replay: Equatable, Sendable {
        public let frames: Int
        public let records: Int
        public let bytes: Int
        /// A frame that is being written, or was when the process ended: never acknowledged. A start cuts it.
        public let tornBytes: Int

        public var estimatedMilliseconds: Int { bytes / EmbeddedLimits.replayBytesPerMillisecond }
    }

    /// The process that serves from the directory.
    public private(set) var owner: String?
    public private(set) var files = Files()
    /// The last frame that the table has.
    public private(set) var tablePosition: UInt64?
    public private(set) var tableFormat: UInt64?
    public private(set) var replay: Replay?
    public private(set) var census: RecordCensus?
    public private(set) var freeBytes: Int?
    /// Why a server cannot start on it, or could not have.
    public private(set) var problems: [EmbeddedError] = []

    /// What the journal wants to have free, so that it can go on.
    public static var reserveBytes: Int { EmbeddedLimits.segmentBytes + EmbeddedLimits.lastFrameBytes }
    /// From here the fold is behind.
    public static var urgentFoldBytes: Int { EmbeddedLimits.urgentFoldBytes }
    public static var formats: (journal: UInt32, table: Int64) { (SegmentHeader.formatVersion, SQLiteTable.formatVersion) }

    /// Looks at everything. Reads all records, so it takes as long as an audit; a server that runs does not notice, but for a
    /// checkpoint that waits.
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

    /// nil: it is not there (any more: its owner removes what it no longer needs).
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
        for sequence in try paths.segments(files) {
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
