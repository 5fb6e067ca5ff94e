// The store on this machine's disk, with SQLite and threads: what the simulated disk cannot show.

import Foundation
import GRDB
import KontorCore
import KontorService
import KontorSimulation
import Synchronization
import TestSupport
import Testing

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
            write(store, item(number), [(.head, account(-1)), (.hold(saga(number)), nil)])
            expected[RecordKey(item(number), .head)] = account(-1)
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
        let segments = { try PosixFileSystem().list(self.directory + "/journal").filter { $0 != "spare" }.count }
        #expect(try segments() > 2, "the checkpoint waited for the reader")
        fold(store)
        #expect(try segments() == 1)
        #expect(try snapshot().values.allSatisfy { $0 == account(100) })
    }

    @Test("a lock file that takes no pid, as on a full disk, locks all the same")
    func lockWithoutRoom() throws {
        let files = PosixFileSystem()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: directory + "/lock", withDestinationPath: "/dev/full")
        let lock = try files.lock(directory)
        #expect(throws: EmbeddedError.inUse(directory: directory, pid: "(unknown)")) { try files.lock(self.directory) }
        lock.release()
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
