import KontorCore
import KontorService
import TestSupport
import Testing

@Suite("Replies that are waited for")
struct PendingTests {
    private static let read = Message.Body.command(LedgerCommand(item("a"), .read), deadline: 0)

    /// A ring of replies, and whose turn came.
    private final class Ring {
        var pending: PendingReplies
        private(set) var found: [UInt64] = []

        init(_ pending: PendingReplies) { self.pending = pending }

        func add(_ name: UInt64, _ body: Message.Body = PendingTests.read) -> UInt32 {
            pending.number(Message(.read(name), body), now: Int64(name)).number
        }

        /// - Returns: whether anybody took the reply.
        func reply(_ number: UInt32, _ reply: Message.Body = .ledgerReply(.decided(.done))) throws -> Bool {
            let message = try pending.reply(NumberedMessage(number: number, reply))
            guard case .read(let name)? = message?.origin else { return false }
            found.append(name)
            return true
        }
    }

    @Test("numbers wrap around, and replies in any order find their requests")
    func wrapsAround() throws {
        let ring = Ring(PendingReplies(firstNumber: .max - 1))
        let numbers = (0..<4 as Range<UInt64>).map { ring.add($0) }
        #expect(numbers == [.max - 1, .max, 0, 1])
        for number in [0, .max, 1, .max - 1] as [UInt32] { #expect(try ring.reply(number)) }
        #expect(ring.found == [2, 1, 3, 0])
        #expect(ring.pending.count == 0)
        for number in numbers + [2, 77] { #expect(try !ring.reply(number)) }
    }

    @Test("at the bound the oldest is forgotten, and so is what is waited for too long")
    func forgets() throws {
        let ring = Ring(PendingReplies(bound: 3))
        let waiting = Message.Body.command(hold(item("a"), mayWait: true), deadline: 0)
        let numbers = (0..<5 as Range<UInt64>).map { ring.add($0, waiting) }
        #expect(ring.pending.count == 3)
        #expect(try !ring.reply(numbers[1]))
        ring.pending.forget(before: 4)
        #expect(ring.pending.count == 1)
        #expect(try !ring.reply(numbers[3]))
        #expect(try ring.reply(numbers[4], .ledgerReply(.decided(.contended(balance: .zero)))))
        #expect(try ring.reply(numbers[4]), "it still waits for its end")
        #expect(try !ring.reply(numbers[4]))
    }

    @Test("what another instance of the shop asked for is forgotten, and numbers go on")
    func forgetsAll() throws {
        let ring = Ring(PendingReplies())
        let numbers = (0..<3 as Range<UInt64>).map { ring.add($0) }
        ring.pending.forgetAll()
        for number in numbers { #expect(try !ring.reply(number)) }
        #expect(ring.add(9) == numbers[2] + 1)
    }

    @Test("a reply of the other kind is refused")
    func otherKind() {
        let ring = Ring(PendingReplies())
        let message = ring.add(0)
        let question = ring.add(1, .question(OrderCommand(id("o"), .read)))
        #expect(throws: PendingReplies.WrongKind.self) { try ring.reply(message, .orderReply(.decided(.unknownOrder))) }
        #expect(throws: PendingReplies.WrongKind.self) { try ring.reply(question) }
    }
}
