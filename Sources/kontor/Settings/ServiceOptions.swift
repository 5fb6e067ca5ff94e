// The settings of `kontor serve --service`: one of the three services over Redis, and where the others are.

import ArgumentParser
import Foundation
import KontorCore
import KontorHTTP
import KontorLink
import KontorRedis
import KontorService
import RedisClient

/// The service that a process serves.
enum ServiceName: String, ExpressibleByArgument, CaseIterable {
    case order, payment, stock

    var kind: GroupKey.Kind {
        switch self {
        case .order: return .order
        case .payment: return .user
        case .stock: return .item
        }
    }
}

struct ServiceOptions: ParsableArguments {
    @Option(help: "Serve only this service, over Redis: order, payment or stock. (environment: KONTOR_SERVICE)")
    var service: ServiceName?

    @Option(
        help: """
            The service's Redis: redis://[user:password@]host:port, rediss:// for TLS; of a cluster several, \
            redis://host:port,host:port. Initialize it once by "kontor init". (environment: KONTOR_STORE)
            """)
    var store: String?

    @Option(
        help: """
            A file with the password for the store; the URL then has none: redis://user@host:port. \
            (environment: KONTOR_STORE_PASSWORD_FILE)
            """)
    var storePasswordFile: String?

    @Option(
        help: """
            A file with certificates (PEM) of who signs those of a store at a rediss:// URL. \
            (default: those that the system trusts; environment: KONTOR_STORE_CA)
            """)
    var storeCa: String?

    @Option(
        help: """
            Replicas of each Redis master. What is written or read counts when they have it. \
            (default: 0; environment: KONTOR_REDIS_REPLICAS)
            """)
    var redisReplicas: Int?

    @Option(
        help: """
            How many of the replicas must have it, at least 1. With fewer than all, a shard goes on while a replica is away, \
            and a failover to one that lacks a write loses it. \
            (default: all of --redis-replicas; environment: KONTOR_REDIS_CONFIRMATIONS)
            """)
    var redisConfirmations: Int?

    @Option(
        help:
            "The internal listener of a stock service: http://host:port, https:// for TLS. Repeatable. (environment: KONTOR_STOCK_URL, with commas)"
    )
    var stockUrl: [String] = []

    @Option(help: "The same of a payment service. (environment: KONTOR_PAYMENT_URL)")
    var paymentUrl: [String] = []

    @Option(help: "The same of an order service: stock and payment ask it about locks. (environment: KONTOR_ORDER_URL)")
    var orderUrl: [String] = []

    @Option(help: "The address of the internal listener. (default: 127.0.0.1; environment: KONTOR_INTERNAL_HOST)")
    var internalHost: String?

    @Option(
        help: """
            A file with the secret that the shop's processes share, \(SharedSecrets.minimumBytes) characters or more. While it is \
            replaced the file has two lines: the first one is presented, both are accepted. Read again when it changes. \
            (environment: KONTOR_SECRET_FILE, or KONTOR_SECRET with the secret itself)
            """)
    var secretFile: String?

    @Option(
        help: """
            A file with a secret that opens /metrics of the internal listener and nothing else; the shared secret then does not open \
            that. Written and read as --secret-file. Not with --auth, where a token with the scope metrics does it. \
            (default: the shared secret opens /metrics; environment: KONTOR_METRICS_SECRET_FILE)
            """)
    var metricsSecretFile: String?
}

/// Where the secrets of one purpose are.
enum SecretSource {
    /// The environment, which has one.
    case environment(SharedSecrets)
    /// A file, which may change.
    case file(String)
}

/// The checked settings of a service.
struct ServiceSettings {
    let service: ServiceName
    let store: RedisOptions
    let replicas: ReplicaRule
    let stock: [LinkURL]
    let payment: [LinkURL]
    let orders: [LinkURL]
    let internalHost: String
    /// The secrets of links.
    let secrets: SecretSource
    /// The secrets that open /metrics; nil: those of links do.
    let metricsSecrets: SecretSource?

