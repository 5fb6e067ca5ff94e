// The store on this machine's disk, with SQLite and threads: what the simulated disk cannot show.

import Foundation
import GRDB
import KontorCore
import KontorService
import KontorSimulation
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

// GRDB has a Record too.
import enum KontorCore.Record

@testable import KontorEmbedded

@Suite("On this machine")
final class MachineTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString
    private let lanes = ManualLanes()
    private var now: Int64 = 0

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func open(_ options: EmbeddedOptions = EmbeddedOptions()) throws -> EmbeddedStore {
        try EmbeddedStore.open(directory, options: options, lanes: lanes, random: SeededRandom(seed: 1))
    }

    private func write(_ store: EmbeddedStore, _ group: GroupKey, _ writes: [(member: Member, record: Record?)]) {
        store.load([ReadSet(group)]) { result in
            guard let version = try? result.first?.get().version else { return }
            store.commit([GroupChange(group: group, expected: version, writes: writes)]) { outcomes in
                #expect(outcomes == [.committed])
            }
        }
        lanes.stepAll(.read)
    }

    private func sync(_ store: EmbeddedStore) {
        store.flush()
        lanes.stepAll(.journal)
    }

    private func fold(_ store: EmbeddedStore) {
        for _ in 0..<4 {
            now += 2_000
            store.tick(now: now)
            lanes.runAll()
        }
    }

    private func snapshot() throws -> [RecordKey: Record] {
        var found: [RecordKey: Record] = [:]
        var last: [UInt8] = []
        try EmbeddedSnapshot(directory: directory).forEach { key, record in
            #expect(last.lexicographicallyPrecedes(key.encoded), "sorted by the keys' bytes")
            last = key.encoded
            #expect(found.updateValue(record, forKey: key) == nil)
        }
        return found
    }

    @Test("a second store on the same directory is refused, with the directory and the owner's pid")
    func secondOwner() throws {
        let store = try open()
        let pid = String(ProcessInfo.processInfo.processIdentifier)
        #expect(throws: EmbeddedError.inUse(directory: directory, pid: pid)) { try self.open() }
        store.close { _ in }
        lanes.runAll()
        _ = try open()
    }

    @Test("a snapshot of a running store shows one moment: table, open work and tail as one")
    func snapshotOfRunningStore() throws {
        let store = try open()
        var expected: [RecordKey: Record] = [:]
        for number in 0..<200 {
            write(store, item(number), [(.head, account(Int64(number))), (.hold(saga(number)), hold(1))])
            expected[RecordKey(item(number), .head)] = account(Int64(number))
            expected[RecordKey(item(number), .hold(saga(number)))] = hold(1)
        }
        sync(store)
        #expect(try snapshot() == expected)
        fold(store)
        #expect(try snapshot() == expected)
        for number in 0..<300 where number % 3 == 0 {
            write(store, item(number), [(.head, account(1_000)), (.hold(saga(number)), nil)])
            expected[RecordKey(item(number), .head)] = account(1_000)
            expected[RecordKey(item(number), .hold(saga(number)))] = nil
        }
        sync(store)
        #expect(try snapshot() == expected)
        store.close { _ in }
        lanes.runAll()
        #expect(try snapshot() == expected)
    }

    @Test("a snapshot is not moved by what the store does meanwhile, and what it holds up is done after it")
    func snapshotMeanwhile() throws {
        var options = EmbeddedOptions()
        options.segmentBytes = 1_000
        let store = try open(options)
        for number in 0..<50 {
            write(store, item(number), [(.head, account(1))])
            if number == 25 { fold(store) }
            sync(store)
        }
        var sum: Int64 = 0
        var isFirst = true
        try EmbeddedSnapshot(directory: directory).forEach { _, record in
            if isFirst {
                isFirst = false
                for number in 0..<50 {
                    self.write(store, item(number), [(.head, account(100))])
                    self.sync(store)
                }
                self.fold(store)
            }
            if case .account(let account) = record { sum += account.balance.raw }
        }
        #expect(sum == 50)
        let segments = { try PosixFileSystem().list(self.directory + "/journal").filter { $0.hasSuffix(".journal") }.count }
        #expect(try segments() > 2, "the checkpoint waited for the reader")
        fold(store)
        #expect(try segments() == 1)
        #expect(try snapshot().values.allSatisfy { $0 == account(100) })
    }

    @Test("a lock file that takes no pid, as on a full disk, locks all the same")
    func lockWithoutRoom() throws {
        let files = PosixFileSystem()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let lock = try files.lock(directory)
        try files.open(directory + "/lock", .append).truncate(to: 0)
        #expect(throws: EmbeddedError.inUse(directory: directory, pid: "(unknown)")) { try files.lock(self.directory) }
        lock.release()
    }

    @Test("a store whose lock file was removed is locked all the same, and a link in its place is not followed")
    func removedLock() throws {
        let store = try open()
        try FileManager.default.removeItem(atPath: directory + "/lock")
        #expect(throws: EmbeddedError.inUse(directory: directory, pid: "(unknown)")) { try self.open() }
        try FileManager.default.removeItem(atPath: directory + "/lock")
        #expect(try PosixFileSystem().owner(of: directory) == "(unknown)")
        let elsewhere = directory + "-elsewhere"
        try FileManager.default.createSymbolicLink(atPath: directory + "/lock", withDestinationPath: elsewhere)
        #expect(throws: EmbeddedError.system(call: "open", path: directory + "/lock", code: ELOOP)) { try self.open() }
        #expect(!FileManager.default.fileExists(atPath: elsewhere))
        try FileManager.default.removeItem(atPath: directory + "/lock")
        store.close { _ in }
        lanes.runAll()
        #expect(try PosixFileSystem().owner(of: directory) == nil)
        _ = try open()
    }

    @Test("what a store and a backup make is for their owner alone")
    func modes() throws {
        let store = try open()
        write(store, item(1), [(.head, account(1))])
        sync(store)
        let backup = directory + "/../" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: backup) }
        _ = try StoreBackup(to: backup).write(of: directory)
        let names = try FileManager.default.subpathsOfDirectory(atPath: directory)
        #expect(Set(names).isSuperset(of: ["lock", "journal", "table.sqlite", "table.sqlite-wal", "table.sqlite-shm"]))
        for path in names.map({ directory + "/" + $0 }) + [directory, backup] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            let isDirectory = attributes[.type] as? FileAttributeType == .typeDirectory
            #expect(attributes[.posixPermissions] as? Int == (isDirectory ? 0o700 : 0o600), "\(path)")
        }
    }

    @Test("a directory that has no store and is not empty is refused, and left as it is")
    func foreignDirectory() throws {
        try FileManager.default.createDirectory(atPath: directory + "/photos", withIntermediateDirectories: true)
        #expect(throws: EmbeddedError.foreign(directory: directory, name: "photos")) { try self.open() }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["photos"])
        try FileManager.default.removeItem(atPath: directory + "/photos")
        #expect(try open().startReport.isNew)
        try FileManager.default.removeItem(atPath: directory + "/lock")
    }

    @Test("a connection that keeps the table locked holds up the fold, and does not end the store")
    func lockedTable() throws {
        let store = try open()
        write(store, item(1), [(.head, account(1))])
        sync(store)
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: directory + "/table.sqlite", configuration: configuration)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        fold(store)
        #expect(store.failure == nil && store.admission == nil)
        try other.inDatabase { try $0.execute(sql: "COMMIT") }
        try other.close()
        fold(store)
        #expect(try SQLiteTable.opener.open(directory)?.position() == 1)
    }

    @Test("after a failed write the table's log is written to a new file before it is used, unless somebody reads it")
    func distrustedLog() throws {
        var options = EmbeddedOptions()
        options.foldStartBytes = 1
        let store = try open(options)
        write(store, item(1), [(.head, account(1))])
        sync(store)
        lanes.step(.fold)
        let log = directory + "/table.sqlite-wal"
        let mark = directory + "/table.sqlite-distrusted"
        #expect(throws: EmbeddedError.table("x")) {
            try TableLog(self.directory + "/table.sqlite").watching { () throws(EmbeddedError) in throw .table("x") }
        }
        #expect(FileManager.default.fileExists(atPath: mark))
        #expect(throws: EmbeddedError.busy(path: directory + "/table.sqlite")) {
            _ = try SQLiteTable.opener.open(self.directory)
        }
        // As the next process finds it: nobody is connected.
        let copy = directory + "-copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try FileManager.default.copyItem(atPath: directory, toPath: copy)
        try FileManager.default.removeItem(atPath: copy + "/table.sqlite-shm")
        func file() throws -> Int? {
            let path = log.replacing(directory, with: copy)
            return try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        }
        let before = try file()
        let table = try #require(try SQLiteTable.opener.open(copy))
        #expect(try file() != before)
        #expect(!FileManager.default.fileExists(atPath: copy + "/table.sqlite-distrusted"))
        #expect(try table.position() == 1)
        #expect(try table.read([TableKey(RecordKey(item(1), .head))])[0] != nil)
        table.close()
    }

    @Test("what SQLite says of a full disk, a quota and a lock passes, and a sync that failed does not")
    func translation() {
        func error(_ code: ResultCode, _ systemCode: Int32) -> EmbeddedError {
            TableConnection.translated(DatabaseError(resultCode: code), "t", systemCode)
        }
        #expect(error(.SQLITE_FULL, 0) == .diskFull(path: "t"))
        #expect(error(.SQLITE_IOERR_WRITE, EDQUOT) == .diskFull(path: "t"))
        #expect(error(.SQLITE_IOERR_SHMSIZE, ENOSPC) == .diskFull(path: "t"))
        #expect(error(.SQLITE_CANTOPEN, EMFILE) == .system(call: "SQLite", path: "t", code: EMFILE))
        #expect(error(.SQLITE_BUSY, 0) == .busy(path: "t"))
        #expect(error(.SQLITE_BUSY_SNAPSHOT, 0) == .busy(path: "t"))
        #expect(!error(.SQLITE_IOERR_FSYNC, ENOSPC).passes)
        #expect(!error(.SQLITE_IOERR_WRITE, EIO).passes)
        #expect(!error(.SQLITE_CORRUPT, 0).passes)
    }

    @Test("a table whose log can have no index in a file, as on a full disk, is read and written all the same")
    func withoutIndexFile() throws {
        var store = try open()
        write(store, item(1), [(.head, account(1))])
        store.close { _ in }
        lanes.runAll()
        let index = directory + "/table.sqlite-shm"
        // SQLite does not follow the link, and so can neither make nor open the file.
        try FileManager.default.createSymbolicLink(atPath: index, withDestinationPath: "/nowhere")
        store = try open()
        write(store, item(2), [(.head, account(2))])
        sync(store)
        fold(store)
        #expect(store.failure == nil && store.admission == nil)
        #expect(throws: (any Error).self, "the one connection keeps others out") {
            _ = try DatabaseQueue(path: self.directory + "/table.sqlite")
        }
        try FileManager.default.removeItem(atPath: index)
        write(store, item(3), [(.head, account(3))])
        sync(store)
        fold(store)
        #expect(try snapshot().count == 3, "with room again others may read")
    }

    @Test("who owns a directory can be asked without taking or changing anything")
    func owner() throws {
        let files = PosixFileSystem()
        #expect(try files.owner(of: directory) == nil)
        let store = try open()
        #expect(try files.owner(of: directory) == "\(ProcessInfo.processInfo.processIdentifier)")
        store.close { _ in }
        lanes.runAll()
        #expect(try files.owner(of: directory) == nil)
    }

    @Test("SQLite syncs every commit of the table, and checkpoints only when told")
    func pragmas() throws {
        _ = try open()
        let table = try #require(try SQLiteTable.opener.open(directory) as? SQLiteTable)
        #expect(try table.pragma("synchronous") == 2)
        #expect(try table.pragma("wal_autocheckpoint") == 0)
    }

    @Test("a table of a newer format is refused as such")
    func newerTable() throws {
        let store = try open()
        store.close { _ in }
        lanes.runAll()
        let path = directory + "/table.sqlite"
        let connection = try DatabaseQueue(path: path)
        try connection.write { try $0.execute(sql: "UPDATE meta SET value = 9 WHERE name = 'format'") }
        try connection.close()
        #expect(throws: EmbeddedError.newerFormat(file: path, version: 9)) { try self.open() }
    }

    @Test("a table that a crash left half made is made again")
    func halfMadeTable() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: directory + "/table.sqlite", contents: Data()))
        let store = try open()
        write(store, item(1), [(.head, account(1))])
        sync(store)
    }

    @Test("threads do the work of each lane in order and bring the results back in order")
    func threadLanes() {
        let posted = Posted()
        let threads = ThreadLanes { posted.add($0) }
        let box = Box<[Int]>()
        box.value = []
        for number in 0..<1_000 {
            threads.perform(on: .fold) {
                number
            } then: {
                box.value?.append($0)
            }
        }
        threads.stop()
        posted.runAll()
        #expect(box.value == Array(0..<1_000))
    }
}

/// What threads posted, to be run by the test.
private final class Posted: Sendable {
    private let works = Mutex<[@Sendable () -> Void]>([])
    func add(_ work: @escaping @Sendable () -> Void) { works.withLock { $0.append(work) } }
    func runAll() { for work in works.withLock({ $0 }) { work() } }
}

extension SQLiteTable {
    fileprivate func pragma(_ name: String) throws -> Int? {
        try writer.inDatabase { try Int.fetchOne($0, sql: "PRAGMA \(name)") }
    }
}
