// Reads the journal when a store starts, or from outside of one that runs: frames in order, and a torn end told apart
// from damage.

import KontorCore

/// Where a journal ends.
struct JournalEnd {
    /// The store that the journal belongs to.
    let storeID: UInt64
    /// The last frame.
    let lastSequence: UInt64
    /// The last segment, by the sequence of its first frame.
    let segment: UInt64
    /// The size of the last segment's valid part.
    let goodBytes: Int
    /// The bytes of the last frame; empty if the last segment has none. Its sync may have failed: then what was read is
    /// not on the disk, and no later sync of this file writes it.
    let lastFrame: [UInt8]
    /// The size of what lies behind it: a frame that was being written when the process ended, or nothing.
    let tornBytes: Int
    /// Where the first frame lies that the table does not have, or where it will be written.
    let start: JournalPosition
}

/// A place in the journal where a frame begins, or will.
struct JournalPosition {
    /// The segment, by the sequence of its first frame.
    var segment: UInt64
    /// The place in the segment's file, in bytes.
    var offset: Int
    /// The sequence of the frame that begins here.
    var sequence: UInt64
}

/// Reads a journal.
struct JournalReader {
    let files: any FileSystem
    let paths: JournalPaths

    /// Calls `body` for each frame behind `position`, in order, with the bytes and the path of its segment.
    ///
    /// - Parameters:
    ///   - position: the last frame that the table has.
    ///   - storeID: the store that the table belongs to; nil if there is no table yet.
    /// - Returns: where the journal ends; nil if it has no segments.
    /// - Throws: `damage` for a bad frame with a good one behind it, and for a gap; `newerFormat`; what `body` throws.
    func read(
        behind position: UInt64, storeID: UInt64?,
        _ body: (JournalFrame.Found, [UInt8], String) throws(EmbeddedError) -> Void
    ) throws(EmbeddedError) -> JournalEnd? {
        let listing = try paths.list(files)
        let all = listing.segments
        if let newest = listing.newest, newest > all.last ?? 0 {
            throw .damage(
                file: paths.segment(newest), offset: 0, reason: "the journal's newest segment is gone, or one behind it")
        }
        guard let first = all.last(where: { $0 <= position + 1 }) ?? all.first else { return nil }
        if first > position + 1 {
            throw .damage(
                file: paths.segment(first), offset: 0, reason: "the frames from \(position + 1) on are missing")
        }
        let segments = all.filter { $0 >= first }
        var scan = Scan(storeID: storeID, sequence: first, position: position)
        for (index, segment) in segments.enumerated() {
            if segment != scan.sequence {
                let reason = "frame \(scan.sequence) was expected in a segment of this name or before it"
                throw .damage(file: paths.segment(segment), offset: 0, reason: reason)
            }
            try read(segment, next: index + 1 < segments.count ? segments[index + 1] : nil, &scan, body)
        }
        if scan.sequence <= position {
            throw .damage(
                file: paths.segment(scan.segment), offset: scan.goodBytes,
                reason: "the journal ends at frame \(scan.sequence - 1), and the table has \(position) already")
        }
        let start =
            scan.start
            ?? JournalPosition(
                segment: scan.segment, offset: max(scan.goodBytes, SegmentHeader.bytes), sequence: scan.sequence)
        return JournalEnd(
            storeID: scan.storeID ?? 0, lastSequence: scan.sequence - 1, segment: scan.segment,
            goodBytes: scan.goodBytes, lastFrame: scan.lastFrame, tornBytes: scan.tornBytes, start: start)
    }

    /// How far a reader is.
    private struct Scan {
        var storeID: UInt64?
        /// The sequence that comes next.
        var sequence: UInt64
        let position: UInt64
        var segment: UInt64 = 0
        var goodBytes = 0
        var lastFrame: [UInt8] = []
        var tornBytes = 0
        var start: JournalPosition?
    }

