// A real redis-server of the test's own: on a free loopback port, in a directory that is removed behind it.

import Foundation
import KontorRedis
import NIOCore
import NIOPosix

/// Runs `redis-server` as a child process.
public final class RedisServer {
    public let port: Int
    public let tlsPort: Int
    public let directory: URL
    private let arguments: [String]
    private var process: Process?

    /// - Parameter arguments: further options, as on the command line; `DIR` stands for the directory, and
    ///   `TLSPORT` for a port.
    public init(_ arguments: [String] = []) throws {
        port = try RedisServer.freePort()
        tlsPort = try RedisServer.freePort()
        directory = FileManager.default.temporaryDirectory.appending(path: "kontor-redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        self.arguments = arguments
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }

    /// A server for the tests of a store, not started yet; as a cluster it is one node which has all slots. It keeps
    /// nothing on disk: what a store promises of that is tested with processes.
    public static func ofStore(isCluster: Bool) throws -> RedisServer {
        guard isCluster else { return try RedisServer(["--appendonly", "no"]) }
        let server = try RedisServer([
            "--appendonly", "no", "--cluster-enabled", "yes", "--cluster-port", "\(try freePort())", "--cluster-config-file",
            "nodes.conf",
        ])
        let node = String(repeating: "a", count: 40)
        let nodes = """
            \(node) :0@0 myself,master - 0 0 1 connected 0-16383
            vars currentEpoch 1 lastVoteEpoch 0

            """
        try nodes.write(to: server.directory.appending(path: "nodes.conf"), atomically: true, encoding: .utf8)
        return server
    }

    public var options: RedisOptions { RedisOptions(seeds: [RedisAddress(host: "127.0.0.1", port: port)]) }

    public func start() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/redis-server")
        let path = directory.path
        let standard = ["--port", "\(port)", "--bind", "127.0.0.1", "--dir", path, "--save", "", "--appendonly", "yes"]
        let port = "\(tlsPort)"
        process.arguments =
            standard + arguments.map { $0.replacing("DIR", with: path).replacing("TLSPORT", with: port) }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
    }

    /// Kills it, by its process id, and waits for its end.
    public func stop() {
        guard let process else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    public func pause() { process.map { _ = kill($0.processIdentifier, SIGSTOP) } }

    public func proceed() { process.map { _ = kill($0.processIdentifier, SIGCONT) } }

    /// A port that was free a moment ago.
    public static func freePort() throws -> Int {
        let channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        return channel.localAddress?.port ?? 0
    }
}
