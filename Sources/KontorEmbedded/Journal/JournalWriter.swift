// The writing end of the journal: one write and one sync for each frame. The next segment is made and reserved ahead,
// so that a full disk is noticed while there is still room for work that has begun. A start writes to a new file.

import CoreMetrics
import KontorCore

/// Appends frames to the journal's last segment. `@unchecked Sendable`: only the journal lane uses it.
final class JournalWriter: @unchecked Sendable {
    /// What one append did.
    struct Report: Sendable {
        /// The frame's size.
        let bytes: Int
        /// Whether the reserved segment was taken: then another must be reserved.
        let isSpareTaken: Bool
    }

    private let files: any FileSystem
    private let paths: JournalPaths
    private let end: JournalEnd
    private let segmentBytes: Int
    /// The journal's directory, open since the start: the next segment must not need a descriptor when connections may
    /// have taken all of them.
    private let directory: any Directory
    /// The last segment; nil until ``begin()``.
    private var file: (any File)?
    /// The size of the last segment.
    private var size = 0
    /// The segment that is named the newest; nil if none is.
    private var newest: UInt64?
    /// Whether room is reserved for the rest of the last segment.
    private var isReserved = false
    /// The next segment's file, with its room; nil if it is not reserved yet.
    private var spare: (any File)?
    /// The first failure. Nothing is written after it: nobody knows what a failed sync has written, and if it is
    /// repeated the kernel reports success, although it has dropped the pages (see "fsyncgate", 2018).
    private var failure: EmbeddedError?

    /// - Parameter end: where the journal ends.
    init(files: any FileSystem, paths: JournalPaths, end: JournalEnd, segmentBytes: Int) throws(EmbeddedError) {
        self.files = files
        self.paths = paths
        self.end = end
        self.segmentBytes = segmentBytes
        directory = try files.openDirectory(paths.directory)
        newest = try paths.list(files).newest
    }

    /// Whether frames can be appended.
    var hasBegun: Bool { file != nil }

    /// Begins a new segment with the journal's last frame, which is all of the journal that may not be on the disk: it
    /// was read, perhaps from the page cache, and perhaps its sync has failed. Nothing is ever appended to the segment
    /// before, whose pages are not to be trusted: Linux marks them clean after a failed sync, so that a second sync
    /// succeeds and writes nothing. If this fails nothing is lost, and it may be tried again.
    func begin() throws(EmbeddedError) {
        guard file == nil else { return }
        let isEmpty = end.lastFrame.isEmpty
        let first = isEmpty ? end.lastSequence + 1 : end.lastSequence
        let bytes = SegmentHeader(storeID: end.storeID, firstSequence: first).encoded() + end.lastFrame
        let next = try reserved(paths.spare, bytes.count)
        try next.append(bytes)
        try next.sync()
        try name(first)
        if first != end.segment {
            // Without the frame that has moved, and what was torn behind it. The reader would pass over both; the room
            // that is reserved behind the end comes back.
            try files.open(paths.segment(end.segment), .append).truncate(to: end.goodBytes - end.lastFrame.count)
        }
        file = next
        size = bytes.count
    }

    /// Writes the journal's last frame over itself, and syncs it: for a start that has no room to begin a segment with
    /// it. Whoever reads from then on is told only what is on the disk: the bytes count as changed, whatever became of
    /// them before.
    func renewLastFrame() throws(EmbeddedError) {
        if end.lastFrame.isEmpty { return }
        let segment = try files.open(paths.segment(end.segment), .overwrite)
        try segment.overwrite(at: end.goodBytes - end.lastFrame.count, end.lastFrame)
        try segment.sync()
    }

    /// Writes one frame and syncs it. Then goes on to the next segment, if this one is full and the next one is
    /// reserved.
    ///
    /// - Parameter syncSeconds: records how long the sync took.
    func append(
        _ changes: [JournalChange], sequence: UInt64, syncSeconds: CoreMetrics.Timer? = nil
    ) -> Result<Report, EmbeddedError> {
        if let failure { return .failure(failure) }
        do throws(EmbeddedError) {
            guard let file else { preconditionFailure("A frame is written before the journal's segment has begun.") }
            let bytes = JournalFrame.encoded(changes, sequence: sequence)
            try file.append(bytes)
            let start = ContinuousClock.now
            try file.sync()
            syncSeconds?.recordNanoseconds(since: start)
            size += bytes.count
            let isTaken = try rotateIfFull(next: sequence + 1)
            return .success(Report(bytes: bytes.count, isSpareTaken: isTaken))
        } catch {
            failure = error
            return .failure(error)
        }
    }

    /// Begins the segment if that has failed so far, and reserves room for its rest and for the next one. May be tried
    /// again.
    ///
    /// - Returns: why there is no room, so that new work must not begin; nil if there is.
    func reserve() -> EmbeddedError? {
        if let failure { return failure }
        do throws(EmbeddedError) {
            try begin()
            let room = segmentBytes + EmbeddedLimits.lastFrameBytes
            if !isReserved, let file {
                try checkRoom(room - size)
                try Self.reserve(room, for: file)
            }
            isReserved = true
            guard spare == nil else { return nil }
            try checkRoom(room)
            spare = try reserved(paths.spare, room)
            return nil
        } catch {
            return error
        }
    }

    /// Throws if the file system says that it has not so much room: then nothing is reserved that others could use.
    private func checkRoom(_ bytes: Int) throws(EmbeddedError) {
        if try files.freeBytes(paths.directory) < bytes { throw .diskFull(path: paths.directory) }
    }

    /// Makes a file with room for so many bytes.
    private func reserved(_ path: String, _ bytes: Int) throws(EmbeddedError) -> any File {
        let file = try files.open(path, .create)
        try Self.reserve(bytes, for: file)
        return file
    }

    /// Reserves room for a file, or none: what a reservation got before it failed is given back.
    private static func reserve(_ bytes: Int, for file: any File) throws(EmbeddedError) {
        do throws(EmbeddedError) { try file.reserve(bytes) } catch {
            try file.truncate(to: try file.size())
            throw error
        }
    }

    /// Goes on to the next segment, if this one is full and the next one is reserved. The new segment gets its name
    /// only once its header is durable: a segment that is not the last is whole.
    ///
    /// - Returns: whether it went on.
    private func rotateIfFull(next sequence: UInt64) throws(EmbeddedError) -> Bool {
        guard size >= segmentBytes, let next = spare else { return false }
        try next.append(SegmentHeader(storeID: end.storeID, firstSequence: sequence).encoded())
        try next.sync()
        try name(sequence)
        file = next
        size = SegmentHeader.bytes
        spare = nil
        return true
    }

    /// Gives the spare its name as a segment, and then says that it is the newest. In this order: what is named the
    /// newest is there. Needs no descriptor, unless no segment was named so far.
    private func name(_ first: UInt64) throws(EmbeddedError) {
        try files.rename(paths.spare, to: paths.segment(first))
        try directory.sync()
        if let newest {
            if newest != first { try files.rename(paths.newest(newest), to: paths.newest(first)) }
        } else {
            _ = try files.open(paths.newest(first), .create)
        }
        newest = first
        try directory.sync()
    }

    /// Makes the first segment of a new journal, without frames.
    static func create(files: any FileSystem, paths: JournalPaths, storeID: UInt64) throws(EmbeddedError) {
        let file = try files.open(paths.spare, .create)
        try file.append(SegmentHeader(storeID: storeID, firstSequence: 1).encoded())
        try file.sync()
        try files.rename(paths.spare, to: paths.segment(1))
        try files.syncDirectory(paths.directory)
    }
}
