// What the store writes into Redis, byte for byte: keys, and the calls of the commit script. An older release must be
// able to read it.

import KontorCore
import KontorService
import NIOCore
import Testing

@testable import KontorRedis
@testable import RedisClient

private let item = GroupKey(.item, Identifier(number: 42))
private let order = GroupKey(.order, Identifier(number: 77))
private let saga = SagaID(order: Identifier(number: 77), incarnation: 0xABC, attempt: 2)

@Suite struct KeyTests {
    private let members: [(GroupKey, Member, String)] = [
        (item, .head, "{TAG}item:42"), (item, .hold(saga), "{TAG}item:42/hold/77/abc/2"),
        (order, .saga, "{TAG}order:77/saga"),
        (GroupKey(.user, Identifier(number: 5)), .payment(order: Identifier(number: 77)), "{TAG}user:5/payment/77"),
        (item, .receipt(incarnation: 0x1F), "{TAG}item:42/receipt/1f"),
    ]

    @Test func `a record's key names its partition, group and member, and is read back`() throws {
        for (group, member, expected) in members {
            let partition = Partition.of(group.id)
            let key = RedisKeys.member(member, ofHead: RedisKeys.head(group, partition))
            #expect(key == expected.replacing("{TAG}", with: RedisKeys.tags[partition]))
            #expect(RedisKeys.record(key) == RecordKey(group, member))
        }
        let key = try #require(IdempotencyKey("a/b:c}"))
        let name = RedisKeys.member(.key(key), ofHead: RedisKeys.head(item, 0))
        #expect(name == RedisKeys.tags[0] + "item:42/key/a/b:c}")
        #expect(RedisKeys.record(name) == RecordKey(item, .key(key)))
    }

    @Test func `keys that are no record's are told apart`() {
        let others = [
            RedisKeys.epoch(3), RedisKeys.open(.order, 3), RedisKeys.probe(3), RedisKeys.service, RedisKeys.secret, "item:42",
            "{1}item",
        ]
        #expect(others.map { RedisKeys.record($0) } == others.map { _ in nil })
        #expect(Array(others[..<3]) == ["epoch", "open:order", "probe"].map { RedisKeys.tags[3] + $0 })
    }

    @Test func `partitions are spread evenly over the hash slots`() {
        let width = HashSlot.count / Partition.count
        #expect(RedisKeys.slots.enumerated().allSatisfy { $1 / width == $0 })
    }
}

@Suite struct CommitCallTests {
    private let version = Version(writer: 1, counter: 2)

    private func change(_ group: GroupKey, _ expected: Version, absent: [Member], _ writes: [(Member, Record?)]) -> GroupChange
    {
        var draft = GroupDraft(group)
        for (member, record) in writes { draft[member] = record }
        return GroupChange(expected: expected, draft: draft, absent: absent)
    }

    @Test func `a call has the keys and arguments that the script takes`() {
        var account = Account()
        account.balance = Amount(5)
        let head = Record.account(account)
        let hold = Record.hold(Hold(amount: Amount(1), state: .held))
        let released = Record.hold(Hold(amount: Amount(1), state: .released, grant: 1, expiry: 1_000))
        let other = SagaID(order: saga.order, incarnation: saga.incarnation, attempt: 3)
        var call = CommitCall(.three)
        call.add(
            change(item, .absent, absent: [.hold(saga)], [(.head, head), (.hold(saga), hold), (.hold(other), released)]), 7,
            version, now: 500)
        call.add(change(order, version, absent: [], [(.saga, nil)]), 7, version, now: 500)
        let command = call.command(epoch: Array("epoch".utf8), key: RedisKeys.epoch(7), isLoaded: true)

        let tag = RedisKeys.tags[7]
        let remaining = released.removableFrom.map { "s-\($0 - 500)" } ?? "s-"
        let words: [[UInt8]] =
            ["EVALSHA", "ef8fb70c3075a7e9df683a049b5fb891261d73c2", "8", "epoch", "item:42", "order:77"].enumerated().map {
                Array((($0 >= 3 ? tag : "") + $1).utf8)
            }
            + ["item:42/hold/77/abc/2", "open:item", "item:42/hold/77/abc/3", "open:order", "order:77/saga"].map {
                Array((tag + $0).utf8)
            }
            + ["epoch", "2", "4", "", "hx"].map { Array($0.utf8) }
            + [RecordBytes.bytes(version) + RecordBytes.bytes(head, .three)]
            + ["1", "1", "s+"].map { Array($0.utf8) } + [RecordBytes.bytes(hold, .three)]
            + [Array(remaining.utf8), RecordBytes.bytes(released, .three), RecordBytes.bytes(version)]
            + [Array("vx".utf8), RecordBytes.bytes(version)] + ["0", "1", "d-", ""].map { Array($0.utf8) }
        var expected = RedisCommand(String(decoding: words[0], as: UTF8.self), argumentCount: words.count - 1)
        for word in words.dropFirst() { expected.append(word) }
        #expect(command.encoded == expected.encoded)
    }

    @Test func `the script is the one that servers know by this name`() {
        #expect(CommitScript.digest == "ef8fb70c3075a7e9df683a049b5fb891261d73c2")
    }
}
