// Makes the connections of links: over TCP, with TLS if asked for, or over what a test puts in its place.

import NIOCore
import NIOPosix

/// Connects a new channel of an event loop to an address.
package protocol LinkDialer: Sendable {
    /// Connects a channel.
    ///
    /// - Parameter initialize: adds the link's handlers to the channel, before it is connected.
    /// - Returns: the channel, once it is connected.
    func connect(
        to address: SocketAddress, on eventLoop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel>
}

/// Adds the handlers of TLS to a new channel, below those of a link.
///
/// The name or IP address is that which the server's certificate must be for.
public typealias LinkTLS = @Sendable (_ channel: any Channel, _ host: String) throws -> Void

/// Dials another dialer's connections, with TLS.
struct TLSDialer: LinkDialer {
    let dialer: any LinkDialer
    let host: String
    let tls: LinkTLS

    func connect(
        to address: SocketAddress, on eventLoop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        dialer.connect(to: address, on: eventLoop) { [tls, host] channel in
            channel.eventLoop.makeCompletedFuture { try tls(channel, host) }.flatMap { initialize(channel) }
        }
    }
}

/// Dials TCP.
package struct TCPDialer: LinkDialer {
    package init() {}

    package func connect(
        to address: SocketAddress, on eventLoop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.milliseconds(LinkLimits.openMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: LinkLimits.receiveAllocator)
            .channelOption(.writeBufferWaterMark, value: LinkLimits.waterMark)
            .channelInitializer(initialize)
            .connect(to: address)
    }
}
