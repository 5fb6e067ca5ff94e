// Reads a store from outside, whether a server owns it or not: for audits, backups and the doctor. Takes no lock, makes
// and writes no file, and sees one moment of the store.

import KontorCore

/// All records of a store's directory, as of one moment.
///
/// Records that are in the journal and not synced yet may be seen. While it reads, the owner cannot checkpoint its
/// table, so journal and write-ahead log grow; nothing else waits.
public struct EmbeddedSnapshot {
    private let directory: String
    private let files: any FileSystem

    /// - Parameters:
    ///   - directory: the store's.
    ///   - files: the disk.
    public init(directory: String, files: any FileSystem = PosixFileSystem()) {
        self.directory = directory
        self.files = files
    }

    /// Calls `body` for each record, in the order of the keys' bytes. Memory is bounded by the journal's tail.
    ///
    /// - Parameter unreadable: is called with each record that does not decode, and why; nil: the first one is thrown.
    /// - Throws: ``EmbeddedError``, or what `body` throws.
    public func forEach(
        _ body: (RecordKey, Record) throws -> Void, unreadable: ((RecordKey, String) -> Void)? = nil
    ) throws {
        try read { cut in try cut.forEach(body, unreadable: unreadable) }
    }

    /// Calls `body` with one moment of the store, once.
    ///
    /// - Throws: ``EmbeddedError``, or what `body` throws.
    public func read<Value>(_ body: (Cut) throws -> Value) throws -> Value {
        var hasGiven = false
        return try reading { view in
            let cut = Cut(view: view, tail: try readTail(view))
            hasGiven = true
            return try body(cut)
        } canRepeat: {
            !hasGiven
        }
    }

    /// One moment of the store, which can be walked over several times.
    public struct Cut {
        fileprivate let view: SQLiteView
        fileprivate let tail: [(key: [UInt8], value: [UInt8]?)]

        /// Whether its lists are complete.
        public var isListed: Bool { get throws { try view.isListed } }

        /// Calls `body` for each record, in the order of the keys' bytes.
        ///
        /// - Parameter unreadable: is called with each record that does not decode, and why; nil: the first one is
        ///   thrown.
        public func forEach(
            _ body: (RecordKey, Record) throws -> Void, unreadable: ((RecordKey, String) -> Void)? = nil
        ) throws {
            try EmbeddedSnapshot.merge(tail, view) { key, value in
                let record: Record
                do throws(EmbeddedError) {
                    record = try Record(stored: value)
                } catch {
                    guard let unreadable, case .table(let reason) = error else { throw error }
                    return unreadable(key, reason)
                }
                try body(key, record)
            }
        }
    }

    /// What a start would replay, without the records.
    func replay() throws -> ReplayAhead {
        try reading { view in
            var ahead = ReplayAhead(tableFormat: try view.meta("format"), position: try view.meta("position"))
            let end = try readJournal(view) { frame, bytes, _ throws(EmbeddedError) in
                ahead.frames += 1
                ahead.bytes += frame.end - frame.start
                ahead.records += bytes.withUnsafeBytes { Int($0.little(UInt32.self, at: frame.payload.lowerBound)) }
            }
            ahead.tornBytes = end.tornBytes
            return ahead
        } canRepeat: {
            true
        }
    }

    /// Reads in one transaction of the table. If that fails, and `canRepeat` allows it, it begins again, up to
    /// `EmbeddedLimits.snapshotAttempts` times: the owner may delete a segment after its name was read and before it is
    /// opened, and files come and go when a server starts or ends.
    private func reading<Value>(_ body: (SQLiteView) throws -> Value, canRepeat: () -> Bool) throws -> Value {
        if try files.exists(StoreRestore.marker(directory)) { throw EmbeddedError.unfinishedRestore(directory: directory) }
        let path = SQLiteTable.path(directory)
        guard try files.exists(path) else { throw EmbeddedError.table("there is no store in \(directory)") }
        var attempt = 1
        while true {
            do {
                return try SQLiteView.Source(path, files).read(body)
            } catch  where canRepeat() && attempt < EmbeddedLimits.snapshotAttempts {
                attempt += 1
            }
        }
    }

    /// The last value of each key in the frames that this transaction's table does not have, sorted; nil if it was
    /// removed.
    private func readTail(_ view: SQLiteView) throws -> [(key: [UInt8], value: [UInt8]?)] {
        var tail: [[UInt8]: [UInt8]?] = [:]
        _ = try readJournal(view) { frame, bytes, path throws(EmbeddedError) in
            let isWhole = bytes.withUnsafeBytes { buffer in
                JournalFrame.forEachChange(in: buffer, payload: frame.payload) { change in
                    tail.updateValue(change.value.map { Array(bytes[$0]) }, forKey: Array(bytes[change.key]))
                }
            }
            if !isWhole { throw .damage(file: path, offset: frame.start, reason: "a malformed frame") }
        }
        return tail.map { ($0.key, $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private func readJournal(
        _ view: SQLiteView, _ body: (JournalFrame.Found, [UInt8], String) throws(EmbeddedError) -> Void
    ) throws -> JournalEnd {
        let reader = JournalReader(files: files, paths: JournalPaths(directory))
        let end = try reader.read(behind: try view.meta("position"), storeID: try view.meta("store"), body)
        guard let end else {
            throw EmbeddedError.damage(file: directory + "/journal", offset: 0, reason: "the journal is gone")
        }
        return end
    }

    /// Calls `body` for each record of table and tail, in order. Where both have a key, the tail's value counts.
    private static func merge(
        _ tail: [(key: [UInt8], value: [UInt8]?)], _ view: SQLiteView, _ body: (RecordKey, [UInt8]) throws -> Void
    ) throws {
        var next = 0
        try view.forEach { key, value in
            while next < tail.count, tail[next].key.lexicographicallyPrecedes(key) {
                try give(tail[next].key, tail[next].value, body)
                next += 1
            }
            if next < tail.count, tail[next].key == key {
                try give(key, tail[next].value, body)
                next += 1
            } else {
                try give(key, value, body)
            }
        }
        for entry in tail[next...] { try give(entry.key, entry.value, body) }
    }

    private static func give(
        _ key: [UInt8], _ value: [UInt8]?, _ body: (RecordKey, [UInt8]) throws -> Void
    ) throws {
        guard let value else { return }
        let decoded: RecordKey
        do {
            decoded = try RecordKey(decoding: key[...])
        } catch {
            throw EmbeddedError.table("a key does not decode: \(error)")
        }
        try body(decoded, value)
    }
}

/// What a start would replay.
struct ReplayAhead {
    /// The table's format.
    let tableFormat: UInt64
    /// The last frame that the table has.
    let position: UInt64
    /// The number of frames behind that.
    var frames = 0
    /// The number of their changes.
    var records = 0
    /// Their size.
    var bytes = 0
    /// The size of a frame that was being written when the process ended, or is being written now.
    var tornBytes = 0
}
