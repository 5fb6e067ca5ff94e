// How commands that ask a shop speak to it: `kontor health`, `kontor trail` and `kontor bench`.

import ArgumentParser
import KontorBench
import KontorTLS

/// How a shop is asked that may speak TLS.
struct AskingOptions: ParsableArguments {
    @Flag(
        help: """
            Ask over TLS, and do not look at whose certificate it is: for a shop on this machine. \
            (default: if KONTOR_TLS_CERT is set, as for kontor serve)
            """)
    var tls = false

    @Option(help: "Ask over TLS. The certificate must be signed by one of those in this file (PEM), and be for the host.")
    var ca: String?

    /// Where a server is that listens on an address of this machine.
    func endpoint(_ host: String, _ port: Int) throws -> Endpoint {
        // Who listens on all addresses listens on this one, too.
        Endpoint(host: host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host, port: port, tls: try client())
    }

    /// nil: without TLS.
    func client() throws -> ClientTLS? {
        let isServed = !Setting.text(nil, "tls-cert", default: "").isEmpty
        guard tls || ca != nil || isServed else { return nil }
        do {
            return try ClientTLS(authorities: try ca.map { try PEMFile.certificates($0) })
        } catch { throw ValidationError("--ca: \(error).") }
    }
}