    /// Reads a segment up to the frame that the next one begins with. What lies behind that does not count: a start
    /// has written it to the next segment again, or cut it off.
    private func read(
        _ segment: UInt64, next: UInt64?, _ scan: inout Scan,
        _ body: (JournalFrame.Found, [UInt8], String) throws(EmbeddedError) -> Void
    ) throws(EmbeddedError) {
        let path = paths.segment(segment)
        let file = try files.open(path, .read)
        let bytes = try file.read(at: 0, count: try file.size())
        scan.segment = segment
        scan.goodBytes = 0
        scan.lastFrame = []
        scan.tornBytes = 0
        let isLast = next == nil
        guard try readHeader(bytes, path, isLast: isLast, &scan) else {
            scan.tornBytes = bytes.count
            return
        }
        var offset = SegmentHeader.bytes
        var last: Range<Int>?
        while offset < bytes.count && scan.sequence != next {
            guard let frame = bytes.withUnsafeBytes({ JournalFrame.find(in: $0, at: offset) }),
                frame.sequence == scan.sequence
            else {
                try checkTorn(bytes, path, offset, isLast: isLast, scan.sequence)
                scan.tornBytes = bytes.count - offset
                break
            }
            if frame.sequence > scan.position {
                if scan.start == nil {
                    scan.start = JournalPosition(segment: segment, offset: offset, sequence: frame.sequence)
                }
                try body(frame, bytes, path)
            }
            scan.sequence += 1
            offset = frame.end
            last = frame.start..<frame.end
        }
        scan.goodBytes = offset
        if let last, isLast { scan.lastFrame = Array(bytes[last]) }
    }

    /// Checks a segment's header.
    ///
    /// - Returns: false if it is torn and the segment is the last: it was being made when the process ended.
    private func readHeader(
        _ bytes: [UInt8], _ path: String, isLast: Bool, _ scan: inout Scan
    ) throws(EmbeddedError) -> Bool {
        do {
            let header = try bytes.withUnsafeBytes { bytes throws(SegmentHeader.Failure) in
                try SegmentHeader(decoding: bytes)
            }
            if header.firstSequence != scan.sequence {
                throw EmbeddedError.damage(file: path, offset: 0, reason: "it begins at frame \(header.firstSequence)")
            }
            if let storeID = scan.storeID, storeID != header.storeID {
                throw EmbeddedError.damage(file: path, offset: 0, reason: "it belongs to another store")
            }
            scan.storeID = header.storeID
            return true
        } catch let failure as SegmentHeader.Failure {
            if case .newerFormat(let version) = failure { throw .newerFormat(file: path, version: version) }
            try checkTorn(bytes, path, 0, isLast: isLast, scan.sequence)
            return false
        } catch let failure as EmbeddedError {
            throw failure
        } catch {
            throw .damage(file: path, offset: 0, reason: "\(error)")
        }
    }

    /// Throws unless bytes that are no frame are the torn end of the journal. They are only if no valid frame lies
    /// behind them, because a frame is written after the sync of the one before it.
    private func checkTorn(
        _ bytes: [UInt8], _ path: String, _ offset: Int, isLast: Bool, _ sequence: UInt64
    ) throws(EmbeddedError) {
        if !isLast {
            throw .damage(file: path, offset: offset, reason: "no valid frame \(sequence), and a later segment exists")
        }
        let later = bytes.withUnsafeBytes { JournalFrame.findLater(in: $0, behind: offset, from: sequence) }
        if let later {
            let reason = "no valid frame \(sequence), but frame \(later.sequence) lies behind it at \(later.start)"
            throw .damage(file: path, offset: offset, reason: reason)
        }
    }
}

extension JournalFrame.Found {
    /// Decodes the frame's changes, in order.
    func forEachChange(
        in bytes: [UInt8], _ path: String, _ body: (RecordKey, Record?) -> Void
    ) throws(EmbeddedError) {
        do {
            let isWhole = try bytes.withUnsafeBytes { buffer in
                try JournalFrame.forEachChange(in: buffer, payload: payload) { change in
                    let key = try RecordKey(decoding: bytes[change.key])
                    body(key, try change.value.map { try Record(decoding: bytes[$0]) })
                }
            }
            if !isWhole { throw FormatError.truncated }
        } catch {
            if case FormatError.newerFormat(let version) = error {
                throw .newerFormat(file: path, version: UInt32(version))
            }
            throw .damage(file: path, offset: start, reason: "a record in frame \(sequence) does not decode: \(error)")
        }
    }
}
