import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Records that expire")
struct ExpiryTests {
    private func member(_ number: Int) throws -> Member { .key(try #require(IdempotencyKey("key-\(number)"))) }

    private func kept(until expires: Int64) -> Record { .key(KeptKey(request: [7], expires: expires)) }

    private func write(_ world: World, _ numbers: Range<Int>, expires: (Int) -> Int64) throws {
        for number in numbers { try world.write(item(number), [(try member(number), kept(until: expires(number)))]) }
        world.sync()
    }

    @Test("they are counted exactly, in the journal, in the table, written anew and after a restart")
    func counted() throws {
        let world = try World()
        try write(world, 0..<30) { _ in 1_000 }
        #expect(world.store.expiringRecords == 30)
        world.rest()
        #expect(world.store.expiringRecords == 30)
        try write(world, 20..<50) { _ in 2_000 }
        try world.restart()
        #expect(world.store.expiringRecords == 60, "an upper bound while the journal is not folded")
        world.rest()
        #expect(world.store.expiringRecords == 50)
    }

    @Test("the table loses those whose time is over, and no others")
    func removed() throws {
        let world = try World()
        try write(world, 0..<40) { Int64($0 * 100) }
        world.rest()
        world.store.tick(now: 1_000_000, wall: 2_000)
        world.lanes.runAll()
        #expect(world.store.expiringRecords == 19)
        try world.restart()
        for number in [0, 20] { #expect(try world.load(item(number), member(number)).member == nil, "\(number)") }
        for number in [21, 39] {
            #expect(try world.load(item(number), member(number)).member == kept(until: Int64(number * 100)), "\(number)")
        }
    }

    @Test("one that was written anew since stays")
    func renewed() throws {
        let world = try World()
        try write(world, 0..<2) { _ in 1_000 }
        world.rest()
        try write(world, 0..<1) { _ in 9_000 }
        world.store.tick(now: 1_000_000, wall: 5_000)
        world.lanes.runAll()
        world.rest()
        try world.restart()
        #expect(try world.load(item(0), member(0)).member == kept(until: 9_000))
        #expect(try world.load(item(1), member(1)).member == nil)
        #expect(world.store.expiringRecords == 1)
    }

    @Test("many are removed slice by slice, without a pause between the slices")
    func slices() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        let count = EmbeddedLimits.expireSlice * 2 + 5
        for number in 0..<count {
            var draft = GroupDraft(item(number))
            draft[try member(number)] = kept(until: 10)
            let version = try world.load(item(number)).version
            world.store.commit([GroupChange(expected: version, draft: draft)]) { _ in }
        }
        world.sync()
        world.rest()
        #expect(world.store.expiringRecords == count)
        world.store.tick(now: 1_000_000, wall: 11)
        world.lanes.runAll()
        #expect(world.store.expiringRecords == 0)
    }

    @Test("old entries of the audit trail go slice by slice without a pause, also where nothing else expires")
    func trailSlices() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        let note = TrailNote(principal: "p", address: "", operation: "addStock", arguments: [])
        for number in 0..<(EmbeddedLimits.expireSlice * 2 + 5) {
            var draft = GroupDraft(item(number))
            draft[.trail(TrailID(time: 1_000, number: UInt64(number)))] = .trail(note)
            world.store.commit([GroupChange(expected: .absent, draft: draft)]) { _ in }
        }
        world.sync()
        world.rest()
        let over = 1_001 + Limits.trailMilliseconds
        for hour in [0, EmbeddedLimits.trailLookMilliseconds] {
            world.store.tick(now: world.now + hour, wall: over)
            world.lanes.runAll()
        }
        var found: TrailPart?
        world.store.scanTrail(behind: nil, atMost: 1) { found = try? $0.get() }
        world.lanes.stepAll(.read)
        #expect(found == TrailPart(entries: [], next: nil))
    }
}
