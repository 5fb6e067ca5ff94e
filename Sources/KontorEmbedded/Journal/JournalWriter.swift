// The writing end of the journal. Used on the journal lane only: one write and one sync per frame, and the next segment
// is made and reserved ahead, so that a full disk is noticed while there is still room for what has begun.

import CoreMetrics
import KontorCore

/// Appends frames to the current segment. Confined to the journal lane; the store hands it over and never looks inside.
final class JournalWriter: @unchecked Sendable {
    /// What one append did.
    struct Report: Sendable {
        let bytes: Int
        /// The reserved segment was taken: reserve another.
        let isSpareTaken: Bool
    }

    private let files: any FileSystem
    private let paths: JournalPaths
    private let storeID: UInt64
    private let segmentBytes: Int
    /// Open since the start: a rotation needs no descriptor that the connections may have taken.
    private let directory: any Directory
    private var file: any File
    private var size: Int
    private var isReserved = false
    private var spare: (any File)?
    /// The first failure. Nothing is written after it: what a failed sync covered is unknown, and a sync that is
    /// repeated says yes to pages that the kernel has already dropped.
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

    /// Writes one frame and syncs it. Rotates afterwards if the segment is full and the next one is reserved.
    /// - Parameter syncSeconds: gets the time of the sync.
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

    /// Reserves the rest of the current segment, and the next one's file. May be tried again.
    /// - Returns: why new work must not begin; nil if it may.
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

    /// The new segment gets its name only once its header is durable, so that a segment that others follow is whole.
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

    /// Makes a new journal: its first segment, without frames.
    static func create(files: any FileSystem, paths: JournalPaths, storeID: UInt64) throws(EmbeddedError) {
        let file = try files.open(paths.spare, .create)
        try file.append(SegmentHeader(storeID: storeID, firstSequence: 1).encoded())
        try file.sync()
        try files.rename(paths.spare, to: paths.segment(1))
        try files.syncDirectory(paths.directory)
    }
}
