// `kontor serve`: serves the whole shop from an embedded store, or, with `--service`, one service from Redis.

import ArgumentParser
import Foundation
import KontorCore
import KontorEmbedded
import KontorHTTP
import KontorService
import Logging
import NIOCore
import NIOPosix
import Synchronization

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves the shop over HTTP, from a directory on this machine; or one of its services, over Redis.",
        discussion: """
            A new directory is initialized. SIGTERM and SIGINT end it gracefully: requests in flight get their answers. \
            It may also be killed at any moment: what was answered with a 2xx is on disk.
            """)

    @Option(help: "The address to listen on. (default: 127.0.0.1; environment: KONTOR_HOST)")
    var host: String?

    @Option(help: "The public port; 0 lets the system choose. (default: 8000; environment: KONTOR_PORT)")
    var port: Int?

    @Option(
        help: """
            The operators' port, on 127.0.0.1 or --internal-host: all routes, /metrics, /trail, /audit (not over Redis), /health. \
            (default: 8100; environment: KONTOR_INTERNAL_PORT)
            """)
    var internalPort: Int?

    @Option(help: "The directory of the store. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    @Option(
        help: """
            "off" hides batch_init, add_funds, item/create, add and subtract from the public port; the operators' port \
            always has them. (default: on; environment: KONTOR_ADMIN_API)
            """)
    var adminApi: String?

    @Option(help: "Hours that an Idempotency-Key is kept. (default: 24; environment: KONTOR_KEY_HOURS)")
    var keyHours: Int?

    @Option(
        help: """
            Idempotency keys kept at a time, about 300 bytes of disk each; at the bound new ones are refused. \
            (default: \(Limits.keptKeys); environment: KONTOR_KEPT_KEYS)
            """)
    var keptKeys: Int?

    @Option(
        help: """
            Days that entries of the audit trail are kept, about 200 bytes of the store each. \
            (default: \(Limits.trailMilliseconds / 86_400_000); environment: KONTOR_TRAIL_DAYS)
            """)
    var trailDays: Int?

    @Option(help: "How log lines on standard error look: text or json. (default: text; environment: KONTOR_LOG_FORMAT)")
    var logFormat: String?

    @Option(
        help: """
            The least level that is logged: debug, info, notice, warning, error, critical. \
            (default: info; environment: KONTOR_LOG_LEVEL)
            """)
    var logLevel: String?

    @Option(
        help: """
            Records kept in memory besides what is open, about 500 bytes each. \
            (default: what the memory limit allows, at most \(EmbeddedLimits.cacheRecords); environment: KONTOR_CACHE_RECORDS)
            """)
    var cacheRecords: Int?

    @OptionGroup(title: "Who may do what")
    var access: AccessOptions

    @OptionGroup(title: "Encryption")
    var tls: TLSOptions

    @OptionGroup(title: "One service of three, over Redis")
    var services: ServiceOptions

    func run() throws {
        CoreDumps.forbid()
        let services = try ServiceSettings(services)
        let isAdminOpen = try Setting.choice(adminApi, "admin-api", of: ["on", "off"]) == "on"
        var keys = KeyPolicy()
        keys.retentionMilliseconds = Int64(try Setting.number(keyHours, "key-hours", default: 24, in: 1...8_760)) * 3_600_000
        keys.keptKeys = try Setting.number(keptKeys, "kept-keys", default: Limits.keptKeys, in: 0...1_000_000_000)
        let trailDays = try Setting.number(
            trailDays, "trail-days", default: Int(Limits.trailMilliseconds / 86_400_000), in: 1...36_500)
        let chosenRecords = try Setting.number(cacheRecords, "cache-records", default: 0, in: 0...100_000_000)
        let host = Setting.text(host, "host", default: "127.0.0.1")
        let port = try Setting.port(port, "port", default: 8000)
        let access = try AccessSettings(access)
        if services != nil, access.files != nil, access.proxies == nil {
            throw ValidationError(
                "--auth with --service needs --trusted-proxies: the addresses of the gateway, which alone may say that it sends a write "
                    + "again. Without it a refused write might be done later.")
        }
        if services?.metricsSecrets != nil, access.files != nil {
            throw ValidationError(
                "--metrics-secret-file (KONTOR_METRICS_SECRET_FILE) is for services without --auth. With --auth give whoever reads "
                    + "/metrics a token: kontor token new --scopes metrics.")
        }
        let tls = try TLSSettings(tls, service: services)
        let internalPort = try Setting.port(internalPort, "internal-port", default: 8100)
        let directory = try Setting.directory(data)
        // A write to a client that is gone must not end the shop.
        signal(SIGPIPE, SIG_IGN)
        ShutdownSignal.block()
        let format = try LogFormat(rawValue: Setting.choice(logFormat, "log-format", of: ["text", "json"])) ?? .text
        let levels = ["info", "debug", "notice", "warning", "error", "critical"]
        let level = try Logger.Level(rawValue: Setting.choice(logLevel, "log-level", of: levels)) ?? .info
        LoggingSystem.bootstrap { _ in LineLogHandler(format, level: level) }
        let logger = Logger(label: "kontor")

        let form = try services.map { .service($0) } ?? Self.embedded(directory, cacheRecords: chosenRecords)
        let settings = ServerSettings(
            form: form, host: host, port: port, internalPort: internalPort, isAdminOpen: isAdminOpen, keys: keys,
            access: access, tls: tls, trailMilliseconds: Int64(trailDays) * 86_400_000)
        let shutdown = ShutdownSignal(logger)
        let server: ShopServer
        do {
            server = try ShopServer.start(settings, logger: logger)
        } catch {
            logger.critical("Kontor cannot start", metadata: ["reason": "\(error)"])
            throw ExitCode(1)
        }
        // The greeting goes to standard output only if logs are for people: where both streams are merged, a machine
        // reads every line as JSON.
        if services == nil, format == .text { greet(tls.scheme, host, server, directory) }
        shutdown.waitWhileServing()
        server.stop()
    }

    /// The form of a shop in a directory.
    ///
    /// - Parameter cacheRecords: 0 if nobody has chosen.
    private static func embedded(_ directory: String, cacheRecords: Int) throws -> ServerSettings.Form {
        do throws(MemoryBudget.Refusal) {
            let chosen = cacheRecords == 0 ? nil : cacheRecords
            return .embedded(directory: directory, memory: try MemoryBudget(MachineMemory.limit, cacheRecords: chosen))
        } catch {
            throw ValidationError(error.description)
        }
    }

    private func greet(_ scheme: String, _ host: String, _ server: ShopServer, _ directory: String) {
        print(
            """
            Kontor serves on \(scheme)://\(host):\(server.port), data in \(directory), operators' pages on \
            \(scheme)://127.0.0.1:\(server.internalPort).
            All routes, to read and to try: \(scheme)://\(host):\(server.port)/docs
            Try:  curl -X POST \(scheme)://\(host):\(server.port)/stock/item/create/5
            """)
        fflush(nil)
    }
}

/// Takes SIGTERM and SIGINT on a thread of its own. Before the shop serves, either ends the process: there is nothing
/// to answer, and a store that is being opened bears that.
private final class ShutdownSignal: Sendable {
    private let isServing = Mutex(false)
    private let arrived = DispatchSemaphore(value: 0)

    /// Blocks both signals in this thread, and so in all that it starts: only ``ShutdownSignal`` receives them.
    static func block() {
        var set = signals
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private static var signals: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }

    init(_ logger: Logger) {
        let thread = Thread { [self] in
            var set = Self.signals
            var received: Int32 = 0
            sigwait(&set, &received)
            if isServing.withLock({ $0 }) { return _ = arrived.signal() }
            logger.notice("The start is given up: the process was told to end")
            exit(0)
        }
        thread.name = "signals"
        thread.start()
    }

    /// Waits for a signal. From here on it ends the process gracefully.
    func waitWhileServing() {
        isServing.withLock { $0 = true }
        arrived.wait()
    }
}
