// The work of the fold: reads the journal's files and writes the table. When it is done FoldScheduler decides.

import KontorCore

/// Moves journal into the table, slice by slice. `@unchecked Sendable`: only the fold lanes use it, and they never run
/// two of its works at a time.
final class FoldWorker: @unchecked Sendable {
    /// What one slice did.
    struct Report: Sendable {
        /// The last frame that the table has now.
        let through: UInt64
        /// The size of the frames that were moved.
        let journalBytes: Int
        /// The number of records that were written or removed, each once.
        let changes: Int
        /// The number of changes of expiring records in these frames.
        let expiringChanges: Int
        /// The number of expiring records in the table now.
        let expiringRecords: Int
    }

    private let files: any FileSystem
    private let paths: JournalPaths
    private let table: any FoldedTable
    private let sliceBytes: Int
    private let trailMilliseconds: Int64
    private var position: JournalPosition
    private var file: (any File)?

    init(
        files: any FileSystem, paths: JournalPaths, table: any FoldedTable, from position: JournalPosition,
        sliceBytes: Int, trailMilliseconds: Int64
    ) {
        self.files = files
        self.paths = paths
        self.table = table
        self.position = position
        self.sliceBytes = sliceBytes
        self.trailMilliseconds = trailMilliseconds
    }

    /// Moves the next frames to the table: at least one.
    ///
    /// - Parameter through: the last frame that may be moved: it is synced, and not folded yet.
    func foldSlice(through: UInt64) -> Result<Report, EmbeddedError> {
        do throws(EmbeddedError) {
            var bytes = try readAhead()
            var frames = takeFrames(bytes, through: through)
            if frames.isEmpty {
                try findSegment()
                bytes = try readAhead()
                frames = takeFrames(bytes, through: through)
            }
            guard let last = frames.last else {
                throw .damage(
                    file: paths.segment(position.segment), offset: position.offset,
                    reason: "frame \(position.sequence) was written and synced, and is not there")
            }
            let slice = FoldSlice(bytes: bytes, changes: Self.coalesce(frames, bytes), through: last.sequence)
            let expiringRecords = try table.apply(slice)
            position.offset += last.end
            position.sequence = last.sequence + 1
            return .success(
                Report(
                    through: last.sequence, journalBytes: last.end, changes: slice.changes.count,
                    expiringChanges: countExpiring(frames, bytes), expiringRecords: expiringRecords))
        } catch {
            return .failure(error)
        }
    }

    /// Removes a slice of the records that have expired by `now` (milliseconds since 1970).
    ///
    /// - Returns: how many were removed, and how many expiring records are left.
    func expire(now: Int64) -> Result<(removed: Int, left: Int), EmbeddedError> {
        do throws(EmbeddedError) {
            return .success(
                try table.expire(
                    now: now, trail: now - trailMilliseconds, atMost: EmbeddedLimits.expireSlice))
        } catch {
            return .failure(error)
        }
    }

    /// Lists the next records of a store whose lists are not complete.
    func list() -> Result<ListSlice, EmbeddedError> {
        do throws(EmbeddedError) {
            return .success(try table.listSlice(atMost: EmbeddedLimits.listSlice))
        } catch {
            return .failure(error)
        }
    }

    /// Checkpoints the table, then deletes the segments whose frames it has.
    ///
    /// - Returns: false if a reader was in the way: then nothing is deleted.
    func checkpoint() -> Result<Bool, EmbeddedError> {
        do throws(EmbeddedError) {
            guard try table.checkpoint() else { return .success(false) }
            if try read(1).isEmpty { try findSegment() }
            var isDeleted = false
            for segment in try paths.list(files).segments where segment < position.segment {
                try files.remove(paths.segment(segment))
                isDeleted = true
            }
            if isDeleted { try files.syncDirectory(paths.directory) }
            return .success(true)
        } catch {
            return .failure(error)
        }
    }

    /// The next bytes of the segment: a slice, or one frame if it is larger.
    private func readAhead() throws(EmbeddedError) -> [UInt8] {
        var bytes = try read(sliceBytes)
        if let claimed = bytes.withUnsafeBytes({ JournalFrame.claimedBytes(in: $0, at: 0) }), claimed > bytes.count {
            bytes = try read(claimed)
        }
        return bytes
    }

