// Masters that must not be used, and records that cannot be read, over real servers.

import KontorCore
import KontorService
import RedisClient
import RedisSupport
import Testing

@testable import KontorRedis

@Suite(.enabled(if: isRedisInstalled)) struct ShardTests {
    /// `WAIT` behind an `MGET` on its connection covers what others wrote before.
    @Test func `what others wrote is read only when the replicas have it`() throws {
        let stage = try StoreStage(replicas: 1)
        #expect(try stage.write(item(1), 5) == .committed)
        stage.replica?.pause()
        try stage.command("SET", RedisKeys.probe(0), "somebody's write")
        let text = try #require(try stage.load([item(1)])[0].errorText)
        #expect(text.contains("0 of its replicas confirm"), "\(text)")
        // From now on it is refused at once, and said so.
        let began = ContinuousClock.now
        #expect(try !stage.load([item(1)])[0].isRead)
        #expect(ContinuousClock.now - began < .milliseconds(200))
        let troubles = try stage.troubles()
        #expect(troubles.map(\.kind) == [.shard] && troubles[0].part.contains("\(stage.master.port)"), "\(troubles)")
        stage.replica?.proceed()
        try stage.waitFor("it is used again") { try stage.load([item(1)])[0].isRead }
        #expect(try stage.troubles() == [])
    }

    @Test func `a commit that the replicas do not confirm is unknown, and the next one is refused`() throws {
        let stage = try StoreStage(replicas: 1)
        stage.replica?.pause()
        var draft = GroupDraft(item(1))
        draft[.head] = .account(Account())
        let change = GroupChange(expected: .absent, draft: draft)
        let outcome: CommitOutcome = try stage.call { store, done in store.commit([change]) { done($0[0]) } }
        guard case .unknown = outcome else {
            Issue.record("\(outcome)")
            return
        }
        let next: CommitOutcome = try stage.call { store, done in store.commit([change]) { done($0[0]) } }
        guard case .refused(.unreachable) = next else {
            Issue.record("\(next)")
            return
        }
    }

    @Test(arguments: [
        ("no-appendfsync-on-rewrite", "yes", "no"), ("appendfsync", "everysec", "always"), ("appendonly", "no", "yes"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ])
    func `a setting that changes while it runs ends the use of its master`(
        name: String, wrong: String, right: String
    ) throws {
        let stage = try StoreStage()
        #expect(try stage.write(item(1), 5) == .committed)
        try stage.command("CONFIG", "SET", name, wrong)
        try stage.waitFor("it is not used") { try stage.load([item(1)])[0].errorText?.contains("\(name) \(wrong)") == true }
        try stage.command("CONFIG", "SET", name, right)
        try stage.waitFor("it is used again") { try stage.load([item(1)])[0].isRead }
        #expect(try stage.write(item(1), 6) == .committed)
    }

    /// Found on a3307ad: ordinary checkouts filled Payment's Redis, and then none could end (A6).
    @Test func `while a master fills up nothing new begins, what has begun ends, and room is used at once`() throws {
        let stage = try StoreStage()
        #expect(try stage.write(item(1), 5) == .committed)
        func admission() throws -> StoreError? { try stage.call { store, done in done(store.admission) } }
        #expect(try admission() == nil)
        let used = try #require(try RedisInfo.number("used_memory", in: stage.command("INFO", "memory").string ?? ""))
        try stage.command("CONFIG", "SET", "maxmemory", "\(used / 95 * 100)")
        try stage.waitFor("it fills up") { try admission() == .memoryFull }
        #expect(try stage.write(item(1), 6) == .committed)
        try stage.command("CONFIG", "SET", "maxmemory", "\(10 * used)")
        try stage.waitFor("there is room") { try admission() == nil }
    }

    @Test func `a master that was made a replica is not used`() throws {
        let stage = try StoreStage()
        #expect(try stage.write(item(1), 5) == .committed)
        try stage.command("CONFIG", "SET", "replica-serve-stale-data", "yes")
        try stage.command("REPLICAOF", "127.0.0.1", "1")
        try stage.waitFor("it is not used") { try stage.load([item(1)])[0].errorText?.contains("not a master") == true }
        try stage.command("REPLICAOF", "NO", "ONE")
        try stage.waitFor("it is used again") { try stage.load([item(1)])[0].isRead }
    }

    @Test func `a record that cannot be read fails its own read set, and is named`() throws {
        let stage = try StoreStage()
        for number in 0..<5 { #expect(try stage.write(item(number), 5) == .committed) }
        let name = RedisKeys.head(item(3), Partition.of(item(3).id))
        try stage.command("SET", name, "0123456789abcdef\u{9}newer")
        let loaded = try stage.load((0..<5).map { item($0) })
        #expect(loaded.map(\.isRead) == [true, true, true, false, true])
        guard case .failure(.unreadable(let text)) = loaded[3] else {
            Issue.record("\(loaded[3])")
            return
        }
        #expect(text.contains(name))
        #expect(try stage.troubles().map(\.kind) == [.record])
    }

    @Test func `a scan leaves out what cannot be read, and goes on behind it`() throws {
        let stage = try StoreStage()
        let order = GroupKey(.order, Identifier(number: 7))
        let partition = Partition.of(order.id)
        let index = RedisKeys.open(.order, partition)
        let head = RedisKeys.head(order, partition)
        // More than a page that cannot be read, then one that can.
        for first in stride(from: 0, to: 1_100, by: 100) {
            let names = (first..<first + 100).map { "\(head)/hold/a/1/\(1_000 + $0)" }
            try stage.commands(names.map { ["SET", $0, "\u{9}"] } + [["ZADD", index] + names.flatMap { ["0", $0] }])
        }
        let last = SagaID(order: try #require(Identifier("z")), incarnation: 1, attempt: 1)
        let record = Record.hold(Hold(amount: Amount(1), state: .held))
        var draft = GroupDraft(order)
        draft[.hold(last)] = record
        let change = GroupChange(expected: .absent, draft: draft)
        let outcome: CommitOutcome = try stage.call { store, done in store.commit([change]) { done($0[0]) } }
        #expect(outcome == .committed)
        let page: Result<[(key: RecordKey, record: Record)], StoreError> = try stage.call { store, done in
            store.scanOpenWork(.order, partition: partition, after: nil, completion: done)
        }
        #expect(try page.get().map(\.record) == [record])
    }
}
