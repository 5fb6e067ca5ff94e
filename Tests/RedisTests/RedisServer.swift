// A real redis-server of the test's own: on a free loopback port, in a directory that is removed behind it.

import Foundation
import NIOCore
import NIOPosix

@testable import KontorRedis

/// Runs `redis-server` as a child process.
final class RedisServer {
    let port: Int
    let tlsPort: Int
    let directory: URL
    private let arguments: [String]
    private var process: Process?

    /// - Parameter arguments: further options, as on the command line; `DIR` stands for the directory, and
    ///   `TLSPORT` for a port.
    init(_ arguments: [String] = []) throws {
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

    var options: RedisOptions { RedisOptions(seeds: [RedisAddress(host: "127.0.0.1", port: port)]) }

    func start() throws {
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
    func stop() {
        guard let process else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    func pause() { process.map { _ = kill($0.processIdentifier, SIGSTOP) } }

    func proceed() { process.map { _ = kill($0.processIdentifier, SIGCONT) } }

    /// A port that was free a moment ago.
    static func freePort() throws -> Int {
        let channel = try ServerBootstrap(group: testLoops).bind(host: "127.0.0.1", port: 0).wait()
        defer { try? channel.close().wait() }
        return channel.localAddress?.port ?? 0
    }
}
