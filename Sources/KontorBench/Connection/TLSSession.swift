// TLS for the generator's own sockets: a session is fed with what arrives, and says what is to be sent. It is NIO's TLS
// in a channel without a socket.

import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS

/// How a client looks at a server's certificate.
public struct ClientTLS: Sendable {
    private let context: NIOSSLContext
    private let verifies: Bool

    /// - Parameter authorities: who must have signed the server's certificate, which must be for the host that is
    ///   asked; nil: any certificate will do.
    public init(authorities: [NIOSSLCertificate]?) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        verifies = authorities != nil
        if let authorities {
            configuration.trustRoots = .certificates(authorities)
        } else {
            configuration.certificateVerification = .none
        }
        context = try NIOSSLContext(configuration: configuration)
    }

    fileprivate func handler(for host: String) throws -> NIOSSLClientHandler {
        let isName = (try? SocketAddress(ipAddress: host, port: 0)) == nil
        return try NIOSSLClientHandler(context: context, serverHostname: isName && verifies ? host : nil)
    }
}

/// Where a server is, and how it is asked.
public struct Endpoint: Sendable {
    /// A name or an IP address.
    public let host: String
    /// The TCP port.
    public let port: Int
    /// nil: without TLS.
    public let tls: ClientTLS?

    public init(host: String = "127.0.0.1", port: Int, tls: ClientTLS? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }
}

/// One connection's TLS. Used on one thread.
final class TLSSession {
    private let channel = EmbeddedChannel()
    private let watch = HandshakeWatch()

    /// Begins a handshake: its first bytes are ``outgoing()``.
    ///
    /// - Parameter address: the server's, which is compared with its certificate if the host is an address.
    init(_ tls: ClientTLS, host: String, address: SocketAddress) throws {
        try channel.pipeline.syncOperations.addHandlers(try tls.handler(for: host), watch)
        channel.connect(to: address, promise: nil)
    }

    /// Whether the handshake is over.
    var isOpen: Bool { watch.isDone }

    /// Takes what has arrived.
    ///
    /// - Returns: what it said; empty: nothing yet.
    func received(_ bytes: UnsafeRawBufferPointer) throws -> [UInt8] {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        var said: [UInt8] = []
        while let piece = try channel.readInbound(as: ByteBuffer.self) { said += piece.readableBytesView }
        return said
    }

    /// Encrypts what is to be said; it is then among the ``outgoing()`` bytes.
    func say(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// Takes what is to be sent now.
    func outgoing() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let piece = try channel.readOutbound(as: ByteBuffer.self) { bytes += piece.readableBytesView }
        return bytes
    }
}

private final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var isDone = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { isDone = true }
    }
}
