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
