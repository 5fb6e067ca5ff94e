// The writing end of the journal: one write and one sync for each frame. The next segment is made and reserved ahead,
// so that a full disk is noticed while there is still room for work that has begun.

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
    private let storeID: UInt64
    private let segmentBytes: Int
    /// The journal's directory, open since the start: the next segment must not need a descriptor when connections may
    /// have taken all of them.
    private let directory: any Directory
    private var file: any File
    /// The size of the last segment.
    private var size: Int
    /// Whether room is reserved for the rest of the last segment.
    private var isReserved = false
    /// The next segment's file, with its room; nil if it is not reserved yet.
    private var spare: (any File)?
    /// The first failure. Nothing is written after it: nobody knows what a failed sync has written, and if it is
    /// repeated the kernel reports success, although it has dropped the pages (see "fsyncgate", 2018).
    private var failure: EmbeddedError?

    /// - Parameter end: where the journal ends; its last segment is continued.
    init(
        files: any FileSystem, paths: JournalPaths, storeID: UInt64, end: (segment: UInt64, bytes: Int),
        segmentBytes: Int
    ) throws(EmbeddedError) {
        self.files = files
        self.paths = paths
        self.storeID = storeID
        self.segmentBytes = segmentBytes
        directory = try files.openDirectory(paths.directory)
        file = try files.open(paths.segment(end.segment), .append)
        size = end.bytes
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

    /// Reserves room for the rest of the last segment and for the next one. May be tried again.
    ///
    /// - Returns: why there is no room, so that new work must not begin; nil if there is.
    func reserve() -> EmbeddedError? {
        if let failure { return failure }
        do throws(EmbeddedError) {
            let room = segmentBytes + EmbeddedLimits.lastFrameBytes
            if !isReserved { try file.reserve(room) }
            isReserved = true
            guard spare == nil else { return nil }
            let next = try files.open(paths.spare, .create)
            try next.reserve(room)
            spare = next
            return nil
        } catch {
            return error
        }
    }

    /// Goes on to the next segment, if this one is full and the next one is reserved. The new segment gets its name
    /// only once its header is durable: a segment that is not the last is whole.
    ///
    /// - Returns: whether it went on.
    private func rotateIfFull(next sequence: UInt64) throws(EmbeddedError) -> Bool {
        guard size >= segmentBytes, let next = spare else { return false }
        try next.append(SegmentHeader(storeID: storeID, firstSequence: sequence).encoded())
        try next.sync()
        try files.rename(paths.spare, to: paths.segment(sequence))
        try directory.sync()
        file = next
        size = SegmentHeader.bytes
        spare = nil
        return true
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
