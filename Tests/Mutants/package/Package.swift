// swift-tools-version:6.1
import PackageDescription

// Only what the simulator is made of, so that each bug is built in a fraction of the time. mutants.py puts it in the
// place of the package's own manifest.
let package = Package(
    name: "kontor",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .target(name: "KontorCore"),
        .target(
            name: "KontorService",
            dependencies: [
                "KontorCore", .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        .target(
            name: "KontorEmbedded",
            dependencies: [
                "KontorCore", "KontorService", .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        .target(
            name: "KontorSimulation",
            dependencies: [
                "KontorCore", "KontorService", "KontorEmbedded", .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        .executableTarget(
            name: "kontor",
            dependencies: [
                "KontorCore", "KontorSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            sources: ["Simulate.swift", "main.swift"]),
    ]
)