    /// Finds the segment that has the next frame, or will have it: the present one, which a start may have replaced
    /// since it was opened, or the one behind it. That may begin with the frame before, which a start has moved there.
    private func findSegment() throws(EmbeddedError) {
        file = nil
        guard let next = try paths.list(files).segments.last(where: { $0 <= position.sequence }), next > position.segment
        else { return }
        let opened = try files.open(paths.segment(next), .read)
        var offset = SegmentHeader.bytes
        if next < position.sequence {
            let bytes = try opened.read(at: 0, count: SegmentHeader.bytes + EmbeddedLimits.lastFrameBytes)
            for sequence in next..<position.sequence {
                let frame = bytes.withUnsafeBytes { JournalFrame.find(in: $0, at: offset) }
                guard let frame, frame.sequence == sequence else { return }
                offset = frame.end
            }
        }
        position.segment = next
        position.offset = offset
        file = opened
    }

    private func read(_ count: Int) throws(EmbeddedError) -> [UInt8] {
        if let file { return try file.read(at: position.offset, count: count) }
        let opened = try files.open(paths.segment(position.segment), .read)
        file = opened
        return try opened.read(at: position.offset, count: count)
    }

    /// The whole frames at the beginning of these bytes, up to the bounds of a slice.
    private func takeFrames(_ bytes: [UInt8], through: UInt64) -> [JournalFrame.Found] {
        var frames: [JournalFrame.Found] = []
        var changes: UInt32 = 0
        var offset = 0
        var sequence = position.sequence
        bytes.withUnsafeBytes { buffer in
            while sequence <= through, changes < EmbeddedLimits.foldSliceChanges,
                let frame = JournalFrame.find(in: buffer, at: offset), frame.sequence == sequence
            {
                frames.append(frame)
                changes += buffer.little(UInt32.self, at: frame.payload.lowerBound)
                offset = frame.end
                sequence += 1
            }
        }
        return frames
    }

    private func countExpiring(_ frames: [JournalFrame.Found], _ bytes: [UInt8]) -> Int {
        var count = 0
        bytes.withUnsafeBytes { buffer in
            for frame in frames {
                _ = JournalFrame.forEachChange(in: buffer, payload: frame.payload) { change in
                    if change.area == .expiring { count += 1 }
                }
            }
        }
        return count
    }

    /// The changes of these frames, sorted by key, with the last change of each key only.
    static func coalesce(_ frames: [JournalFrame.Found], _ bytes: [UInt8]) -> [FoldSlice.Change] {
        var entries: [SortEntry] = []
        return bytes.withUnsafeBytes { buffer in
            for frame in frames {
                _ = JournalFrame.forEachChange(in: buffer, payload: frame.payload) { change in
                    entries.append(
                        SortEntry(prefix: buffer.prefix(of: change.key), order: entries.count, change: change))
                }
            }
            entries.sort { left, right in
                if left.prefix != right.prefix { return left.prefix < right.prefix }
                let order = buffer.compare(left.change.key, right.change.key)
                return order == 0 ? left.order < right.order : order < 0
            }
            var changes: [FoldSlice.Change] = []
            changes.reserveCapacity(entries.count)
            for (index, entry) in entries.enumerated() {
                if index + 1 < entries.count, entries[index + 1].prefix == entry.prefix,
                    buffer.compare(entries[index + 1].change.key, entry.change.key) == 0
                {
                    continue
                }
                let change = entry.change
                changes.append(FoldSlice.Change(key: change.key, value: change.value, area: change.area))
            }
            return changes
        }
    }

    private struct SortEntry {
        /// The key's first eight bytes, which decide most comparisons.
        let prefix: UInt64
        /// The change's place in the journal.
        let order: Int
        let change: JournalFrame.RawChange
    }
}

extension UnsafeRawBufferPointer {
    /// The first eight bytes of a range as a number that sorts as they do, with zeros where the range is shorter.
    fileprivate func prefix(of range: Range<Int>) -> UInt64 {
        if range.count >= 8 {
            return UInt64(bigEndian: loadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
        }
        var prefix: UInt64 = 0
        for index in 0..<8 { prefix = prefix << 8 | (index < range.count ? UInt64(self[range.lowerBound + index]) : 0) }
        return prefix
    }

    /// Compares the bytes of two ranges: negative if those of the left one sort first, 0 if they are the same.
    func compare(_ left: Range<Int>, _ right: Range<Int>) -> Int {
        var index = 0
        let common = Swift.min(left.count, right.count)
        while index + 8 <= common {
            let leftWord = loadUnaligned(fromByteOffset: left.lowerBound + index, as: UInt64.self).bigEndian
            let rightWord = loadUnaligned(fromByteOffset: right.lowerBound + index, as: UInt64.self).bigEndian
            if leftWord != rightWord { return leftWord < rightWord ? -1 : 1 }
            index += 8
        }
        while index < common {
            let difference = Int(self[left.lowerBound + index]) - Int(self[right.lowerBound + index])
            if difference != 0 { return difference }
            index += 1
        }
        return left.count - right.count
    }
}
