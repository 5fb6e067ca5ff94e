// Makes channels to nodes: TCP, with TLS if asked for. RedisConnection speaks on them.

import NIOCore
import NIOPosix
import NIOSSL

/// Makes the channels of one client's connections.
struct RedisTransport {
    private let eventLoop: any EventLoop
    private let context: NIOSSLContext?
    private let connectTimeout: TimeAmount

    /// Reads the certificates from their files, which blocks for a moment. Throws if they cannot be read.
    init(_ options: RedisOptions, on eventLoop: any EventLoop) throws {
        self.eventLoop = eventLoop
        connectTimeout = .milliseconds(options.connectMilliseconds)
        context = try options.tls.map { try NIOSSLContext(configuration: RedisTransport.configuration($0)) }
    }

    private static func configuration(_ tls: RedisTLS) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let file = tls.authorityFile { configuration.trustRoots = .file(file) }
        if let file = tls.certificateFile {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) }
        }
        if let file = tls.keyFile {
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
        }
        return configuration
    }

    /// Begins to connect. `connection` becomes the channel's handler.
    func connect(_ connection: RedisConnection) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let host = connection.address.host
        let context = context
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let handler = try NIOSSLClientHandler(
                            context: context, serverHostname: RedisTransport.isIPAddress(host) ? nil : host)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: host, port: connection.address.port)
    }

    /// Says why a connection was not made, in fewer words than NIO.
    static func reason(_ error: any Error) -> String {
        if error as? NIOSSLExtraError == .failedToValidateHostname { return "its certificate is for another host" }
        if "\(error)".contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not trusted: it has expired, or nobody who is trusted has signed it"
        }
        guard let failure = error as? NIOConnectionError else { return "\(error)" }
        if let last = failure.connectionErrors.last { return "\(last.error)" }
        return "its name cannot be resolved: \(failure.dnsAError ?? failure.dnsAAAAError ?? failure)"
    }

    /// Whether a host is an IP address. Those are not sent in the TLS handshake, and certificates have them in another
    /// place than names.
    private static func isIPAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }
}
