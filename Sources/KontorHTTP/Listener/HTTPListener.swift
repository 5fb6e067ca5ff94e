// A listening socket and its connections: bind, serve, shut down gracefully.

import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Decides on its event loop what a new connection is. It takes the connection over, or calls `addHTTP` to have HTTP
/// served.
public typealias ConnectionFilter = @Sendable (_ channel: any Channel, _ addHTTP: @escaping () throws -> Void) throws -> Void

/// Serves one ``HTTPService`` on one address. The public gateway and the internal listener are two of these.
public final class HTTPListener: Sendable {
    /// The port that the listener is bound to; chosen by the system if 0 was asked for.
    public let port: Int
    private let channel: any Channel
    private let tables: [NIOLoopBound<ConnectionTable>]

    private init(_ channel: any Channel, _ tables: [NIOLoopBound<ConnectionTable>]) {
        port = channel.localAddress?.port ?? 0
        self.channel = channel
        self.tables = tables
    }

    /// Binds an address and begins to serve.
    ///
    /// - Parameters:
    ///   - port: 0 lets the system choose one.
    ///   - first: looks at each new connection before HTTP does; nil: every connection is HTTP's.
    ///   - group: the event loops that the connections are spread over. The listener does not shut them down.
    /// - Returns: fails with an `IOError` if the address cannot be bound.
    public static func bind(
        host: String, port: Int, group: any EventLoopGroup, service: HTTPService, first: ConnectionFilter? = nil
    ) -> EventLoopFuture<HTTPListener> {
        let loops = Array(group.makeIterator())
        let maximumConnections = max(1, (service.maximumConnections + loops.count - 1) / loops.count)
        let tables = loops.map { loop in
            loop.submit {
                NIOLoopBound(
                    ConnectionTable(service: service, maximumConnections: maximumConnections, eventLoop: loop),
                    eventLoop: loop)
            }
        }
        return EventLoopFuture.whenAllSucceed(tables, on: group.next()).flatMap { tables in
            bootstrap(group, tables, first).bind(host: host, port: port).map { HTTPListener($0, tables) }
        }
    }

    private static func bootstrap(
        _ group: any EventLoopGroup, _ tables: [NIOLoopBound<ConnectionTable>], _ first: ConnectionFilter?
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: HTTPLimits.backlogConnections)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: HTTPLimits.unsentSystemBytes)
            // A client may close its side behind its last request and still wait for the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: HTTPLimits.receiveBytes)
            )
            .childChannelOption(.maxMessagesPerRead, value: HTTPLimits.readsPerTurn)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: HTTPLimits.unsentLowBytes, high: HTTPLimits.unsentHighBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let table = tables.first(where: { $0.eventLoop === channel.eventLoop }) else { return }
                    let addHTTP = { try addHandlers(to: channel, table.value) }
                    if let first { try first(channel, addHTTP) } else { try addHTTP() }
                }
            }
    }

    static func addHandlers(to channel: any Channel, _ table: ConnectionTable) throws {
        let connection = ConnectionHandler(table)
        try channel.pipeline.syncOperations.addHandlers(
            OverloadGate(before: connection),
            ByteToMessageHandler(decoder(), maximumBufferSize: HTTPLimits.undecodedBytes),
            connection)
    }

    private static func decoder() -> HTTPRequestDecoder {
        var bounds = NIOHTTPDecoderLimitConfiguration()
        bounds.maxHeaderFieldSize = HTTPLimits.headerBytes
        bounds.maxHeaderListSize = HTTPLimits.headerBytes + HTTPLimits.pathBytes
        bounds.maxHeaderFieldCount = HTTPLimits.headerFields
        return HTTPRequestDecoder(limitConfiguration: bounds)
    }

    /// Stops accepting, closes idle connections, and lets the requests in flight be answered (with `Connection:
    /// close`). A second call joins the first.
    ///
    /// - Parameter milliseconds: after this time the connections that are left are closed, answered or not.
    /// - Returns: succeeds once the last connection is closed.
    public func shutdown(withinMilliseconds milliseconds: Int64) -> EventLoopFuture<Void> {
        // Closing fails only if the socket is closed already.
        channel.close().flatMapError { _ in self.channel.closeFuture }.flatMap {
            let drains = self.tables.map { table in
                table.eventLoop.flatSubmit { table.value.drain(withinMilliseconds: milliseconds) }
            }
            return EventLoopFuture.andAllComplete(drains, on: self.channel.eventLoop)
        }
    }
}
