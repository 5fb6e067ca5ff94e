// swift-tools-version:6.1
import PackageDescription

// The package graph is the architecture: a target can only import those above it in this list.
let package = Package(
    name: "kontor",
    products: [
        .library(name: "KontorCore", targets: ["KontorCore"]),
        .library(name: "KontorService", targets: ["KontorService"]),
        .executable(name: "kontor", targets: ["kontor"]),
    ],
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // A backend of swift-metrics that shows Prometheus its numbers.
        .target(name: "KontorMetrics", dependencies: [.product(name: "CoreMetrics", package: "swift-metrics")]),
        // Pure rules: no I/O, no clock, no async, no Foundation.
        .target(name: "KontorCore"),
        // Engine, saga coordinator, recovery, and the ports that they need.
        .target(
            name: "KontorService",
            dependencies: [
                "KontorCore",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        // One machine's store: our journal, and SQLite for the folded table.
        .target(
            name: "KontorEmbedded",
            dependencies: [
                "KontorCore", "KontorService",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        // Who a caller is, and what he may do: scopes, tokens, JWTs.
        .target(
            name: "KontorAccess", dependencies: ["KontorCore", .product(name: "Crypto", package: "swift-crypto")]),
        // Routes, problem details and the listener.
        .target(
            name: "KontorHTTP",
            dependencies: [
                "KontorAccess", "KontorCore", "KontorService",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        // Certificates, and TLS below the handlers of a connection. Knows nothing of Kontor.
        .target(
            name: "KontorTLS",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        // A small client for Redis 7 or Valkey, standalone or Cluster. Knows nothing of Kontor, so that another client
        // could replace it.
        .target(
            name: "RedisClient",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        // The store on Redis 7 or Valkey.
        .target(
            name: "KontorRedis",
            dependencies: [
                "KontorCore", "KontorService", "RedisClient", .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        // What the services say to each other when each is a process of its own.
        .target(
            name: "KontorLink",
            dependencies: [
                "KontorCore", "KontorService",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        // A store in memory, and a simulated disk for the embedded one: links no NIO.
        .target(
            name: "KontorSimulation",
            dependencies: [
                "KontorCore", "KontorService", "KontorEmbedded", .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        // What Swift's Glibc leaves out of Linux.
        .systemLibrary(name: "CLinux"),
        // Offers load and measures what comes back: knows the HTTP contract, and nothing of the shop.
        .target(
            name: "KontorBench",
            dependencies: [
                "CLinux", .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        .executableTarget(
            name: "kontor",
            dependencies: [
                "CLinux", "KontorCore", "KontorService", "KontorAccess", "KontorEmbedded", "KontorHTTP", "KontorMetrics",
                "KontorBench",
                "KontorSimulation", "KontorRedis", "KontorLink", "KontorTLS", "RedisClient",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        // What bench-guard counts the instructions of: no part of the product.
        .executableTarget(
            name: "kontor-guard",
            dependencies: [
                "KontorAccess", "KontorCore", "KontorService", "KontorEmbedded", "KontorHTTP", "KontorLink", "KontorMetrics",
                "KontorSimulation", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ], path: "Tests/Guard", exclude: ["guard.py", "thresholds.json"]),
        // What several of the tests need: names, records, and the ports of a shop.
        .target(
            name: "TestSupport", dependencies: ["KontorCore", "KontorService", "KontorMetrics"], path: "Tests/Support"),
        .testTarget(name: "CoreTests", dependencies: ["KontorCore", "KontorSimulation", "TestSupport"]),
        .testTarget(
            name: "ServiceTests",
            dependencies: ["KontorCore", "KontorService", "KontorSimulation", "KontorMetrics", "TestSupport"]),
        .testTarget(
            name: "AccessTests",
            dependencies: ["KontorAccess", "KontorCore", .product(name: "Crypto", package: "swift-crypto")]),
        .testTarget(name: "SimulationTests", dependencies: ["KontorSimulation"]),
        .testTarget(
            name: "RedisClientTests",
            dependencies: [
                "RedisClient", "RedisSupport", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(
            name: "RedisTests",
            dependencies: [
                "KontorCore", "KontorRedis", "KontorService", "RedisClient", "RedisSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(
            name: "LinkTests",
            dependencies: [
                "KontorCore", "KontorService", "KontorLink", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        // It knows all targets, because it compares their bounds.
        .testTarget(
            name: "TidyTests",
            dependencies: [
                "kontor", "KontorBench", "KontorCore", "KontorEmbedded", "KontorHTTP", "KontorLink", "KontorRedis",
                "KontorService", "KontorTLS", "RedisClient",
            ]),
        .testTarget(
            name: "TLSTests",
            dependencies: [
                "KontorTLS", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        .testTarget(name: "BenchTests", dependencies: ["KontorBench"]),
        .testTarget(
            name: "MetricsTests",
            dependencies: ["KontorMetrics", .product(name: "CoreMetrics", package: "swift-metrics")]),
        .testTarget(
            name: "HTTPTests",
            dependencies: [
                "KontorAccess", "KontorCore", "KontorService", "KontorHTTP", "KontorMetrics", "KontorSimulation", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        .testTarget(
            name: "StoreContractTests",
            dependencies: [
                "KontorCore", "KontorService", "KontorEmbedded", "KontorRedis", "KontorSimulation", "RedisClient",
                "RedisSupport", "TestSupport", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .target(
            name: "RedisSupport",
            dependencies: [
                "RedisClient", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], path: "Tests/RedisSupport"),
        .testTarget(
            name: "EmbeddedTests",
            dependencies: [
                "KontorCore", "KontorService", "KontorEmbedded", "KontorSimulation", "KontorMetrics", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
    ]
)
