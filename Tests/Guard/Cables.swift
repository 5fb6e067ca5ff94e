// Connections without sockets: links of the product over two embedded channels, whose bytes are handed over when the
// driver says so.

import KontorLink
import NIOCore
import NIOEmbedded

/// One connection of a link, from a client to a server. `@unchecked Sendable`: there is one thread.
final class Cable: LinkDialer, @unchecked Sendable {
    private let server: LinkServer
    private let eventLoop: EmbeddedEventLoop
    private var ends: (client: CableEnd, server: CableEnd)?

    init(to server: LinkServer, on eventLoop: EmbeddedEventLoop) {
        self.server = server
        self.eventLoop = eventLoop
    }

    func connect(
        to address: SocketAddress, on _: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        eventLoop.makeCompletedFuture {
            let (client, server) = (try CableEnd(on: eventLoop), try CableEnd(on: eventLoop))
            try self.server.sniff(server.channel, otherwise: {})
            try initialize(client.channel).wait()
            ends = (client, server)
            for end in [server, client] { try end.channel.connect(to: address).wait() }
            return client.channel
        }
    }

    /// Hands over what each end has said.
    /// - Returns: whether that was anything.
    func carry() throws -> Bool {
        guard let ends else { return false }
        let (toServer, toClient) = (ends.client.takeWritten(), ends.server.takeWritten())
        for bytes in toServer { try ends.server.channel.writeInbound(bytes) }
        for bytes in toClient { try ends.client.channel.writeInbound(bytes) }
        return !toServer.isEmpty || !toClient.isEmpty
    }
}

/// Where a socket would be: takes all bytes at once, and keeps them.
private final class CableEnd: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    let channel: EmbeddedChannel
    private var written: [ByteBuffer] = []

    init(on eventLoop: EmbeddedEventLoop) throws {
        channel = EmbeddedChannel(loop: eventLoop)
        try channel.pipeline.syncOperations.addHandler(self)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        written.append(Self.unwrapOutboundIn(data))
        promise?.succeed()
    }

    func takeWritten() -> [ByteBuffer] {
        defer { written.removeAll(keepingCapacity: true) }
        return written
    }
}
