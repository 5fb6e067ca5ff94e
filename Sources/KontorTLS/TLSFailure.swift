// Why TLS failed, in words for the logs. BoringSSL says only that a certificate was not verified; the reason is found
// by looking at the certificate again.

import Foundation
import NIOSSL

/// What went wrong with one connection's TLS.
public struct TLSFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of a failure, as metrics name it.
    public enum Kind: String, CaseIterable, Sendable {
        case noTLS = "no_tls"
        case oldVersion = "old_version"
        case expired
        case notYetValid = "not_yet_valid"
        case selfSigned = "self_signed"
        case foreign
        case wrongHost = "wrong_host"
        case refused
        case tooSlow = "too_slow"
        case hungUp = "hung_up"
        case other
    }

    public let kind: Kind
    /// A sentence about the other side.
    public let description: String

    static let tooSlow = TLSFailure(
        .tooSlow, "it did not end the handshake of TLS within \(TLSLimits.handshakeMilliseconds / 1_000) s")

    private init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// - Parameters:
    ///   - error: what NIOSSL says.
    ///   - peer: the other side's certificate, as far as it came.
    ///   - host: what a server's certificate must be for; nil: the other side is a client.
    ///   - authorities: the file of who must have signed the other side's certificate; nil: the system's.
    /// - Returns: nil if it is no failure of TLS, but of the connection below it.
    init?(_ error: any Error, peer: NIOSSLCertificate?, host: String?, authorities: String?) {
        if error as? NIOSSLExtraError == .failedToValidateHostname {
            self.init(.wrongHost, "its certificate (\(peer?.names ?? "")) is not for \(host ?? "")")
            return
        }
        if error as? NIOSSLError == .uncleanShutdown {
            self.init(.hungUp, "it hung up without a word")
            return
        }
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED"), let peer {
            self.init(judging: peer, authorities ?? "the authorities that the system trusts")
        } else if let (kind, sentence) = Self.sentences.first(where: { text.contains($0.mark) }).map({ ($0.kind, $0.sentence) })
        {
            self.init(kind, sentence)
        } else if error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError {
            let words = text.matches(of: #/OPENSSL_internal:(\w+)/#).map { String($0.1) }
            self.init(.other, "TLS failed: \(words.isEmpty ? text : words.joined(separator: ", "))")
        } else {
            return nil
        }
    }

    /// Finds out why a certificate was not verified.
    private init(judging certificate: NIOSSLCertificate, _ signers: String) {
        let now = Int64(Date().timeIntervalSince1970)
        let (begin, end) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
        let subject = "its certificate (\(certificate.names))"
        if end < now {
            self.init(.expired, "\(subject) has expired on \(time(end))")
        } else if begin > now {
            self.init(.notYetValid, "\(subject) is not valid before \(time(begin))")
        } else if CertificateNames(certificate)?.isSelfSigned ?? false {
            self.init(.selfSigned, "\(subject) is self-signed, and not among those of \(signers)")
        } else {
            self.init(.foreign, "\(subject) is not signed by \(signers), or not for this use")
        }
    }

    private typealias Sentence = (mark: String, kind: Kind, sentence: String)

    /// What stands in the errors of BoringSSL, and what it means. The first one that fits.
    private static let sentences: [Sentence] = [
        ("HTTP_REQUEST", .noTLS, "it speaks HTTP without TLS"),
        ("HTTPS_PROXY_REQUEST", .noTLS, "it takes this for a proxy"),
        ("WRONG_VERSION_NUMBER", .noTLS, "it does not speak TLS"),
        ("UNSUPPORTED_PROTOCOL", .oldVersion, "it speaks no TLS of version 1.2 or later"),
        ("ALERT_PROTOCOL_VERSION", .oldVersion, "it speaks no TLS of version 1.2 or later"),
        ("ALERT_UNKNOWN_CA", .refused, "it does not know who signed this process's certificate"),
        ("ALERT_CERTIFICATE_EXPIRED", .refused, "it says that this process's certificate has expired"),
        ("ALERT_CERTIFICATE_REQUIRED", .refused, "it demands a certificate, and this process has none"),
        ("CERTIFICATE_UNKNOWN", .refused, "it refuses this process's certificate"),
        ("BAD_CERTIFICATE", .refused, "it refuses this process's certificate"),
        ("UNSUPPORTED_CERTIFICATE", .refused, "it refuses this process's certificate for this use"),
        // OpenSSL, told to speak TLS 1.3, refuses in plain text what it should refuse encrypted.
        ("BAD_RECORD_MAC", .refused, "it sent what cannot be decrypted, as clients do that refuse this process's certificate"),
        ("EOF during handshake", .hungUp, "it hung up during the handshake of TLS"),
    ]
}
