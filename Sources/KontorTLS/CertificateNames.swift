// Who a certificate names: for sentences, and to tell one that signed itself. Reads only as much DER as that takes.

import NIOSSL

extension NIOSSLCertificate {
    /// Its number and names, for a log. They are chosen by whoever made it.
    var names: String {
        let text = "\(self)".replacing("<NIOSSLCertificate;", with: "").dropLast()
        return String(
            text.replacing("serial_number=", with: "number ").replacing(";common_name=", with: ", ")
                .replacing(";alternative_names=", with: ", for ").prefix(TLSLimits.namedCharacters))
    }
}

/// The two names in a certificate, as bytes (RFC 5280, 4.1).
struct CertificateNames {
    private let issuer: ArraySlice<UInt8>
    private let subject: ArraySlice<UInt8>

    var isSelfSigned: Bool { issuer == subject }

    /// - Returns: nil if the certificate is made in another way than those of X.509.
    init?(_ certificate: NIOSSLCertificate) {
        guard let bytes = try? certificate.toDERBytes() else { return nil }
        self.init(bytes)
    }

    init?(_ bytes: [UInt8]) {
        var outer = bytes[...]
        guard var certificate = Self.take(&outer), var body = Self.take(&certificate) else { return nil }
        // The version, tag [0], may be left out.
        if body.first == 0xA0, Self.take(&body) == nil { return nil }
        // Number, algorithm, issuer, validity, subject.
        guard Self.take(&body) != nil, Self.take(&body) != nil, let issuer = Self.take(&body),
            Self.take(&body) != nil, let subject = Self.take(&body)
        else { return nil }
        self.issuer = issuer
        self.subject = subject
    }

    /// Takes one element off the front, and gives its content.
    private static func take(_ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard bytes.popFirst() != nil, let first = bytes.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), bytes.count >= count else { return nil }
            length = bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            bytes = bytes.dropFirst(count)
        }
        guard bytes.count >= length else { return nil }
        defer { bytes = bytes.dropFirst(length) }
        return bytes.prefix(length)
    }
}
