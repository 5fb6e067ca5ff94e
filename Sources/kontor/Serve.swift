// `kontor serve`: the whole shop in one process on the embedded store.

import ArgumentParser
import Foundation
import KontorHTTP
import KontorService
import Logging
import NIOCore
import NIOPosix

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves the shop over HTTP, from a directory on this machine.",
        discussion: """
            A new directory is initialized. SIGTERM and SIGINT end it gracefully: requests in flight get their answers. \
            It may also be killed at any moment: what was answered with a 2xx is on disk.
            """)

    @Option(help: "The address to listen on. (default: 127.0.0.1; environment: KONTOR_HOST)")
    var host: String?

    @Option(help: "The public port; 0 lets the system choose. (default: 8000; environment: KONTOR_PORT)")
    var port: Int?

    @Option(help: "The operators' port on 127.0.0.1: /audit, /health. (default: 8100; environment: KONTOR_INTERNAL_PORT)")
    var internalPort: Int?

    @Option(help: "The directory of the store. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    func run() throws {
        let host = Setting.text(host, "host", default: "127.0.0.1")
        let port = try Setting.port(port, "port", default: 8000)
        let internalPort = try Setting.port(internalPort, "internal-port", default: 8100)
        let directory = Setting.text(data, "data", default: "kontor-data")
        // A client that is gone must not end the shop.
        signal(SIGPIPE, SIG_IGN)
        let shutdown = ShutdownSignal()
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let logger = Logger(label: "kontor")

        let server: Server
        do {
            server = try Server.start(
                host: host, port: port, internalPort: internalPort, directory: directory, logger: logger)
        } catch {
            logger.critical("Kontor cannot start", metadata: ["reason": "\(error)"])
            throw ExitCode(1)
        }
        print(
            """
            Kontor serves on http://\(host):\(server.port), data in \(directory), operators' pages on \
            http://127.0.0.1:\(server.internalPort).
            Try:  curl -X POST http://\(host):\(server.port)/stock/item/create/5
            """)
        fflush(nil)
        shutdown.wait()
        logger.info("Kontor is shutting down: requests in flight end first")
        server.stop()
    }
}

/// Waits for SIGTERM or SIGINT.
private struct ShutdownSignal {
    private var set = sigset_t()

    /// Blocks both signals in this thread, and so in all that it starts: only ``wait()`` gets them.
    init() {
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    func wait() {
        var waited = set
        var received: Int32 = 0
        sigwait(&waited, &received)
    }
}
