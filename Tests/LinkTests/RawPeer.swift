// Ends of connections that say anything: a client that is none, and a server that is none.

import KontorCore
import NIOCore
import NIOPosix

@testable import KontorLink

/// Keeps all that it is sent.
final class Collector: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private(set) var received = ByteBuffer()
    private(set) var isClosed = false
    var text: String { String(buffer: received) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received.writeImmutableBuffer(unwrapInboundIn(data)) }

    func channelInactive(context: ChannelHandlerContext) { isClosed = true }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Whole frames behind the answer that opened the link.
    func frames() throws -> [Frame] {
        guard let end = LinkHandshake.endOfHead(in: received.readableBytesView) else { return [] }
        var reader = FrameReader()
        reader.append(received.getSlice(at: end, length: received.readableBytes - end) ?? ByteBuffer())
        var frames: [Frame] = []
        while let frame = try reader.next() { frames.append(frame) }
        return frames
    }
}

struct RawClient {
    let collector: Collector
    private let channel: any Channel

    static func connect(port: Int) async throws -> RawClient {
        let collector = Collector()
        let channel = try await ClientBootstrap(group: testLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(collector) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawClient(collector: collector, channel: channel)
    }

    /// What the server has closed meanwhile is not a failure: tests look at what they get.
    func send(_ bytes: some Sequence<UInt8>) async throws { try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

    func send(_ text: String) async throws { try await send(text.utf8) }

    func closeOutput() async throws { try await channel.close(mode: .output).get() }

    func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    func readAgain() async throws { try await channel.setOption(.autoRead, value: true).get() }

    func close() async throws { try? await channel.close().get() }
}

/// A server of which tests say what it does with a new connection's request.
final class FakeServer: @unchecked Sendable {
    let port: Int
    private let listener: any Channel
    private let accepted: AcceptedList

    /// - Parameter answer: to each request; nil: none, ever.
    static func start(answer: String?) async throws -> FakeServer {
        let accepted = AcceptedList()
        let listener = try await ServerBootstrap(group: testLoop)
            .childChannelInitializer { channel in
                accepted.add(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answerer(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FakeServer(listener, accepted)
    }

    private init(_ listener: any Channel, _ accepted: AcceptedList) {
        self.listener = listener
        self.accepted = accepted
        port = listener.localAddress?.port ?? 0
    }

    var count: Int { accepted.channels.count }

    /// Says something on the newest connection.
    func say(_ bytes: [UInt8]) { accepted.channels.last?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func stop() async throws {
        try await listener.close().get()
        for channel in accepted.channels { try? await channel.close().get() }
    }
}

/// Filled and read on the loop of the tests, or when that is at rest.
final class AcceptedList: @unchecked Sendable {
    private(set) var channels: [any Channel] = []
    func add(_ channel: any Channel) { channels.append(channel) }
}

private final class Answerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var answer: String?

    init(_ answer: String?) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let text = answer else { return }
        answer = nil
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }
}
