// Stores of older releases are listed at their first start, slice by slice, whatever comes between.

import Foundation
import GRDB
import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

// GRDB has a Record too.
import enum KontorCore.Record

@testable import KontorEmbedded

@Suite("Lists of older stores")
struct ListCompletionTests {
    private func order(_ number: Int) -> GroupKey { GroupKey(.order, Identifier(number: number)) }

    private func head(_ number: Int, created: Int64 = 0) -> Record {
        .order(Order(user: Identifier(number: number % 7), incarnation: UInt64(number) + 1, created: created))
    }

    private func list(_ world: World, _ range: IndexRange, atMost bound: Int = 20_000) -> Result<IndexPart, StoreError>? {
        var found: Result<IndexPart, StoreError>?
        world.store.scan(range, atMost: bound) { found = $0 }
        world.lanes.stepAll(.read)
        return found
    }

    /// Heads without entries of the lists, as an older release writes them.
    private func writeOld(_ world: World, _ numbers: Range<Int>) throws {
        for number in numbers { try world.write(order(number), [(.head, head(number))]) }
        for number in numbers.prefix(5) {
            try world.write(item(number), [(.head, account(1)), (.payment(order: id("o")), payment(1))])
        }
        world.sync()
    }

    @Test("lists are refused until all that an older release wrote is listed, its journal too")
    func oldStore() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        let count = 2 * EmbeddedLimits.listSlice + 10
        try writeOld(world, 0..<count)
        world.rest()
        // These are in the journal alone.
        try writeOld(world, count..<(count + 20))
        world.disk.kill()
        world.table.loseLists()
        try world.open()
        guard case .failure(.unreachable(let reason))? = list(world, .list(of: .order, behind: nil)) else {
            Issue.record("an incomplete list was given")
            return
        }
        #expect(reason.contains("lists are being made"))
        #expect(try list(world, .trail(behind: nil))?.get().entries.isEmpty == true, "the trail is not refused")
        world.rest()
        let found = try #require(try list(world, .list(of: .order, behind: nil))?.get())
        #expect(Set(found.entries.map(\.key.group)) == Set((0..<(count + 20)).map(order)))
        #expect(found.entries.count == count + 20)
        #expect(try list(world, .list(of: .item, behind: nil))?.get().entries.count == 10)
        #expect(
            try list(world, .orders(of: id("3"), behind: nil))?.get().entries.count
                == (0..<(count + 20)).filter { $0 % 7 == 3 }.count)
        #expect(world.events.notices.contains { $0.contains("All accounts and orders are listed") })
        // It is done once.
        try world.restart()
        #expect(try list(world, .list(of: .order, behind: nil))?.get().entries.count == count + 20)
    }

    @Test("a kill between two slices costs nothing, and what is replaced meanwhile is listed as it is now")
    func kills() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        let count = 3 * EmbeddedLimits.listSlice
        try writeOld(world, 0..<count)
        world.rest()
        world.disk.kill()
        world.table.loseLists()
        try world.open()
        // One slice, then the next one is under way when the process dies.
        world.tick()
        _ = world.lanes.step(.fold)
        for number in [0, count - 1] {
            let new = ListEntry(created: 77, user: id("9"))
            try world.write(
                order(number),
                [
                    (.head, .order(Order(user: id("9"), incarnation: 99, created: 77))),
                    (.listed(ListEntry(created: 0, user: Identifier(number: number % 7))), nil), (.listed(new), .listed),
                ])
        }
        world.sync()
        try world.restart()
        world.rest()
        world.rest()
        let found = try #require(try list(world, .list(of: .order, behind: nil))?.get())
        #expect(found.entries.count == count)
        #expect(found.entries.prefix(2).map(\.key.group) == [order(0), order(count - 1)])
        #expect(try list(world, .orders(of: id("9"), behind: nil))?.get().entries.count == 2)
    }

    @Test("a table that fails is tried again later, and serves meanwhile")
    func failures() throws {
        let world = try World()
        try writeOld(world, 0..<10)
        world.rest()
        world.disk.kill()
        world.table.loseLists()
        try world.open()
        world.table.isLocked = true
        world.rest()
        #expect(world.events.warnings.contains { $0.contains("The lists could not be made") })
        #expect(try world.load(order(3)).head == head(3))
        world.table.isLocked = false
        world.tick(EmbeddedLimits.listRetryMilliseconds)
        world.rest()
        #expect(try list(world, .list(of: .order, behind: nil))?.get().entries.count == 10)
    }

    @Test("a page is of bounded work: where all was replaced it is empty, and goes on")
    func tombstones() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        let old = (0..<500).map { ListEntry(created: Int64($0), user: id("u")) }
        for number in 0..<500 { try world.write(order(number), [(.head, head(number)), (.listed(old[number]), .listed)]) }
        world.sync()
        world.rest()
        for number in 0..<500 { try world.write(order(number), [(.listed(old[number]), nil)]) }
        world.sync()
        var next: ListCursor?
        var pages = 0
        repeat {
            let part = try #require(try list(world, .list(of: .order, behind: next), atMost: 100)?.get())
            #expect(part.entries.isEmpty)
            next = part.next.flatMap { key in
                if case .listed(let entry) = key.member { ListCursor(key.group, entry) } else { nil }
            }
            pages += 1
        } while next != nil && pages < 20
        #expect((2...6).contains(pages))
    }
}

