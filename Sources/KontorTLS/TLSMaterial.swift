// What the files of TLS had when they were read, and the configurations that follow from it.

import Foundation
import NIOCore
import NIOSSL

/// Certificates that were read and checked. Never changed: new files make a new one.
struct TLSMaterial {
    private let chain: [NIOSSLCertificate]
    /// For the public listener, which asks for no certificates; nil: the process has no certificate.
    let publicServer: NIOSSLContext?
    /// For the internal listener, which asks for certificates if links need one; nil: the process has none itself.
    let internalServer: NIOSSLContext?
    let client: NIOSSLContext

    /// When the first of the process's own certificates ends, seconds since 1970; nil: it has none.
    var end: Int64? { chain.map { Int64($0.notValidAfter) }.min() }

    /// Reads the files.
    ///
    /// - Parameter now: seconds since 1970.
    init(_ files: TLSFiles, now: Int64) throws(TLSFileError) {
        var chain: [NIOSSLCertificate] = []
        var key: NIOSSLPrivateKey?
        if let pair = files.pair {
            chain = try PEMFile.certificates(pair.certificate)
            key = try PEMFile.key(pair.key)
            for certificate in chain { try Self.check(certificate, pair.certificate, now) }
        }
        self.chain = chain
        var clientAuthorities: [NIOSSLCertificate]?
        if let path = files.clientAuthorities { clientAuthorities = try PEMFile.certificates(path) }
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain.map { .certificate($0) }
        client.privateKey = key.map { .privateKey($0) }
        if let path = files.authorities { client.trustRoots = .certificates(try PEMFile.certificates(path)) }
        do {
            self.client = try Self.context(client)
            guard let key else {
                (publicServer, internalServer) = (nil, nil)
                return
            }
            let sources = chain.map { NIOSSLCertificateSource.certificate($0) }
            var server = TLSConfiguration.makeServerConfiguration(certificateChain: sources, privateKey: .privateKey(key))
            publicServer = try Self.context(server)
            if let clientAuthorities {
                // Asked for and not demanded: who reads metrics has a token. Links are asked again, in their handshake.
                server.certificateVerification = .optionalVerification
                server.trustRoots = .certificates(clientAuthorities)
                server.sendCANameList = true
            }
            internalServer = try Self.context(server)
        } catch {
            throw Self.refusal(files, error)
        }
    }

    private static func check(_ certificate: NIOSSLCertificate, _ path: String, _ now: Int64) throws(TLSFileError) {
        let (begin, end) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
        let subject = "the certificate in \(path) (\(certificate.names))"
        if end < now { throw TLSFileError("\(subject) has expired on \(time(end)): renew it") }
        if begin > now {
            throw TLSFileError("\(subject) is not valid before \(time(begin)): look at the clock of this machine")
        }
    }

    private static func refusal(_ files: TLSFiles, _ error: any Error) -> TLSFileError {
        // The key itself was read: what cannot be loaded is a key that does not fit.
        guard let pair = files.pair, error as? NIOSSLError == .failedToLoadPrivateKey else {
            return TLSFileError("TLS cannot be set up: \(error)")
        }
        return TLSFileError(
            "the key in \(pair.key) does not belong to the certificate in \(pair.certificate): give both from one renewal, and the "
                + "process's own certificate first")
    }

    private static func context(_ configuration: TLSConfiguration) throws -> NIOSSLContext {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv12
        // For TLS 1.2: only what keeps earlier connections secret if the key is lost, and needs no padding.
        configuration.cipherSuites = "ECDH+AESGCM:ECDH+CHACHA20"
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = .milliseconds(TLSLimits.closeMilliseconds)
        return try NIOSSLContext(configuration: configuration)
    }
}

/// A time for logs: RFC 3339, UTC.
///
/// - Parameter seconds: since 1970.
func time(_ seconds: Int64) -> String {
    Date(timeIntervalSince1970: TimeInterval(seconds)).ISO8601Format()
}
