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
            pending.number(Message(.read(name), body), now: Int64(name))?.number ?? .max
        }

        /// - Returns: whether anybody took the reply.
        func reply(_ number: UInt32, _ reply: Message.Body = .ledgerReply(.decided(.done))) throws -> Bool {
            let message = try pending.reply(NumberedMessage(number: number, reply))
            guard case .read(let name)? = message?.origin else { return false }
            found.append(name)
            return true
        }
    }

    private static func leg(_ leg: Int, _ step: CheckoutSaga.Step = .capture, attempt: UInt32 = 1) -> Message {
        let saga = SagaID(order: id("o"), incarnation: 7, attempt: attempt)
        return Message(.leg(leg, step, of: saga), read)
    }

    @Test("replies in any order find their requests, and none that was answered, or never asked")
    func findsRequests() throws {
        let ring = Ring(PendingReplies())
        let numbers = (0..<4 as Range<UInt64>).map { ring.add($0) }
        #expect(Set(numbers).count == 4)
        for index in [2, 1, 3, 0] { #expect(try ring.reply(numbers[index])) }
        #expect(ring.found == [2, 1, 3, 0])
        #expect(ring.pending.count == 0)
        for number in numbers + [77, .max] { #expect(try !ring.reply(number)) }
    }

    @Test("a number comes again only after millions of requests, so a late reply finds nobody")
    func numbersRest() throws {
        let ring = Ring(PendingReplies(bound: 3))
        let late = ring.add(0)
        #expect(try ring.reply(late))
        for name in 1..<200_000 as Range<UInt64> {
            let number = ring.add(name)
            #expect(number != late)
            #expect(try ring.reply(number))
        }
        #expect(try !ring.reply(late))
    }

    @Test("520 baskets of 256 lines are waited for, however often they are asked again (F5)")
    func keepsWhatIsWaitedFor() throws {
        var pending = PendingReplies()
        func messages(_ basket: UInt64) -> [Message] {
            let saga = SagaID(order: id("o"), incarnation: basket, attempt: 1)
            return (0...256).map { Message(.leg($0, .hold(mayWait: false), of: saga), Self.read) }
        }
        var numbers: [[UInt32?]] = []
        for copy in 0..<4 as Range<Int64> {
            for basket in 0..<520 as Range<UInt64> {
                let sent = messages(basket).map { pending.number($0, now: copy)?.number }
                if copy == 0 { numbers.append(sent) } else { #expect(sent == numbers[Int(basket)]) }
            }
        }
        #expect(pending.count == 520 * 257)
        var answered = 0
        for number in numbers.joined().compactMap({ $0 }) {
            if try pending.reply(NumberedMessage(number: number, .ledgerReply(.decided(.done)))) != nil { answered += 1 }
        }
        #expect(answered == 520 * 257)
        #expect(pending.count == 0)
    }

    @Test("a step that is asked again keeps its number; the next step of its leg takes its place")
    func repeatsAndReplaces() throws {
        var pending = PendingReplies()
        func number(_ message: Message) -> UInt32? { pending.number(message, now: 0)?.number }
        let first = try #require(number(Self.leg(0, .hold(mayWait: false))))
        #expect(number(Self.leg(0, .hold(mayWait: false))) == first)
        let other = try #require(number(Self.leg(1, .hold(mayWait: false))))
        let next = try #require(number(Self.leg(0, .release)))
        let again = try #require(number(Self.leg(0, .release, attempt: 2)))
        #expect(Set([first, other, next, again]).count == 4)
        #expect(pending.count == 3)
        let done = Message.Body.ledgerReply(.decided(.done))
        #expect(try pending.reply(NumberedMessage(number: first, done)) == nil)
        #expect(try pending.reply(NumberedMessage(number: next, done))?.origin == Self.leg(0, .release).origin)
    }

    @Test("at the bound a request is refused and none is forgotten, until it was not repeated for long")
    func refusesAtTheBound() throws {
        let ring = Ring(PendingReplies(bound: 3))
        let waiting = Message.Body.command(hold(item("a"), mayWait: true), deadline: 0)
        let numbers = (0..<3 as Range<UInt64>).map { ring.add($0, waiting) }
        #expect(ring.pending.number(Message(.read(9), waiting), now: 9) == nil)
        #expect(ring.pending.number(Message(.read(0), waiting), now: 9)?.number == numbers[0], "a copy needs no room")
        ring.pending.forget(before: 2)
        #expect(ring.pending.count == 2)
        #expect(try !ring.reply(numbers[1]))
        #expect(try ring.reply(numbers[2], .ledgerReply(.decided(.contended(balance: .zero)))))
        #expect(try ring.reply(numbers[2]), "it still waits for its end")
        #expect(try !ring.reply(numbers[2]))
        #expect(ring.pending.number(Message(.read(9), waiting), now: 9) != nil)
    }

    @Test("what another instance of the shop asked for is forgotten, and numbers go on")
    func forgetsAll() throws {
        let ring = Ring(PendingReplies())
        let numbers = (0..<3 as Range<UInt64>).map { ring.add($0) }
        ring.pending.forgetAll()
        for number in numbers { #expect(try !ring.reply(number)) }
        #expect(!numbers.contains(ring.add(9)))
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
