// A look at a store from outside, while a server owns it or not: for audits and backups. Takes no lock on the directory,
// writes no file of the store, and sees one moment of it.

import KontorCore

/// Reads all records of a directory as of one moment.
///
/// What is in the journal and not synced may be seen. While it reads, the owner's table cannot be checkpointed, so its
/// journal and write-ahead log grow; nothing else waits.
public struct EmbeddedSnapshot {
    private let directory: String
    private let files: any FileSystem

    public init(directory: String, files: any FileSystem = PosixFileSystem()) {
        self.directory = directory
        self.files = files
    }

    /// Calls `body` for each record, in the order of the keys' bytes. Memory is bounded by the journal's tail.
    ///
    /// - Throws: ``EmbeddedError``, or what `body` throws.
    public func forEach(_ body: (RecordKey, Record) throws -> Void) throws {
        let path = SQLiteTable.path(directory)
        guard try files.exists(path) else { throw EmbeddedError.table("there is no store in \(directory)") }
        let table = try SQLiteView.Source(path)
        for attempt in 1... {
            // A segment that the owner deletes between the look at the directory and its opening looks like a gap.
            let isDone = try table.read { view in
                do {
                    let tail = try readTail(view)
                    try merge(tail, view, body)
                    return true
                } catch let error as TailFailure {
                    if attempt == EmbeddedLimits.snapshotAttempts { throw error.reason }
                    return false
                }
            }
            if isDone { return }
        }
    }

    private struct TailFailure: Error {
        let reason: EmbeddedError
    }

    /// What the journal has behind the position of this transaction: the last value of each key, sorted.
    private func readTail(_ view: SQLiteView) throws -> [(key: [UInt8], value: [UInt8]?)] {
        let position = try view.meta("position")
        let storeID = try view.meta("store")
        var tail: [[UInt8]: [UInt8]?] = [:]
        do throws(EmbeddedError) {
            let reader = JournalReader(files: files, paths: JournalPaths(directory))
            let end = try reader.read(behind: position, storeID: storeID) { frame, bytes, path throws(EmbeddedError) in
                let isWhole = bytes.withUnsafeBytes { buffer in
                    JournalFrame.forEachChange(in: buffer, payload: frame.payload) { change in
                        tail.updateValue(change.value.map { Array(bytes[$0]) }, forKey: Array(bytes[change.key]))
                    }
                }
                if !isWhole { throw .damage(file: path, offset: frame.start, reason: "a malformed frame") }
            }
            if end == nil { throw .damage(file: directory + "/journal", offset: 0, reason: "the journal is gone") }
        } catch {
            throw TailFailure(reason: error)
        }
        return tail.map { ($0.key, $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    /// The table's records in order, each replaced, left out or joined by what the tail says.
    private func merge(
        _ tail: [(key: [UInt8], value: [UInt8]?)], _ view: SQLiteView, _ body: (RecordKey, Record) throws -> Void
    ) throws {
        var next = 0
        try view.forEach { key, value in
            while next < tail.count, tail[next].key.lexicographicallyPrecedes(key) {
                try Self.give(tail[next].key, tail[next].value, body)
                next += 1
            }
            if next < tail.count, tail[next].key == key {
                try Self.give(key, tail[next].value, body)
                next += 1
            } else {
                try Self.give(key, value, body)
            }
        }
        for entry in tail[next...] { try Self.give(entry.key, entry.value, body) }
    }

    private static func give(
        _ key: [UInt8], _ value: [UInt8]?, _ body: (RecordKey, Record) throws -> Void
    ) throws {
        guard let value else { return }
        let decoded: RecordKey
        do {
            decoded = try RecordKey(decoding: key[...])
        } catch {
            throw EmbeddedError.table("a key does not decode: \(error)")
        }
        try body(decoded, try Record(stored: value))
    }
}
