// What a journal says after its bytes were damaged, torn or cut, and what it refuses.

import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Journal")
struct JournalTests {
    /// Five frames of two records each in one segment.
    private func filled() throws -> (world: World, path: String, frames: [JournalFrame.Found]) {
        let world = try World()
        for number in 1...5 { try world.batch(number, records: 2) }
        let path = try #require(world.segments.first)
        let bytes = try #require(world.disk.content(path))
        var frames: [JournalFrame.Found] = []
        var offset = SegmentHeader.bytes
        while let frame = bytes.withUnsafeBytes({ JournalFrame.find(in: $0, at: offset) }) {
            frames.append(frame)
            offset = frame.end
        }
        #expect(frames.map(\.sequence) == [1, 2, 3, 4, 5])
        #expect(offset == bytes.count)
        return (world, path, frames)
    }

    /// Puts these files in the place of everything that the journal has.
    private func replaceJournal(_ world: World, _ files: [(path: String, bytes: [UInt8])]) throws {
        for path in world.disk.paths { try world.disk.remove(path) }
        for (path, bytes) in files {
            _ = try world.disk.open(path, .create)
            world.disk.overwrite(path, bytes)
        }
    }

    private func damage(_ world: World) -> EmbeddedError? {
        do throws(EmbeddedError) {
            try world.restart()
            return nil
        } catch {
            return error
        }
    }

    @Test("what was synced is there after a kill")
    func replay() throws {
        let (world, _, _) = try filled()
        try world.restart()
        #expect(try world.heads([1, 5, 1_005, 6]) == [account(1), account(5), account(5), nil])
        #expect(world.store.startReport.recordsReplayed == 10)
        #expect(world.store.startReport.tornBytesCut == 0)
    }

    @Test("a flipped bit with a valid frame behind it is damage, with file and offset")
    func flippedBit() throws {
        let (world, path, frames) = try filled()
        let bytes = try #require(world.disk.content(path))
        for frame in frames.dropLast() {
            for offset in frame.start..<frame.end {
                var flipped = bytes
                flipped[offset] ^= 1 << UInt8(offset % 8)
                world.disk.overwrite(path, flipped)
                guard case .damage(path, frame.start, _)? = damage(world) else {
                    Issue.record("offset \(offset) in frame \(frame.sequence) was not noticed")
                    return
                }
            }
        }
    }

    @Test("a flipped bit in the last frame is a torn tail: it is cut, and everything before it is there")
    func tornTail() throws {
        let (world, path, frames) = try filled()
        let bytes = try #require(world.disk.content(path))
        let last = try #require(frames.last)
        for offset in last.start..<last.end {
            var flipped = bytes
            flipped[offset] ^= 0x10
            try replaceJournal(world, [(path, flipped)])
            try world.restart()
            #expect(world.store.startReport.tornBytesCut == last.end - last.start)
            let before = try #require(frames.dropLast().last)
            #expect(world.disk.content(path)?.count == before.start, "the last good frame has moved to a new segment")
            #expect(try world.heads([4, 5]) == [account(4), nil])
        }
    }

    @Test("cut at any byte, a journal is exactly the frames before the cut")
    func everyTruncation() throws {
        let (world, path, frames) = try filled()
        let bytes = try #require(world.disk.content(path))
        for size in 0...bytes.count {
            try replaceJournal(world, [(path, Array(bytes.prefix(size)))])
            try world.restart()
            let whole = frames.filter { $0.end <= size }.count
            let expected: [Record?] = (1...5).map { $0 <= whole ? account(Int64($0)) : nil }
            #expect(try world.heads([1, 2, 3, 4, 5]) == expected, "cut at \(size)")
            #expect(try world.heads([1_001, 1_002, 1_003, 1_004, 1_005]) == expected, "cut at \(size)")
            // And it goes on from there.
            try world.batch(9)
            try world.restart()
            #expect(try world.heads([9]) == [account(9)], "cut at \(size)")
        }
    }

    @Test("zeros at the tail are cut")
    func zeros() throws {
        let (world, path, _) = try filled()
        let bytes = try #require(world.disk.content(path))
        for count in [1, 4, 19, 20, 21, 4_096] {
            try replaceJournal(world, [(path, bytes + [UInt8](repeating: 0, count: count))])
            try world.restart()
            #expect(world.store.startReport.tornBytesCut == count)
            #expect(try world.heads([5]) == [account(5)])
        }
    }

    @Test("a missing segment is damage")
    func gap() throws {
        let world = try World { options, _ in options.segmentBytes = 200 }
        for number in 1...8 { try world.batch(number) }
        #expect(world.segments.count >= 3)
        let bytes = world.segments.map { ($0, world.disk.content($0) ?? []) }
        for (path, _) in bytes.dropLast() {
            try world.disk.remove(path)
            guard case .damage? = damage(world) else {
                Issue.record("\(path) was not missed")
                return
            }
            _ = try world.disk.open(path, .create)
            for (path, content) in bytes { world.disk.overwrite(path, content) }
        }
        try world.restart()
        #expect(try world.heads([1, 8]) == [account(1), account(8)])
    }

