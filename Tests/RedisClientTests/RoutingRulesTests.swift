// The rules without I/O: what an error means, what a node says of its cluster, what is believed, when is tried again.

import NIOCore
import Testing

@testable import RedisClient

private let asked = RedisAddress(host: "here", port: 1)

private func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

private func node(_ host: RESPValue, _ port: Int64, _ more: [RESPValue] = []) -> RESPValue {
    .array([host, .integer(port), bulk("id")] + more)
}

private func info(_ state: String = "ok", epoch: Int = 3) -> RESPValue {
    bulk("cluster_enabled:1\r\ncluster_state:\(state)\r\ncluster_current_epoch:\(epoch)\r\n")
}

private func map(_ halves: [String], epoch: Int = 3) -> NodeReport {
    let size = HashSlot.count / halves.count
    let entries = halves.enumerated().map { index, host in
        RESPValue.array([
            .integer(Int64(index * size)), .integer(Int64((index + 1) * size - 1)), node(bulk(host), 7_000),
            node(bulk(host + "-replica"), 7_001),
        ])
    }
    return NodeReport(info: info(epoch: epoch), slots: .array(entries), asked: asked)
}

@Suite struct RetryableErrorTests {
    @Test(arguments: [
        ("MOVED 3999 127.0.0.1:6381", RetryableError.moved(slot: 3_999, to: RedisAddress(host: "127.0.0.1", port: 6_381))),
        ("MOVED 0 :6381", .moved(slot: 0, to: RedisAddress(host: "here", port: 6_381))),
        ("MOVED 16383 ::1:6381", .moved(slot: 16_383, to: RedisAddress(host: "::1", port: 6_381))),
        ("MOVED 16383 [::1]:6381", .moved(slot: 16_383, to: RedisAddress(host: "::1", port: 6_381))),
        ("ASK 5 host.name:1", .ask(RedisAddress(host: "host.name", port: 1))),
        ("MOVED 16384 a:1", .misplaced("MOVED 16384 a:1")), ("MOVED x a:1", .misplaced("MOVED x a:1")),
        ("ASK 1 a:99999", .misplaced("ASK 1 a:99999")), ("MOVED", .misplaced("MOVED")),
        ("TRYAGAIN Multiple keys", .busy("TRYAGAIN Multiple keys")), ("LOADING Redis", .busy("LOADING Redis")),
        ("MASTERDOWN Link", .busy("MASTERDOWN Link")), ("CLUSTERDOWN The", .misplaced("CLUSTERDOWN The")),
        ("READONLY You", .misplaced("READONLY You")),
    ])
    func `an error that means not executed is known`(error: String, meaning: RetryableError) {
        #expect(RetryableError(error, from: asked) == meaning)
    }

    @Test(arguments: ["", "ERR x", "NOSCRIPT No", "OOM x", "MOVEDX 1 a:1", "moved 1 a:1", "UNBLOCKED force"])
    func `every other error is a reply`(error: String) {
        #expect(RetryableError(error, from: asked) == nil)
    }

    @Test func `writes stand or fall with their first command, reads with any`() {
        let late: [RESPValue] = [.simple("OK"), .error("TRYAGAIN x")]
        #expect(RetryableError.decisive(in: late, lane: .writes, from: asked) == nil)
        #expect(RetryableError.decisive(in: late, lane: .reads, from: asked) == .busy("TRYAGAIN x"))
        #expect(RetryableError.decisive(in: late.reversed(), lane: .writes, from: asked) == .busy("TRYAGAIN x"))
        #expect(RetryableError.decisive(in: [], lane: .writes, from: asked) == nil)
    }
}

