// Scans of open work while the shop goes on: what was committed is seen, and the work does not grow with the pages.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Scans of open work")
struct ScanTests {
    private func scan(_ world: World, _ group: GroupKey, after cursor: RecordKey? = nil) throws -> [Member] {
        let answer = Box<[(key: RecordKey, record: Record)]>()
        world.store.scanOpenWork(group.kind, partition: Partition.of(group.id), after: cursor) { answer.value = try? $0.get() }
        return try #require(answer.value).map(\.key.member)
    }

    @Test("what changes again behind a scan, before any handover, is seen by the next page")
    func changesAgain() throws {
        let world = try World()
        try world.write(item(1), [(.head, account(9)), (.hold(saga(1)), hold(1))])
        try world.write(item(1), [(.hold(saga(2)), hold(2))])
        try world.write(item(1), [(.hold(saga(2)), nil)])
        #expect(try scan(world, item(1)) == [.hold(saga(1))])
        try world.write(item(1), [(.hold(saga(1)), nil), (.hold(saga(2)), hold(2))])
        #expect(try scan(world, item(1)) == [.hold(saga(2))])
        try world.write(item(1), [(.hold(saga(1)), hold(1))])
        #expect(try scan(world, item(1)) == [.hold(saga(1)), .hold(saga(2))])
        world.sync()
        try world.write(item(1), [(.hold(saga(1)), nil)])
        #expect(try scan(world, item(1)) == [.hold(saga(2))])
        world.sync()
        #expect(world.store.cache.openWorkRecords == 1)
    }

    @Test("a scan of all partitions during a large batch looks at each changed record once")
    func isLinear() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        for number in 1...20_000 { try world.write(item(number), [(.head, account(1)), (.hold(saga(1)), hold(1))]) }
        let clock = ContinuousClock()
        var found = 0
        var seconds: [Double] = []
        for _ in 0..<2 {
            seconds.append(
                clock.measure {
                    for partition in 0..<Partition.count {
                        world.store.scanOpenWork(.item, partition: partition, after: nil) {
                            found += (try? $0.get().count) ?? 0
                        }
                    }
                } / .seconds(1))
        }
        #expect(found == 40_000)
        // 256 walks over 40,000 changed records take seconds in a debug build; the second scan walks over none.
        #expect(seconds[1] < 0.5, "\(seconds)")
    }

    @Test("pages of one account with very many holds are found without a look at those before them")
    func manyPages() throws {
        let world = try World { options, _ in options.cacheRecords = 100_000 }
        for hundred in 0..<100 {
            try world.write(item(1), (0..<100).map { (.hold(saga(hundred * 100 + $0)), hold(1)) })
        }
        world.sync()
        let clock = ContinuousClock()
        var pages = 0
        var found: [Member] = []
        let first = try clock.measure { found = try scan(world, item(1)) }
        let rest = try clock.measure {
            while let last = found.last, pages < 40 {
                pages += 1
                found = try scan(world, item(1), after: RecordKey(item(1), last))
            }
        }
        #expect(pages == 10)
        #expect(rest < first, "one sort, and 9 pages: \(first), \(rest)")
    }
}
