// The lists of a store over a real Redis that an older release wrote: refused until they are made, and made while the
// shop runs.

import KontorCore
import KontorService
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import KontorRedis

@Suite(.enabled(if: isRedisInstalled), .serialized) struct ListsTests {
    private func order(_ number: Int) -> GroupKey { GroupKey(.order, Identifier(number: number)) }

    private func scan(_ stage: StoreStage, _ range: IndexRange, atMost bound: Int = 10_000) throws -> Result<
        IndexPart, StoreError
    > {
        try stage.call { store, done in store.scan(range, atMost: bound, completion: done) }
    }

    private func complete(_ stage: StoreStage) throws -> Int {
        try stage.withClient { client, done in
            RedisLists.complete([client], progress: { _ in }) { done($0.mapError { $0 }) }
        }
    }

    @Test func `a new store has lists; without their mark they are refused, and kontor upgrade makes them`() throws {
        let stage = try StoreStage()
        #expect(try scan(stage, .list(of: .order, behind: nil)).get().entries.isEmpty)
        for number in 0..<300 {
            let change = GroupChange(
                group: order(number), expected: .absent,
                writes: [(.head, .order(Order(user: Identifier(number: number % 3), incarnation: 1)))])
            #expect(try stage.call { store, done in store.commit([change]) { done($0[0]) } } == .committed)
            try stage.write(item(number), 5)
        }
        // A group without a head is in no list.
        let headless = GroupChange(group: order(999), expected: .absent, writes: [(.head, nil)])
        #expect(try stage.call { store, done in store.commit([headless]) { done($0[0]) } } == .committed)
        try stage.command("DEL", RedisKeys.listed)
        try stage.renewStore()
        guard case .failure(.unreachable(let reason)) = try scan(stage, .list(of: .order, behind: nil)) else {
            Issue.record("lists were given that are not complete")
            return
        }
        #expect(reason.contains("kontor upgrade --finish"))
        #expect(try scan(stage, .trail(behind: nil)).get().entries.isEmpty)
        #expect(try complete(stage) == 601)
        #expect(try complete(stage) == 0, "it is done once")
        #expect(
            Set(try scan(stage, .list(of: .order, behind: nil)).get().entries.map(\.key.group)) == Set((0..<300).map(order)))
        #expect(try scan(stage, .list(of: .item, behind: nil)).get().entries.count == 300)
        #expect(try scan(stage, .orders(of: id("2"), behind: nil)).get().entries.count == 100)
    }

    @Test func `what is replaced between its look and its entry is listed as it is then`() throws {
        let stage = try StoreStage()
        let old = Order(user: id("u"), incarnation: 1)
        let new = Order(user: id("v"), incarnation: 2, created: 7)
        let create = GroupChange(group: order(1), expected: .absent, writes: [(.head, .order(old))])
        #expect(try stage.call { store, done in store.commit([create]) { done($0[0]) } } == .committed)
        try stage.command("DEL", RedisKeys.listed)
        let name = RedisKeys.head(order(1), Partition.of(order(1).id))
        let seen = try stage.command("GET", name)
        let loaded = try #require(try stage.load([order(1)]).first).get()
        let replace = GroupChange(
            group: order(1), expected: loaded.version,
            writes: [(.head, .order(new)), (.listed(old.listEntry), nil), (.listed(new.listEntry), .listed)])
        #expect(try stage.call { store, done in store.commit([replace]) { done($0[0]) } } == .committed)
        // The script of a walk that read the head before.
        let stale = try ListCall([name], [seen])
        let changed: [RESPValue] = try stage.withClient { client, done in
            client.send([stale.command(Partition.of(order(1).id))], slot: 0, lane: .writes, deadline: .now() + .seconds(5)) {
                done($0.mapError { $0 })
            }
        }
        #expect(changed.first?.elements?.compactMap(\.int) == [1])
        #expect(try complete(stage) == 1)
        try stage.renewStore()
        let found = try scan(stage, .list(of: .order, behind: nil)).get().entries
        #expect(found.map(\.key) == [RecordKey(order(1), .listed(new.listEntry))])
        #expect(try scan(stage, .orders(of: id("u"), behind: nil)).get().entries.isEmpty)
    }

    @Test func `in format 3 nothing is listed, and lists are refused`() throws {
        let stage = try StoreStage()
        let old = StoreEpoch(shop: stage.epoch.shop, format: .three)
        for partition in 0..<Partition.count {
            try stage.command("SET", RedisKeys.epoch(partition), String(decoding: old.bytes(partition), as: UTF8.self))
        }
        try stage.renewStore(format: .three)
        let entry = ListEntry(created: 1, user: id("u"))
        let change = GroupChange(
            group: order(1), expected: .absent,
            writes: [(.head, .order(Order(user: id("u"), incarnation: 1, created: 1))), (.listed(entry), .listed)])
        #expect(try stage.call { store, done in store.commit([change]) { done($0[0]) } } == .committed)
        let lists = RedisKeys.index(.lists, Partition.of(order(1).id))
        #expect(try stage.command("EXISTS", lists).int == 0)
        guard case .failure(.unreachable(let reason)) = try scan(stage, .list(of: .order, behind: nil)) else {
            Issue.record("lists were given in format 3")
            return
        }
        #expect(reason.contains("kontor upgrade --finish"))
    }
}
