// A real Redis for the length of a test: on a free port of the loopback, in a directory of its own, ended by its process id.

import Foundation
import KontorRedis
import NIOCore
import NIOPosix

/// A running `redis-server`. It syncs before it replies, as a store must.
public final class RedisServer {
    public let port: Int
    private let process = Process()
    private let directory = FileManager.default.temporaryDirectory.appending(path: "kontor-redis-" + UUID().uuidString)

    /// - Parameter isCluster: a cluster of one node, which has all slots.
    public init(isCluster: Bool = false) throws {
        port = try Self.freePort()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        process.executableURL = URL(filePath: "/usr/bin/redis-server")
        process.currentDirectoryURL = directory
        process.arguments = [
            "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
        ]
        if isCluster { process.arguments? += ["--cluster-enabled", "yes", "--cluster-port", "\(try Self.freePort())"] }
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        if isCluster { try giveAllSlots() }
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    public var url: RedisURL { get throws { try RedisURL("redis://127.0.0.1:\(port)") } }

    /// Waits until the server has taken them, too.
    private func giveAllSlots() throws {
        for _ in 0..<100 {
            let isOpen = try ask("PING").contains("PONG")
            if isOpen, try ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383").contains("OK") { break }
        }
        for _ in 0..<1_000 where try ask("CLUSTER", "INFO").contains("cluster_state:ok") { return }
        throw Failure(description: "the cluster of one node is not ready")
    }

    private func ask(_ words: String...) throws -> String {
        let client = Process()
        let output = Pipe()
        client.executableURL = URL(filePath: "/usr/bin/redis-cli")
        client.arguments = ["-p", "\(port)"] + words
        client.standardOutput = output
        client.standardError = output
        try client.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        client.waitUntilExit()
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func freePort() throws -> Int {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        return channel.localAddress?.port ?? 0
    }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }
}