@Suite struct TopologyTests {
    @Test func `a node that answers leaves out its own host`() throws {
        let slots = RESPValue.array([
            .array([.integer(0), .integer(99), node(bulk(""), 7_000)]),
            .array([.integer(100), .integer(199), node(.null, 7_001), node(bulk("r"), 7_002)]),
            .array([
                .integer(200), .integer(299), node(bulk("?"), 7_003, [.map([RESPPair(bulk("ip"), bulk("10.0.0.9"))])]),
            ]),
            .array([.integer(300), .integer(16_383), node(bulk("::1"), 7_004, [.array([bulk("ip"), bulk("x")])])]),
        ])
        guard case .cluster(let map) = NodeReport(info: info(), slots: slots, asked: asked) else {
            Issue.record("it is no cluster")
            return
        }
        #expect(map.owner(of: 99) == RedisAddress(host: "here", port: 7_000))
        #expect(map.owner(of: 100) == RedisAddress(host: "here", port: 7_001))
        #expect(map.owner(of: 299) == RedisAddress(host: "10.0.0.9", port: 7_003))
        #expect(map.owner(of: 16_383) == RedisAddress(host: "::1", port: 7_004))
        #expect(map.replicas == [RedisAddress(host: "r", port: 7_002)])
        #expect(map.masters.count == 4 && map.epoch == 3)
    }

    @Test func `malformed and failing answers make no map`() {
        let good = RESPValue.array([.array([.integer(0), .integer(1), node(bulk("a"), 1)])])
        let malformed: [RESPValue] = [
            .null, .array([]), .error("LOADING x"), .array([.null]), .array([.array([.integer(0), .integer(1)])]),
            .array([.array([.integer(1), .integer(0), node(bulk("a"), 1)])]),
            .array([.array([.integer(0), .integer(16_384), node(bulk("a"), 1)])]),
            .array([.array([.integer(-1), .integer(1), node(bulk("a"), 1)])]),
            .array([.array([.integer(0), .integer(1), node(bulk("a"), 65_536)])]),
            .array([.array([.integer(0), .integer(1), node(bulk("?"), 1)])]),
        ]
        for slots in malformed { #expect(NodeReport(info: info(), slots: slots, asked: asked).isUnusable, "\(slots)") }
        #expect(NodeReport(info: info("fail"), slots: good, asked: asked).isUnusable)
        #expect(NodeReport(info: .error("LOADING x"), slots: good, asked: asked).isUnusable)
        #expect(NodeReport(info: .null, slots: good, asked: asked).isUnusable)
        #expect(!NodeReport(info: info(), slots: good, asked: asked).isUnusable)
    }

    @Test func `maps that have not heard of the latest failover are believed only from the third on`() {
        var topology = RedisTopology()
        #expect(topology.learn(map(["a", "b"], epoch: 5), from: asked).isChange)
        #expect(topology.learn(map(["a", "b"], epoch: 6), from: asked).isSame)
        #expect(topology.learn(map(["c", "b"], epoch: 5), from: asked).isRefusal)
        #expect(topology.learn(map(["c", "b"], epoch: 5), from: asked).isRefusal)
        #expect(topology.owner(of: 0)?.host == "a")
        #expect(topology.learn(map(["c", "b"], epoch: 5), from: asked).isChange)
        #expect(topology.owner(of: 0)?.host == "c")
        #expect(topology.owner(of: 16_383)?.host == "b")
    }

    @Test func `a store does not change its form`() {
        var alone = RedisTopology()
        let disabled = RESPValue.error("ERR This instance has cluster support disabled")
        #expect(alone.learn(NodeReport(info: disabled, slots: disabled, asked: asked), from: asked).isChange)
        #expect(alone.masters == [asked] && alone.owner(of: 77) == asked && !alone.isCluster)
        #expect(alone.learn(map(["a"]), from: asked).isRefusal)
        let isNews = alone.move(1, to: RedisAddress(host: "x", port: 1))
        #expect(!isNews)
        var cluster = RedisTopology()
        #expect(cluster.owner(of: 0) == nil && !cluster.isKnown)
        #expect(cluster.learn(map(["a"]), from: asked).isChange)
        #expect(cluster.learn(.standalone, from: asked).isRefusal)
    }

    @Test func `a redirection holds until the next map`() {
        var topology = RedisTopology()
        _ = topology.learn(map(["a", "b"]), from: asked)
        let new = RedisAddress(host: "new", port: 1)
        let areNews = [topology.move(7, to: new), topology.move(7, to: new)]
        #expect(areNews == [true, false])
        #expect(topology.owner(of: 7) == new && topology.owner(of: 8)?.host == "a")
        #expect(topology.masters.last == new)
        #expect(topology.learn(map(["a", "b"]), from: asked).isChange)
        #expect(topology.owner(of: 7)?.host == "a")
    }
}

@Suite struct PauseTests {
    @Test func `pauses double up to a cap, with full jitter`() {
        var asked: [Int64] = []
        let backoff = Backoff(baseMilliseconds: 10, capMilliseconds: 200) { bound in
            asked.append(bound)
            return bound / 2
        }
        #expect([1, 2, 3, 5, 6, 1_000].map { backoff.pauseMilliseconds(after: $0) } == [5, 10, 20, 80, 100, 100])
        #expect(asked == [10, 20, 40, 160, 200, 200])
    }