@Suite("Lists in SQLite")
final class SQLiteListTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    @Test("a table of the format before is listed in slices, and knows how far it is")
    func upgrade() throws {
        try PosixFileSystem().createDirectory(directory + "/journal")
        try JournalWriter.create(files: PosixFileSystem(), paths: JournalPaths(directory), storeID: 7)
        let table = try SQLiteTable.opener.create(directory, 7)
        #expect(try table.isListed())
        var changes: [JournalChange] = []
        for number in 0..<25 {
            let group = GroupKey(.order, Identifier(number: number))
            let user = Identifier(number: number % 3)
            changes.append(JournalChange(key: RecordKey(group, .head), record: .order(Order(user: user, incarnation: 1))))
            changes.append(
                JournalChange(
                    key: RecordKey(group, .receipt(incarnation: 3)), record: .order(Order(user: user, incarnation: 3))))
        }
        try table.apply(slice(changes))
        table.close()
        let older = try DatabaseQueue(path: directory + "/table.sqlite")
        try older.write { database in
            try database.execute(
                sql: "DROP TABLE lists; DROP TABLE unlisted; UPDATE meta SET value = 3 WHERE name = 'format'")
        }
        try older.close()
        try EmbeddedSnapshot(directory: directory).forEach { _, _ in }
        var slices = 0
        while true {
            // Opened anew each time, as after a kill.
            let table = try #require(try SQLiteTable.opener.open(directory))
            defer { table.close() }
            #expect(try !table.isListed())
            slices += 1
            if try table.listSlice(atMost: 20).isLast { break }
        }
        #expect(slices == 3)
        let listed = try #require(try SQLiteTable.opener.open(directory))
        #expect(try listed.isListed())
        #expect(try listed.scan(.list(of: .order, behind: nil), atMost: 100).count == 25)
        #expect(try listed.scan(.orders(of: id("1"), behind: nil), atMost: 100).count == 8)
        listed.close()
        var found = 0
        try EmbeddedSnapshot(directory: directory).forEach { key, _ in if key.member.isIndexed { found += 1 } }
        #expect(found == 25, "an order has two keys in the lists, and is one record")
    }

    private func slice(_ changes: [JournalChange]) throws -> FoldSlice {
        let bytes = JournalFrame.encoded(changes, sequence: 1)
        let frame = try #require(bytes.withUnsafeBytes { JournalFrame.find(in: $0, at: 0) })
        return FoldSlice(bytes: bytes, changes: FoldWorker.coalesce([frame], bytes), through: 0)
    }
}
