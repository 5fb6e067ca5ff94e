// Reads a backup frame by frame, and checks everything: each checksum, each record, the order of the keys, and the end.

import KontorCore

/// An open backup. It needs memory for one frame.
struct BackupReader {
    private let path: String
    private let file: any File
    private let size: Int

    init(_ path: String, _ files: any FileSystem) throws(EmbeddedError) {
        self.path = path
        file = try files.open(path, .read)
        size = try file.size()
    }

    /// Reads all of the backup, and counts its records.
    ///
    /// - Throws: `damage` and `newerFormat`, with the place.
    func check() throws(EmbeddedError) -> BackupReport {
        var census = RecordCensus()
        try forEachFrame { frame, bytes throws(EmbeddedError) in
            try frame.forEachChange(in: bytes, path) { key, record in
                if let record { census.add(key, record) }
            }
        }
        return BackupReport(census: census, bytes: size)
    }

    /// Calls `body` for each frame that has records, in order. A frame is checked before `body` gets it; a later one
    /// may still turn out to be damaged.
    func forEachFrame(_ body: (JournalFrame.Found, [UInt8]) throws(EmbeddedError) -> Void) throws(EmbeddedError) {
        try checkHeader()
        var offset = SegmentHeader.bytes
        var sequence: UInt64 = 1
        var lastKey: [UInt8] = []
        while true {
            let (frame, bytes) = try frame(at: offset, sequence)
            offset += bytes.count
            sequence += 1
            if bytes.withUnsafeBytes({ $0.little(UInt32.self, at: frame.payload.lowerBound) }) == 0 { break }
            try checkOrder(frame, bytes, at: offset - bytes.count, &lastKey)
            try body(frame, bytes)
        }
        if offset != size { throw damage(offset, "\(size - offset) bytes lie behind the end") }
    }

    private func checkHeader() throws(EmbeddedError) {
        let bytes = try file.read(at: 0, count: SegmentHeader.bytes)
        let header = bytes.withUnsafeBytes { bytes in
            Result { () throws(SegmentHeader.Failure) in try SegmentHeader(decoding: bytes) }
        }
        switch header {
        case .success(let header) where header == SegmentHeader(storeID: StoreBackup.storeID, firstSequence: 1): return
        case .success: throw damage(0, "it is a segment of a journal, and not a backup")
        case .failure(.newerFormat(let version)): throw .newerFormat(file: path, version: version)
        case .failure(.torn): throw damage(0, "it does not begin as a backup does")
        }
    }

    private func frame(at offset: Int, _ sequence: UInt64) throws(EmbeddedError) -> (JournalFrame.Found, [UInt8]) {
        let head = try file.read(at: offset, count: JournalFrame.headerBytes)
        if head.count < JournalFrame.headerBytes {
            throw damage(offset, "it ends before its last frame: it is not the whole backup")
        }
        // The length itself may be damaged: no frame is larger than this.
        let claimed = head.withUnsafeBytes { JournalFrame.claimedBytes(in: $0, at: 0) } ?? 0
        if claimed > size - offset { throw damage(offset, "it ends within a frame, or the frame's length is wrong") }
        let bytes = claimed <= EmbeddedLimits.lastFrameBytes ? try file.read(at: offset, count: claimed) : []
        guard let frame = bytes.withUnsafeBytes({ JournalFrame.find(in: $0, at: 0) }), frame.sequence == sequence,
            frame.payload.count >= 4
        else { throw damage(offset, "no valid frame \(sequence)") }
        return (frame, bytes)
    }

    /// Throws unless the records of a frame are such as a backup has: sorted, each key once, and none removed.
    private func checkOrder(
        _ frame: JournalFrame.Found, _ bytes: [UInt8], at offset: Int, _ lastKey: inout [UInt8]
    ) throws(EmbeddedError) {
        var isOrdered = true
        let isWhole = bytes.withUnsafeBytes { buffer in
            JournalFrame.forEachChange(in: buffer, payload: frame.payload) { change in
                let key = bytes[change.key]
                if change.value == nil || !lastKey[...].lexicographicallyPrecedes(key) { isOrdered = false }
                lastKey = Array(key)
            }
        }
        if !isWhole || !isOrdered { throw damage(offset, "the records of frame \(frame.sequence) are not those of a backup") }
    }

    private func damage(_ offset: Int, _ reason: String) -> EmbeddedError {
        .damage(file: path, offset: offset, reason: reason)
    }
}
