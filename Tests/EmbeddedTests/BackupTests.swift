// Backups and restores: what a backup contains, what is not taken for one, and what an interrupted restore leaves.

import Foundation
import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Backup and restore")
final class BackupTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString
    private let lanes = ManualLanes()
    private var now: Int64 = 0
    private var source: String { directory + "/source" }
    private var file: String { directory + "/shop.backup" }

    init() throws { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    // MARK: Helpers

    private func open(_ path: String) throws -> EmbeddedStore {
        try EmbeddedStore.open(path, lanes: lanes, random: SeededRandom(seed: 1))
    }

    private func write(_ store: EmbeddedStore, _ group: GroupKey, _ writes: [(member: Member, record: Record?)]) {
        store.load([ReadSet(group)]) { result in
            guard let version = try? result.first?.get().version else { return }
            store.commit([GroupChange(group: group, expected: version, writes: writes)]) { #expect($0 == [.committed]) }
        }
        lanes.stepAll(.read)
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

    private func records(_ path: String) throws -> [RecordKey: Record] {
        var found: [RecordKey: Record] = [:]
        try EmbeddedSnapshot(directory: path).forEach { found[$0] = $1 }
        return found
    }

    /// A store with records in its table, and others and removals only in its journal.
    private func filled(_ count: Int = 100) throws -> EmbeddedStore {
        let store = try open(source)
        for number in 0..<count { write(store, item(number), [(.head, account(Int64(number))), (.hold(saga(1)), hold(1))]) }
        fold(store)
        for number in 0..<count / 2 { write(store, item(number), [(.head, account(7)), (.hold(saga(1)), nil)]) }
        return store
    }

    private func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: path))) }

    private func overwrite(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: file)) }

    // MARK: What a backup is

    @Test("a backup of a running store has table and journal, and a store that is restored from it has the same records")
    func roundTrip() throws {
        let store = try filled()
        let report = try StoreBackup(to: file).write(of: source)
        #expect(report.census.items == 100 && report.census.holds == 50 && report.census.records == 150)
        #expect(report.bytes == (try bytes(file)).count)
        let target = directory + "/target"
        #expect(try StoreRestore(from: file).run(to: target, random: SeededRandom(seed: 9)) == report)
        #expect(try records(target) == records(source))
        let restored = try open(target)
        #expect(restored.startReport.recordsReplayed == 0 && restored.startReport.openWorkRecords == 50)
        write(restored, item(1), [(.head, account(77))])
        fold(restored)
        #expect(try records(target)[RecordKey(item(1), .head)] == account(77))
        #expect(try restored.table.storeID() != store.table.storeID())
    }

    @Test("two backups of the same records are the same bytes: before and after the fold, and of the restored store")
    func identical() throws {
        let store = try filled()
        for name in ["1", "2"] { _ = try StoreBackup(to: file + name).write(of: source) }
        fold(store)
        _ = try StoreBackup(to: file + "3").write(of: source)
        _ = try StoreRestore(from: file + "1").run(to: directory + "/target", random: SeededRandom(seed: 2))
        _ = try StoreBackup(to: file + "4").write(of: directory + "/target")
        for name in ["2", "3", "4"] { #expect(try bytes(file + name) == bytes(file + "1"), "\(name)") }
    }

    @Test("a large store is many frames of bounded size, and is restored in as many transactions")
    func manyFrames() throws {
        let world = try World()
        var order = Order(user: Identifier(number: 1), incarnation: 1)
        order.lines = Array(
            repeating: OrderLine(item: Identifier(number: 1), units: Amount(1), price: Amount(1)), count: Limits.orderLines)
        let store = try open(source)
        for number in 0..<300 { write(store, GroupKey(.order, Identifier(number: number)), [(.head, .order(order))]) }
        _ = try StoreBackup(to: file).write(of: source)
        var frames: [Int] = []
        try BackupReader(file, PosixFileSystem()).forEachFrame { frame, _ in frames.append(frame.end) }
        #expect(frames.count > 3)
        #expect(frames.allSatisfy { $0 <= EmbeddedLimits.backupFrameBytes + 100_000 })
        _ = try StoreRestore(from: file, tables: world.table.opener).run(to: directory + "/t", random: SeededRandom(seed: 2))
        #expect(world.table.slicesApplied == frames.count)
        #expect(world.table.count == 300)
    }

    @Test("an empty store has a backup, which is restored to an empty store")
    func empty() throws {
        _ = try open(source)
        #expect(try StoreBackup(to: file).write(of: source).census.records == 0)
        _ = try StoreRestore(from: file).run(to: directory + "/target", random: SeededRandom(seed: 2))
        #expect(try records(directory + "/target").isEmpty)
    }

    @Test("a file that is there is not overwritten, nor is one that another backup is writing")
    func existing() throws {
        _ = try filled(3)
        for name in [file, file + ".partial"] {
            try Data("mine".utf8).write(to: URL(filePath: name))
            #expect(throws: BackupError.self) { try StoreBackup(to: self.file).write(of: self.source) }
            #expect(try bytes(name) == Array("mine".utf8))
            try FileManager.default.removeItem(atPath: name)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["source"])
    }

    @Test("a backup that finds no room, or no store, leaves nothing")
    func noRoom() throws {
        let files = FailingFiles(.diskFull(path: file), at: 2)
        _ = try filled(3)
        do {
            _ = try StoreBackup(to: file, files: files).write(of: source)
            Issue.record("there was no room")
        } catch BackupError.file(.diskFull) {}
        #expect(throws: BackupError.self) { try StoreBackup(to: self.file).write(of: self.directory + "/nothing") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["source"])
    }

    // MARK: What is not a backup

    @Test("cut at any byte, or with any bit flipped, a backup is refused and nothing is made")
    func damaged() throws {
        _ = try filled(4)
        _ = try StoreBackup(to: file).write(of: source)
        let good = try bytes(file)
        let target = directory + "/target"
        func expectRefused(_ bytes: [UInt8], _ what: String) throws {
            try overwrite(bytes)
            #expect(throws: EmbeddedError.self, "\(what)") {
                try StoreRestore(from: self.file).run(to: target, random: SeededRandom(seed: 2))
            }
        }
        for size in 0..<good.count { try expectRefused(Array(good.prefix(size)), "cut at \(size)") }
        for offset in good.indices {
            var flipped = good
            flipped[offset] ^= 1 << UInt8(offset % 8)
            try expectRefused(flipped, "flipped at \(offset)")
        }
        try expectRefused(good + [0], "a byte behind the end")
        #expect(!FileManager.default.fileExists(atPath: target))
    }

    @Test("a segment of a journal, a backup of a newer format, and one whose keys are not in order are refused")
    func notBackups() throws {
        func refusal(_ bytes: [UInt8]) throws -> EmbeddedError? {
            try overwrite(bytes)
            do throws(EmbeddedError) {
                _ = try StoreRestore(from: file).check()
                return nil
            } catch {
                return error
            }
        }
        let end = JournalFrame.encoded([], sequence: 2)
        let header = SegmentHeader(storeID: 0, firstSequence: 1).encoded()
        let changes = [2, 1].map { JournalChange(key: RecordKey(item($0), .head), record: account(1)) }
        let sorted = changes.sorted { $0.key.encoded.lexicographicallyPrecedes($1.key.encoded) }
        #expect(try refusal(header + JournalFrame.encoded(sorted, sequence: 1) + end) == nil)
        #expect(try refusal(header + JournalFrame.encoded(sorted.reversed(), sequence: 1) + end) != nil)
        let removal = JournalChange(key: changes[0].key, record: nil)
        #expect(try refusal(header + JournalFrame.encoded([removal], sequence: 1) + end) != nil)
        #expect(try refusal(SegmentHeader(storeID: 5, firstSequence: 1).encoded() + end) != nil)
        var newer = header
        newer[8] = 9
        let checksum = newer[..<28].withUnsafeBytes { CRC32C.checksum($0) }
        for index in 0..<4 { newer[28 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
        #expect(try refusal(newer + end) == .newerFormat(file: file, version: 9))
    }

    @Test("a directory that has anything in it is refused, and is left as it is")
    func notEmpty() throws {
        _ = try filled(3)
        _ = try StoreBackup(to: file).write(of: source)
        let before = try records(source)
        do {
            _ = try StoreRestore(from: file).run(to: source, random: SeededRandom(seed: 2))
            Issue.record("a store was written over")
        } catch .notEmpty {}
        #expect(try records(source) == before)
        let other = directory + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: other + "/file"))
        #expect(throws: EmbeddedError.notEmpty(directory: other, name: "file")) {
            try StoreRestore(from: self.file).run(to: other, random: SeededRandom(seed: 2))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: other) == ["file"])
    }

    // MARK: An interrupted restore

    @Test("a power cut at each step of a restore leaves what servers refuse, or the whole store, and it can be repeated")
    func everyStep() throws {
        let backup = try simulatedBackup()
        var death = 0
        var outcomes: Set<String> = []
        while !outcomes.contains("done") && death < 50 {
            for (isRepeated, isTorn) in [(true, true), (true, false), (false, true), (false, false)] {
                let disk = SimulatedDisk()
                try write(backup, to: disk)
                let table = SimulatedTable()
                table.failure = isTorn ? .table("dead") : nil
                disk.deathStep = disk.steps + death
                let isDone = error(of: "/b", disk, table) == nil
                disk.crash(SeededRandom(seed: UInt64(death)))
                table.loseLog()
                table.failure = nil
                if isRepeated && !isDone {
                    switch error(of: "/b", disk, table) {
                    case nil: break
                    // Only if it is whole, and the process died before it said so: see below.
                    case .notEmpty?: outcomes.insert("unsaid")
                    case let error?: Issue.record("\(error) at step \(death)")
                    }
                }
                outcomes.insert(try outcome(disk, table, mustBeWhole: isDone || isRepeated))
                if isDone { outcomes.insert("done") }
            }
            death += 1
        }
        #expect(death >= 8, "it was cut in many places: \(death)")
        #expect(outcomes.isSuperset(of: ["refused", "whole", "untouched", "done"]), "\(outcomes)")
    }

    private func error(of path: String, _ disk: SimulatedDisk, _ table: SimulatedTable) -> EmbeddedError? {
        do throws(EmbeddedError) {
            _ = try StoreRestore(from: path, files: disk, tables: table.opener).run(
                to: "/data", random: SeededRandom(seed: 4))
            return nil
        } catch {
            return error
        }
    }

    private func simulatedBackup() throws -> [UInt8] {
        _ = try filled(10)
        _ = try StoreBackup(to: file).write(of: source)
        return try bytes(file)
    }

    private func write(_ bytes: [UInt8], to disk: SimulatedDisk) throws {
        let file = try disk.open("/b", .create)
        try file.append(bytes)
        try file.sync()
        try disk.syncDirectory("/")
    }

    /// What a server makes of the directory.
    private func outcome(_ disk: SimulatedDisk, _ table: SimulatedTable, mustBeWhole: Bool) throws -> String {
        let isUntouched = !disk.paths.contains { $0.hasPrefix("/data/") }
        do {
            _ = try EmbeddedStore.open(
                "/data", lanes: ManualLanes(), random: SeededRandom(seed: 6), files: disk, tables: table.opener)
        } catch {
            #expect(!mustBeWhole, "\(error)")
            return "refused"
        }
        if table.count == 15 { return "whole" }
        #expect(isUntouched && !mustBeWhole && table.count == 0, "half a store is served: \(disk.paths), \(table.count)")
        return "untouched"
    }
}