    init?(_ options: ServiceOptions) throws {
        let name = Setting.text(options.service?.rawValue, "service", default: "")
        if name.isEmpty {
            try Self.refuseWithoutService(options)
            return nil
        }
        guard let service = ServiceName(rawValue: name) else {
            throw ValidationError("--service (KONTOR_SERVICE) is \"\(name)\": it must be order, payment or stock.")
        }
        self.service = service
        store = try StoreOptions.store(
            Setting.text(options.store, "store", default: ""),
            passwordFile: Setting.text(options.storePasswordFile, "store-password-file", default: ""),
            authorities: options.storeCa)
        let count = try Setting.number(options.redisReplicas, "redis-replicas", default: 0, in: 0...8)
        replicas = ReplicaRule(
            replicas: count,
            confirmations: try Setting.number(
                options.redisConfirmations, "redis-confirmations", default: count, in: min(1, count)...count))
        let isOrder = service == .order
        stock = try Self.urls(options.stockUrl, "stock-url", isNeeded: isOrder)
        payment = try Self.urls(options.paymentUrl, "payment-url", isNeeded: isOrder)
        orders = try Self.urls(options.orderUrl, "order-url", isNeeded: !isOrder)
        internalHost = Setting.text(options.internalHost, "internal-host", default: "127.0.0.1")
        secrets = try Self.secrets(options.secretFile)
        let file = Setting.text(options.metricsSecretFile, "metrics-secret-file", default: "")
        metricsSecrets = file.isEmpty ? nil : .file(file)
    }

    /// The services that this one asks: their kind, their name in the log, and their internal listeners.
    var peers: [(kind: GroupKey.Kind, name: String, urls: [LinkURL])] {
        service == .order
            ? [(.item, "stock", stock), (.user, "payment", payment)] : [(.order, "order", orders)]
    }

    /// What has a meaning for one of three services only is refused for a whole shop: ignored, it would be taken for
    /// granted.
    private static func refuseWithoutService(_ options: ServiceOptions) throws {
        let given: [(name: String, option: String?)] = [
            ("store", options.store), ("store-password-file", options.storePasswordFile),
            ("store-ca", options.storeCa),
            ("redis-replicas", options.redisReplicas.map { "\($0)" }), ("stock-url", options.stockUrl.first),
            ("payment-url", options.paymentUrl.first), ("order-url", options.orderUrl.first),
            ("internal-host", options.internalHost), ("secret-file", options.secretFile), ("secret", nil),
            ("metrics-secret-file", options.metricsSecretFile),
        ]
        for (name, option) in given where !Setting.text(option, name, default: "").isEmpty {
            throw ValidationError(
                "--\(name) (\(Setting.key(name))) needs --service: a whole shop in one process has no Redis, no other services, and its "
                    + "operators' port on 127.0.0.1. Say which of the three services it is, or leave it out.")
        }
    }

    /// URLs from the command line, else from the environment, where commas separate them.
    private static func urls(_ options: [String], _ name: String, isNeeded: Bool) throws -> [LinkURL] {
        let texts =
            options.isEmpty ? Setting.text(nil, name, default: "").split(separator: ",").map(String.init) : options
        if isNeeded, texts.isEmpty { throw ValidationError("--\(name) is missing: http://host:port of its internal listener.") }
        return try texts.map { text in
            do { return try LinkURL(text) } catch { throw ValidationError("--\(name) \(text): \(error)") }
        }
    }

    private static func secrets(_ file: String?) throws -> SecretSource {
        let path = Setting.text(file, "secret-file", default: "")
        if !path.isEmpty { return .file(path) }
        do throws(SharedSecrets.Mistake) {
            return .environment(try SharedSecrets(Setting.text(nil, "secret", default: ""), most: 1))
        } catch {
            throw ValidationError(
                "The services need a shared secret of \(SharedSecrets.minimumBytes) characters or more: --secret-file or "
                    + "KONTOR_SECRET. In KONTOR_SECRET \(error).")
        }
    }
}