    @Test func `the slot map is asked for at most so often`() throws {
        var schedule = DiscoverySchedule()
        let begin = NIODeadline.uptimeNanoseconds(1_000_000_000)
        #expect(schedule.begin(now: begin) { _ in 0 } == begin)
        #expect(schedule.begin(now: begin) { _ in 0 } == nil)
        #expect(schedule.didAsk(now: begin) { _ in 0 } == begin + .milliseconds(RedisClientLimits.refreshMilliseconds))
        schedule.end()
        let next = schedule.begin(now: begin + .milliseconds(1)) { _ in 0 }
        #expect(next == begin + .milliseconds(RedisClientLimits.refreshMilliseconds))
    }

    /// Found on a3307ad: after a failover each process asked ten times a second.
    @Test func `searches that find nothing new come less and less often, and one that finds something starts over`() {
        var schedule = DiscoverySchedule()
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        func search(isNew: Bool) -> Int64 {
            let asked = schedule.begin(now: now) { $0 } ?? now
            let pause = (asked - now).nanoseconds / 1_000_000
            now = asked
            _ = schedule.didAsk(now: now) { _ in 0 }
            schedule.end()
            schedule.found(isNew: isNew)
            return pause
        }
        #expect((0..<7).map { _ in search(isNew: false) } == [0, 200, 400, 800, 1_000, 1_000, 1_000])
        #expect(search(isNew: true) == 1_000)
        #expect(search(isNew: false) == 100)
        now = now + .milliseconds(RedisClientLimits.calmMilliseconds + 1)
        #expect(search(isNew: false) == 0)
    }
}

@Suite struct HandshakeTests {
    private func options() -> RedisOptions {
        var options = RedisOptions(seeds: [asked], name: "test")
        options.user = "u"
        options.password = "secret"
        return options
    }

    @Test func `one command logs in and names the connection`() {
        var handshake = RedisHandshake(options())
        let expected = RedisCommand("HELLO", "3", "AUTH", "u", "secret", "SETNAME", "test")
        #expect(handshake.opening.encoded == expected.encoded)
        guard case .done = handshake.receive(.map([])) else {
            Issue.record("it is not done")
            return
        }
        var anonymous = RedisHandshake(RedisOptions(seeds: [asked], name: "test"))
        #expect(anonymous.opening.encoded == RedisCommand("HELLO", "3", "SETNAME", "test").encoded)
        guard case .failed("NOAUTH x") = anonymous.receive(.error("NOAUTH x")) else {
            Issue.record("it has not failed")
            return
        }
    }

    @Test func `a server without HELLO is logged in to with AUTH`() {
        var handshake = RedisHandshake(options())
        guard case .send(let commands) = handshake.receive(.error("ERR unknown command `HELLO`")),
            case .wait = handshake.receive(.simple("OK")), case .done = handshake.receive(.error("ERR no names"))
        else {
            Issue.record("it does not fall back")
            return
        }
        let expected = [RedisCommand("AUTH", "u", "secret"), RedisCommand("CLIENT", "SETNAME", "test")]
        #expect(commands.map(\.encoded) == expected.map(\.encoded))
        var refused = RedisHandshake(options())
        _ = refused.receive(.error("NOPROTO x"))
        guard case .failed("WRONGPASS x") = refused.receive(.error("WRONGPASS x")) else {
            Issue.record("it has not failed")
            return
        }
    }
}

extension NodeReport {
    fileprivate var isUnusable: Bool {
        if case .unusable = self { return true }
        return false
    }
}

extension RedisTopology.Change {
    fileprivate var isChange: Bool {
        if case .changed = self { return true }
        return false
    }

    fileprivate var isSame: Bool {
        if case .same = self { return true }
        return false
    }

    fileprivate var isRefusal: Bool {
        if case .refused = self { return true }
        return false
    }
}