/// The disk of this machine, on which the n-th append fails.
private final class FailingFiles: FileSystem, @unchecked Sendable {
    private let real = PosixFileSystem()
    private let error: EmbeddedError
    fileprivate var appendsLeft: Int

    init(_ error: EmbeddedError, at append: Int) {
        self.error = error
        appendsLeft = append
    }

    private final class FailingFile: File, @unchecked Sendable {
        let real: any File
        let files: FailingFiles

        init(_ real: any File, _ files: FailingFiles) {
            self.real = real
            self.files = files
        }

        func append(_ bytes: [UInt8]) throws(EmbeddedError) {
            files.appendsLeft -= 1
            if files.appendsLeft <= 0 { throw files.error }
            try real.append(bytes)
        }
        func sync() throws(EmbeddedError) { try real.sync() }
        func reserve(_ bytes: Int) throws(EmbeddedError) { try real.reserve(bytes) }
        func overwrite(at offset: Int, _ bytes: [UInt8]) throws(EmbeddedError) { try real.overwrite(at: offset, bytes) }
        func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8] { try real.read(at: offset, count: count) }
        func truncate(to size: Int) throws(EmbeddedError) { try real.truncate(to: size) }
        func size() throws(EmbeddedError) -> Int { try real.size() }
    }

    func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File {
        FailingFile(try real.open(path, mode), self)
    }
    func exists(_ path: String) throws(EmbeddedError) -> Bool { try real.exists(path) }
    func list(_ directory: String) throws(EmbeddedError) -> [String] { try real.list(directory) }
    func createDirectory(_ path: String) throws(EmbeddedError) { try real.createDirectory(path) }
    func remove(_ path: String) throws(EmbeddedError) { try real.remove(path) }
    func rename(_ path: String, to newPath: String) throws(EmbeddedError) { try real.rename(path, to: newPath) }
    func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory { try real.openDirectory(path) }
    func freeBytes(_ path: String) throws(EmbeddedError) -> Int { try real.freeBytes(path) }
    func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock { try real.lock(directory) }
    func owner(of directory: String) throws(EmbeddedError) -> String? { try real.owner(of: directory) }
}
