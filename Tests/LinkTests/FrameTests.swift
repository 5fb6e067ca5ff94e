import KontorCore
import NIOCore
import TestSupport
import Testing

@testable import KontorLink

@Suite("Frames")
struct FrameTests {
    private func frames(_ bytes: [UInt8], pieces: Int? = nil) throws -> [Frame] {
        var reader = FrameReader()
        var frames: [Frame] = []
        for start in stride(from: 0, to: bytes.count, by: pieces ?? max(1, bytes.count)) {
            reader.append(ByteBuffer(bytes: bytes[start..<min(bytes.count, start + (pieces ?? bytes.count))]))
            while let frame = try reader.next() { frames.append(frame) }
        }
        return frames
    }

    private func message(_ number: UInt32) -> NumberedMessage {
        NumberedMessage(number: number, .command(hold(item("i"), mayWait: true), deadline: -1))
    }

    @Test("items of one kind share a frame, whatever pieces it comes in", arguments: [1, 3, 7, 1_000])
    func pieces(size: Int) throws {
        var writer = FrameWriter()
        for number in 0..<10 as Range<UInt32> { writer.mustAdd(message(number)) }
        writer.add(.ping)
        writer.mustAdd(NumberedMessage(number: 10, .question(OrderCommand(id("o"), .read))))
        let read = try frames(writer.take(), pieces: size)
        #expect(writer.isEmpty)
        #expect(read.map(\.kind) == [.commands, .ping, .questions])
        #expect(try read.map { try $0.messages().count } == [10, 0, 1])
        #expect(try read[0].messages() == (0..<10).map(message))
    }

    @Test("a frame is full at its bounds, and one at its bounds is read")
    func bounds() throws {
        var writer = FrameWriter()
        let count = 2 * Limits.frameMessages + 1
        for number in 0..<count { writer.mustAdd(message(UInt32(number))) }
        #expect(try frames(writer.take()).map { try $0.messages().count } == [Limits.frameMessages, Limits.frameMessages, 1])
        writer.mustAdd(reply(ofBytes: Limits.fullFrameBytes - 9))
        writer.mustAdd(reply(ofBytes: Limits.messageBytes))
        writer.mustAdd(reply(ofBytes: Limits.messageBytes))
        let isTooLargeAdded = writer.add(reply(ofBytes: Limits.messageBytes + 1))
        #expect(!isTooLargeAdded, "larger than anything that is read")
        #expect(try frames(writer.take()).map { try $0.messages().count } == [2, 1, 0], "an empty frame says nothing")
    }

    /// A reply that is so large as an item: its number, two tags, and a text behind its length.
    private func reply(ofBytes size: Int) -> NumberedMessage {
        let overhead = 4 + 1 + 3
        return NumberedMessage(number: 0, .ledgerReply(.refused(.unreachable(String(repeating: "x", count: size - overhead)))))
    }

    @Test("a frame of another format is refused, whatever else it says")
    func otherFormat() {
        #expect(throws: LinkError("a frame has the unknown format 2")) { try frames([6, 0, 0, 0, 2, 99, 255, 255, 0, 0]) }
    }

    @Test(
        "a frame that is too large, too small, of an unknown kind, or ends early is refused",
        arguments: [
            [3, 0, 0, 0, 1, 5, 0], [0, 0, 0, 0], [255, 255, 255, 255], [4, 0, 0, 0, 1, 0, 0, 0], [4, 0, 0, 0, 1, 9, 0, 0],
            [4, 0, 0, 0, 1, 1, 1, 0], [4, 0, 0, 0, 1, 1, 255, 255], [5, 0, 0, 0, 1, 1, 0, 0, 0],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        #expect(throws: LinkError.self) { for frame in try frames(bytes) { _ = try frame.readMessages() } }
    }

    @Test("damaged frames never trap", arguments: 0..<2_000)
    func fuzz(round: Int) {
        var writer = FrameWriter()
        for number in 0..<3 as Range<UInt32> { _ = writer.add(message(number)) }
        _ = writer.add(NumberedMessage(number: 1, .question(OrderCommand(id("o"), .inspect))))
        _ = writer.add(NumberedMessage(number: 5, .ledgerReply(.decided(.held(grant: 2)))))
        _ = writer.add(NumberedMessage(number: 6, .orderReply(.decided(.unknownOrder))))
        var bytes = writer.take()
        for _ in 0...Int.random(in: 0...3) { bytes[.random(in: bytes.indices)] = .random(in: 0...255) }
        guard let read = try? frames(bytes, pieces: .random(in: 1...50)) else { return }
        for frame in read { _ = try? frame.messages() }
    }

    /// What an earlier release wrote, byte for byte: an old process and a new one talk to each other.
    @Test("kontor-link/1 keeps its bytes")
    func golden() throws {
        let saga = SagaID(order: id("o"), incarnation: 0x0102_0304_0506_0708, attempt: 300)
        var order = Order(user: id("u"), incarnation: 7)
        order.lines = [OrderLine(item: id("i"), units: Amount(2), price: Amount(350))]
        order.total = Amount(700)
        var writer = FrameWriter()
        for body in [
            .command(LedgerCommand(item("i"), .read), deadline: -2),
            .command(LedgerCommand(item("i"), .hold(saga, Amount(300), mayWait: true, expiry: 1_000)), deadline: 5),
            .command(LedgerCommand(user("u"), .capture(saga, Amount(1), grant: 129)), deadline: 5),
            .command(LedgerCommand(user("u"), .release(saga, Amount(1), expiry: 1_000)), deadline: 5),
            .question(OrderCommand(id("o"), .read)), .question(OrderCommand(id("o"), .inspect)),
            .ledgerReply(.decided(.held(grant: 129))), .ledgerReply(.decided(.contended(balance: Amount(5)))),
            .ledgerReply(.unknown), .ledgerReply(.refused(.diskFull)), .ledgerReply(.refused(.unreachable("x"))),
            .orderReply(.decided(.order(order))), .orderReply(.decided(.unknownOrder)),
        ] as [Message.Body] {
            writer.mustAdd(NumberedMessage(number: 66_051, body))
        }
        writer.add(.leaving)
        let bytes = writer.take()
        #expect(bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == Self.goldenBytes)
    }

    /// As the release of commit a3307ad wrote them.
    private static let goldenBytes =
        "7f0000000101040003020100feffffffffffffff0101690103020100050000000000000001016902016f0807060504030201"
        + "ac02ac0201e80300000000000003020100050000000000000002017503016f0807060504030201ac02018101030201000500"
        + "00000000000002017504016f0807060504030201ac0201e80300000000000012000000010202000302010001016f03020100"
        + "02016f2400000001030500030201000202810103020100020c05030201000103020100030302010004017825000000010402"
        + "00030201000202017507000000000000000001bc0501016902de02000302010002010400000001070000"
}

extension FrameWriter {
    mutating func mustAdd(_ message: NumberedMessage) {
        let isAdded = add(message)
        #expect(isAdded)
    }
}
