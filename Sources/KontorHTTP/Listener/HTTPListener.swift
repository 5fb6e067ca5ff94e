// A listening socket and its connections: bind, serve, shut down gracefully.

import NIOCore
import NIOHTTP1
import NIOPosix

/// Decides what a new connection is, on its event loop.
public typealias ConnectionFilter = @Sendable (_ channel: any Channel, _ addHTTP: @escaping () throws -> Void) throws -> Void

/// Serves one ``HTTPService`` on one address. The public gateway and the internal listener are two of these.
public final class HTTPListener: Sendable {
    /// The port that it is bound to; chosen by the system if 0 was asked for.
    public let port: Int
    private let channel: any Channel
    private let tables: [NIOLoopBound<ConnectionTable>]

    private init(_ channel: any Channel, _ tables: [NIOLoopBound<ConnectionTable>]) {
        port = channel.localAddress?.port ?? 0
        self.channel = channel
        self.tables = tables
    }

    /// Begins to serve.
    ///
    /// - Parameters:
    ///   - port: 0 lets the system choose one.
    ///   - first: looks at a new connection before HTTP does: it either takes the connection over, or adds HTTP's handlers by the closure
    ///     that it is given.
    ///   - group: The event loops that the connections are spread over. The listener does not shut them down.
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
            // A client may close its side behind its last request and still wait for the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: HTTPLimits.receiveBytes)
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

    /// Stops accepting, closes idle connections, lets the requests in flight be answered (with `Connection: close`).
    ///
    /// - Parameter milliseconds: after this the connections that are left are closed, answered or not.
    /// - Returns: succeeds once the last connection is closed. Calling it again joins the first call.
    public func shutdown(withinMilliseconds milliseconds: Int64) -> EventLoopFuture<Void> {
        // Failing to close means that it is closed.
        channel.close().flatMapError { _ in self.channel.closeFuture }.flatMap {
            let drains = self.tables.map { table in
                table.eventLoop.flatSubmit { table.value.drain(withinMilliseconds: milliseconds) }
            }
            return EventLoopFuture.andAllComplete(drains, on: self.channel.eventLoop)
        }
    }
}
