// The files of TLS, read and checked. What is wrong with one is said in a sentence for operators, with what to do.

import Foundation
import NIOSSL

/// Why a file cannot be used, in words for operators.
public struct TLSFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Where a process's certificates are. All files are PEM.
public struct TLSFiles: Hashable, Sendable {
    /// A certificate chain, the process's own certificate first, and the file of its key.
    public struct Pair: Hashable, Sendable {
        /// The file of the chain.
        public let certificate: String
        /// The file of the key.
        public let key: String

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// What the process proves itself by, as a server and on its links; nil: by nothing.
    public let pair: Pair?
    /// The authorities that sign the certificates of processes with links to this one; nil: links need no certificate.
    public let clientAuthorities: String?
    /// The authorities that sign the certificates of the servers that this process asks; nil: those that the system
    /// trusts.
    public let authorities: String?

    public init(pair: Pair?, clientAuthorities: String? = nil, authorities: String? = nil) {
        self.pair = pair
        self.clientAuthorities = clientAuthorities
        self.authorities = authorities
    }

    /// All paths.
    public var paths: [String] { [pair?.certificate, pair?.key, clientAuthorities, authorities].compactMap { $0 } }
}

/// The content of PEM files.
public enum PEMFile {
    /// Reads at least one certificate.
    public static func certificates(_ path: String) throws(TLSFileError) -> [NIOSSLCertificate] {
        let bytes = try bytes(path)
        guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
            throw TLSFileError(
                "\(path) has no certificate in PEM form, or one that cannot be read: it must have -----BEGIN CERTIFICATE-----")
        }
        return found
    }

    static func key(_ path: String) throws(TLSFileError) -> NIOSSLPrivateKey {
        let bytes = try bytes(path)
        do { return try NIOSSLPrivateKey(bytes: bytes, format: .pem) } catch {
            if String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED") {
                throw TLSFileError(
                    "the key in \(path) is encrypted: give one without a passphrase, in a file for Kontor's user alone")
            }
            throw TLSFileError("\(path) has no private key in PEM form: it must have -----BEGIN PRIVATE KEY-----")
        }
    }

    private static func bytes(_ path: String) throws(TLSFileError) -> [UInt8] {
        do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
            let reason = (error as? CocoaError)?.localizedDescription ?? "\(error)"
            throw TLSFileError("\(path) cannot be read: \(reason) Give a file that Kontor's user may read")
        }
    }
}
