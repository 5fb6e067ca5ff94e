// A real Redis for the length of a test: on a free port of the loopback, in a directory of its own, ended by its process id.

import Foundation
import KontorRedis
import NIOCore
import NIOPosix

/// A running `redis-server`. It keeps nothing on disk: what a store promises of that is tested with processes.
public final class RedisServer {
    public let port: Int
    private let process = Process()
    private let directory = FileManager.default.temporaryDirectory.appending(path: "kontor-store-" + UUID().uuidString)

    /// - Parameter isCluster: a cluster of one node, which has all slots.
    public init(isCluster: Bool = false) throws {
        port = try Self.freePort()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var arguments = ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        if isCluster {
            arguments += [
                "--cluster-enabled", "yes", "--cluster-port", "\(try Self.freePort())", "--cluster-config-file", "nodes.conf",
            ]
            let node = String(repeating: "a", count: 40)
            let nodes = """
                \(node) :0@0 myself,master - 0 0 1 connected 0-16383
                vars currentEpoch 1 lastVoteEpoch 0

                """
            try nodes.write(to: directory.appending(path: "nodes.conf"), atomically: true, encoding: .utf8)
        }
        process.executableURL = URL(filePath: "/usr/bin/redis-server")
        process.arguments = arguments + ["--dir", directory.path]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit { stop() }

    /// Kills it, by its process id, and removes its directory.
    public func stop() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    public var url: RedisURL { get throws { try RedisURL("redis://127.0.0.1:\(port)") } }

    private static func freePort() throws -> Int {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        return channel.localAddress?.port ?? 0
    }
}
