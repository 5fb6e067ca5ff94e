// The certificates of a running process, which may be replaced at any time: connections that are open keep theirs, new
// ones get the new ones.

import NIOCore
import NIOSSL
import Synchronization

/// Puts TLS below the handlers of connections.
public final class TLSCredentials: Sendable {
    /// What a connection of a listener is for.
    public enum Listener: String, Sendable {
        /// Clients' requests: no certificate is asked for.
        case `public`
        /// Operators and links: a certificate is asked for if links need one.
        case `internal`
    }

    /// Is told of a handshake that failed. Called on event loops.
    public typealias FailureLog = @Sendable (_ failure: TLSFailure, _ peer: SocketAddress?) -> Void

    private let files: TLSFiles
    private let material: Mutex<TLSMaterial>

    /// Reads the files.
    ///
    /// - Parameter now: seconds since 1970.
    public init(_ files: TLSFiles, now: Int64) throws(TLSFileError) {
        self.files = files
        material = Mutex(try TLSMaterial(files, now: now))
    }

    /// Reads the files again. If one of them cannot be used, all stays as it is.
    public func reread(now: Int64) throws(TLSFileError) {
        let new = try TLSMaterial(files, now: now)
        material.withLock { $0 = new }
    }

    /// When the first of the process's own certificates ends, seconds since 1970; nil: it has none.
    public var end: Int64? { material.withLock { $0.end } }

    /// Adds the handlers of a server to a new channel, before those of HTTP or links.
    public func secure(_ channel: any Channel, of listener: Listener, failed: @escaping FailureLog) throws {
        let context = material.withLock { listener == .public ? $0.publicServer : $0.internalServer }
        guard let context else { preconditionFailure("A listener without a certificate is asked to speak TLS.") }
        try add(NIOSSLServerHandler(context: context), to: channel, host: nil, failed: failed)
    }

    /// Adds the handlers of a client to a new channel, before those of a link.
    ///
    /// - Parameter host: the name or the IP address that the server's certificate must be for.
    public func secure(_ channel: any Channel, to host: String) throws {
        let context = material.withLock { $0.client }
        // TLS knows no addresses as names: with none, the certificate must be for the address that was connected to.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        try add(
            NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host), to: channel, host: host
        ) { _, _ in }
    }

    private func add(
        _ handler: NIOSSLHandler, to channel: any Channel, host: String?, failed: @escaping FailureLog
    ) throws {
        try channel.pipeline.syncOperations.addHandlers(
            handler,
            TLSWatch(
                handler, host: host, authorities: host == nil ? files.clientAuthorities : files.authorities, failed: failed))
    }

    /// Whether the other side of a server's connection has a certificate that the client authorities signed. One that
    /// they did not sign ends the handshake.
    public static func isProven(_ channel: any Channel) -> Bool {
        (try? channel.pipeline.syncOperations.nioSSL_peerCertificate()) != nil
    }
}
