// The settings of `kontor serve` that say how connections are encrypted.

import ArgumentParser
import KontorTLS

struct TLSOptions: ParsableArguments {
    @Option(
        help: """
            A file with the certificate chain (PEM, the shop's own certificate first): both listeners then speak TLS 1.2 or 1.3, \
            and nothing else. Read again when it changes. (environment: KONTOR_TLS_CERT)
            """)
    var tlsCert: String?

    @Option(help: "The file with its private key (PEM, without a passphrase). (environment: KONTOR_TLS_KEY)")
    var tlsKey: String?

    @Option(
        help: """
            Certificates (PEM) of who signs those of the shop's processes: a link to this one then needs such a certificate. \
            Operators do not. With --service. (environment: KONTOR_TLS_CLIENT_CA)
            """)
    var tlsClientCa: String?

    @Option(
        help: """
            Certificates (PEM) of who signs those of the services at https:// URLs. With --service. \
            (default: those that the system trusts; environment: KONTOR_TLS_CA)
            """)
    var tlsCa: String?
}

/// The checked settings of a server's TLS.
struct TLSSettings {
    /// nil: nothing is encrypted.
    let files: TLSFiles?

    /// - Parameter service: nil: a whole shop, which has no links.
    init(_ options: TLSOptions, service: ServiceSettings?) throws {
        func path(_ option: String?, _ name: String) -> String? {
            let text = Setting.text(option, name, default: "")
            return text.isEmpty ? nil : text
        }
        let pair: TLSFiles.Pair?
        switch (path(options.tlsCert, "tls-cert"), path(options.tlsKey, "tls-key")) {
        case (let certificate?, let key?): pair = TLSFiles.Pair(certificate: certificate, key: key)
        case (nil, nil): pair = nil
        case (_?, nil): throw ValidationError("--tls-cert (KONTOR_TLS_CERT) needs --tls-key: the file with its private key.")
        case (nil, _?): throw ValidationError("--tls-key (KONTOR_TLS_KEY) needs --tls-cert: the file with its certificate.")
        }
        let (clients, servers) = (path(options.tlsClientCa, "tls-client-ca"), path(options.tlsCa, "tls-ca"))
        if service == nil, clients ?? servers != nil {
            throw ValidationError(
                "--tls-client-ca and --tls-ca (KONTOR_TLS_CLIENT_CA, KONTOR_TLS_CA) need --service: a whole shop in one process has "
                    + "no links. Its clients prove themselves by tokens: --auth.")
        }
        if clients != nil, pair == nil {
            throw ValidationError("--tls-client-ca needs --tls-cert and --tls-key: without them links are not encrypted.")
        }
        let asks = service?.peers.contains { $0.urls.contains(where: \.isTLS) } ?? false
        if servers != nil, !asks {
            throw ValidationError(
                "--tls-ca (KONTOR_TLS_CA) is for services at https:// URLs, and there is none: see --stock-url and the like.")
        }
        files = pair == nil && !asks ? nil : TLSFiles(pair: pair, clientAuthorities: clients, authorities: servers)
    }

    /// Whether the listeners speak TLS.
    var isServed: Bool { files?.pair != nil }

    /// How URLs of the listeners begin.
    var scheme: String { isServed ? "https" : "http" }
}