    @Test("a torn frame in a segment that another one follows is damage")
    func tornInTheMiddle() throws {
        let world = try World { options, _ in options.segmentBytes = 200 }
        for number in 1...8 { try world.batch(number) }
        let first = try #require(world.segments.first)
        let bytes = try #require(world.disk.content(first))
        world.disk.overwrite(first, Array(bytes.dropLast(3)))
        guard case .damage(first, _, _)? = damage(world) else {
            Issue.record("not noticed")
            return
        }
    }

    @Test("the loss of the newest segment is damage, and so is a directory that cannot be listed to its end")
    func newestSegment() throws {
        let world = try World { options, _ in options.segmentBytes = 200 }
        for number in 1...8 { try world.batch(number) }
        let newest = try #require(world.segments.last)
        let bytes = try #require(world.disk.content(newest))
        try world.disk.remove(newest)
        #expect(
            damage(world)
                == .damage(file: newest, offset: 0, reason: "the journal's newest segment is gone, or one behind it"))
        _ = try world.disk.open(newest, .create)
        world.disk.overwrite(newest, bytes)
        world.disk.listingsToFail = 1
        #expect(damage(world) == .system(call: "readdir", path: "/data/journal", code: 5))
        try world.restart()
        #expect(try world.heads([1, 8]) == [account(1), account(8)])
    }

    @Test("a journal of an older release, which named no newest segment, is opened, and names it from then on")
    func withoutNewest() throws {
        let (world, path, _) = try filled()
        try replaceJournal(world, [(path, try #require(world.disk.content(path)))])
        try world.restart()
        #expect(try world.heads([1, 5]) == [account(1), account(5)])
        #expect(world.disk.paths.filter { $0.contains("newest-") } == ["/data/journal/newest-00000000000000000005"])
    }

    @Test("a start that ends between the new segment and the cut of the one before it leaves a journal that is whole")
    func overlap() throws {
        for (cut, added) in [(0, []), (0, [1, 2, 3]), (1, [])] as [(Int, [UInt8])] {
            let (world, path, frames) = try filled()
            let whole = try #require(world.disk.content(path))
            try world.restart()
            let (before, after) = (world.segments[0], world.segments[1])
            let moved = try #require(world.disk.content(after))
            #expect(world.disk.content(before)?.count == frames[4].start)
            try replaceJournal(world, [(before, Array(whole.dropLast(cut)) + added), (after, moved)])
            try world.restart()
            #expect(try world.heads([1, 4, 5]) == [account(1), account(4), account(5)])
            try world.batch(6)
            world.rest()
            #expect(world.table.slicesApplied > 0 && world.store.failure == nil)
            try world.restart()
            #expect(try world.heads([1, 4, 5, 6]) == [account(1), account(4), account(5), account(6)])
        }
    }

    @Test("a segment of a newer format is refused as such")
    func newerFormat() throws {
        let (world, path, _) = try filled()
        var bytes = try #require(world.disk.content(path))
        bytes[8] = 9
        let checksum = bytes[..<28].withUnsafeBytes { CRC32C.checksum($0) }
        for index in 0..<4 { bytes[28 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
        world.disk.overwrite(path, bytes)
        #expect(damage(world) == .newerFormat(file: path, version: 9))
    }

    @Test("a segment of another store is refused")
    func foreignSegment() throws {
        let (world, path, _) = try filled()
        world.disk.overwrite(path, SegmentHeader(storeID: 99, firstSequence: 1).encoded())
        guard case .damage(path, 0, _)? = damage(world) else {
            Issue.record("not noticed")
            return
        }
    }

    @Test("a journal that is gone is damage, and so is one that ends before the table's position")
    func lostJournal() throws {
        let (world, path, _) = try filled()
        world.rest()
        let bytes = try #require(world.disk.content(path))
        world.disk.overwrite(path, Array(bytes.prefix(SegmentHeader.bytes)))
        guard case .damage(path, _, _)? = damage(world) else {
            Issue.record("a cut journal was not noticed")
            return
        }
        try world.disk.remove(path)
        guard case .damage? = damage(world) else {
            Issue.record("a lost journal was not noticed")
            return
        }
    }

    @Test("a lost table is made again from a whole journal")
    func lostTable() throws {
        let (world, _, _) = try filled()
        world.rest()
        world.disk.kill()
        let store = try EmbeddedStore.open(
            "/data", options: world.options, lanes: ManualLanes(), random: SeededRandom(seed: 3), files: world.disk,
            tables: SimulatedTable().opener)
        #expect(store.startReport.recordsReplayed == 10)
    }

    @Test("CRC-32C has the published check value, in any alignment and in parts")
    func checksum() {
        let digits = Array("123456789".utf8)
        #expect(digits.withUnsafeBytes { CRC32C.checksum($0) } == 0xE306_9283)
        let bytes = (0..<100).map { UInt8($0 &* 37 & 255) }
        for split in 0...100 {
            let first = bytes[..<split].withUnsafeBytes { CRC32C.checksum($0) }
            let both = bytes[split...].withUnsafeBytes { CRC32C.checksum($0, seed: first) }
            #expect(both == bytes.withUnsafeBytes { CRC32C.checksum($0) })
        }
    }
}
