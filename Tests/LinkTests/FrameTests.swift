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
        NumberedMessage(number: number, deadline: -1, command: hold(item("i"), mayWait: true))
    }

    @Test("items of one kind share a frame, whatever pieces it comes in", arguments: [1, 3, 7, 1_000])
    func pieces(size: Int) throws {
        var writer = FrameWriter()
        for number in 0..<10 as Range<UInt32> { writer.mustAdd(.messages, message(number).encode) }
        writer.add(.ping)
        writer.mustAdd(.questions, NumberedQuestion(number: 10, command: OrderCommand(id("o"), .read)).encode)
        let read = try frames(writer.take(), pieces: size)
        #expect(writer.isEmpty)
        #expect(read.map(\.kind) == [.messages, .ping, .questions])
        #expect(read.map(\.count) == [10, 0, 1])
        #expect(try read[0].read(NumberedMessage.init(from:)) == (0..<10).map(message))
    }

    @Test("a frame is full at its bounds, and one at its bounds is read")
    func bounds() throws {
        var writer = FrameWriter()
        let count = 2 * LinkLimits.frameItems + 1
        for number in 0..<count { writer.mustAdd(.messages, message(UInt32(number)).encode) }
        #expect(try frames(writer.take()).map(\.count) == [LinkLimits.frameItems, LinkLimits.frameItems, 1])
        let large = [UInt8](repeating: 0, count: LinkLimits.itemBytes)
        writer.mustAdd(.ledgerReplies) { $0.bytes += large.prefix(LinkLimits.fullFrameBytes - 9) }
        writer.mustAdd(.ledgerReplies) { $0.bytes += large }
        writer.mustAdd(.ledgerReplies) { $0.bytes += large }
        let isTooLargeAdded = writer.add(.ledgerReplies) { $0.bytes += large + [0] }
        #expect(!isTooLargeAdded, "larger than anything that is read")
        #expect(try frames(writer.take()).map(\.count) == [2, 1, 0], "an empty frame says nothing")
    }

    @Test("a frame of another format is refused, whatever else it says")
    func otherFormat() {
        #expect(throws: LinkFailure("a frame has the unknown format 2")) { try frames([6, 0, 0, 0, 2, 99, 255, 255, 0, 0]) }
    }

    @Test(
        "a frame that is too large, too small, of an unknown kind, or ends early is refused",
        arguments: [
            [3, 0, 0, 0, 1, 5, 0], [0, 0, 0, 0], [255, 255, 255, 255], [4, 0, 0, 0, 1, 0, 0, 0], [4, 0, 0, 0, 1, 8, 0, 0],
            [4, 0, 0, 0, 1, 1, 1, 0], [4, 0, 0, 0, 1, 1, 255, 255], [5, 0, 0, 0, 1, 1, 0, 0, 0],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        #expect(throws: LinkFailure.self) { for frame in try frames(bytes) { _ = try frame.read(NumberedMessage.init(from:)) } }
    }

    @Test("damaged frames never trap", arguments: 0..<2_000)
    func fuzz(round: Int) {
        var writer = FrameWriter()
        for number in 0..<3 as Range<UInt32> { _ = writer.add(.messages, message(number).encode) }
        _ = writer.add(.questions, NumberedQuestion(number: 1, command: OrderCommand(id("o"), .inspect)).encode)
        _ = writer.add(.ledgerReplies, NumberedReply<LedgerOutcome>(number: 5, reply: .decided(.held(grant: 2))).encode)
        var bytes = writer.take()
        for _ in 0...Int.random(in: 0...3) { bytes[.random(in: bytes.indices)] = .random(in: 0...255) }
        guard let read = try? frames(bytes, pieces: .random(in: 1...50)) else { return }
        for frame in read {
            _ = try? frame.read(NumberedMessage.init(from:))
            _ = try? frame.read(NumberedQuestion.init(from:))
            _ = try? frame.read(NumberedReply<LedgerOutcome>.init(from:))
            _ = try? frame.read(NumberedReply<OrderOutcome>.init(from:))
        }
    }
}

extension FrameWriter {
    mutating func mustAdd(_ kind: FrameKind, _ encode: (inout ByteWriter) -> Void) {
        let isAdded = add(kind, encode)
        #expect(isAdded)
    }
}
