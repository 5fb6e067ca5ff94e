import KontorCore
import Testing

@testable import KontorLink

@Suite("Replies that are waited for")
struct PendingTests {
    /// A ring of replies, and whose turn came.
    private final class Ring {
        var pending: PendingReplies
        private(set) var found: [Int64] = []

        init(_ pending: PendingReplies) { self.pending = pending }

        func add(_ name: Int64, mayComeTwice: Bool = false) -> UInt32 {
            pending.add(.ledger(mayComeTwice: mayComeTwice) { [unowned self] _ in found.append(name) }, now: name)
        }

        /// - Returns: whether anybody took the reply.
        func reply(_ number: UInt32, _ reply: Reply<LedgerOutcome> = .decided(.done)) throws -> Bool {
            guard let take = try pending.takeLedger(number, reply) else { return false }
            take(reply)
            return true
        }

        func answer(_ number: UInt32) throws -> Bool { try pending.takeOrder(number) != nil }
    }

    @Test("numbers wrap around, and replies in any order find their messages")
    func wrapsAround() throws {
        let ring = Ring(PendingReplies(firstNumber: .max - 1))
        let numbers = (0..<4).map { ring.add($0) }
        #expect(numbers == [.max - 1, .max, 0, 1])
        for number in [0, .max, 1, .max - 1] as [UInt32] { #expect(try ring.reply(number)) }
        #expect(ring.found == [2, 1, 3, 0])
        #expect(ring.pending.count == 0)
        for number in numbers + [2, 77] { #expect(try !ring.reply(number)) }
    }

    @Test("at the bound the oldest is forgotten, and so is what is waited for too long")
    func forgets() throws {
        let ring = Ring(PendingReplies(bound: 3))
        let numbers = (0..<5).map { ring.add($0, mayComeTwice: true) }
        #expect(ring.pending.count == 3)
        #expect(try !ring.reply(numbers[1]))
        ring.pending.forget(before: 4)
        #expect(ring.pending.count == 1)
        #expect(try !ring.reply(numbers[3]))
        #expect(try ring.reply(numbers[4], .decided(.contended(balance: .zero))))
        #expect(try ring.reply(numbers[4]), "it still waits for its end")
        #expect(try !ring.reply(numbers[4]))
    }

    @Test("a reply of the other kind is refused")
    func otherKind() {
        let ring = Ring(PendingReplies())
        let message = ring.add(0)
        let question = ring.pending.add(.order { _ in }, now: 0)
        #expect(throws: LinkFailure.self) { try ring.answer(message) }
        #expect(throws: LinkFailure.self) { try ring.reply(question) }
    }
}

@Suite("The address of a service")
struct LinkURLTests {
    @Test(
        "host and port are read",
        arguments: [
            ("http://stock:8001", "stock", 8001), ("http://10.0.0.1:1/", "10.0.0.1", 1), ("http://[::1]:65535", "::1", 65_535),
        ])
    func good(text: String, host: String, port: Int) throws {
        #expect(try LinkURL(text) == LinkURL(host: host, port: port))
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "stock:8001", "https://stock:8001", "http://stock", "http://:1", "http://stock:0", "http://stock:65536",
            "http://stock:1/path", "http://a b:1", "http://::1:80", "http://u@h:1", "http://h:+1", "http://[]:1",
        ])
    func bad(text: String) { #expect(throws: LinkURLError.self) { try LinkURL(text) } }
}

@Suite("The choice of a replica")
struct RendezvousTests {
    @Test("accounts are spread evenly, and only those of a replica that goes move")
    func spread() {
        let seeds = (1...4).map { Rendezvous.hash("10.0.0.\($0):8001".utf8) }
        func chosen(_ account: GroupKey, _ seeds: [UInt64]) -> UInt64? {
            let hash = Rendezvous.hash(account)
            return seeds.max { Rendezvous.score(hash, $0) < Rendezvous.score(hash, $1) }
        }
        var counts: [UInt64: Int] = [:]
        for number in 0..<10_000 {
            let account = item("\(number)")
            guard let one = chosen(account, seeds) else { continue }
            counts[one, default: 0] += 1
            if one != seeds[3] { #expect(chosen(account, Array(seeds[..<3])) == one) }
        }
        #expect(counts.values.allSatisfy { $0 > 2_300 && $0 < 2_700 })
    }
}
