// Against a real redis-server: logging in, pipelining, restarts, pauses, TLS.

import Foundation
import NIOCore
import RedisSupport
import Testing

@testable import RedisClient

private let isRedisInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server")

@Suite(.enabled(if: isRedisInstalled)) struct RealRedisTests {
    @Test func `a user logs in, and ten thousand pipelined commands are answered in order`() throws {
        let server = try RedisServer(["--user", "shop", "on", ">s3cret", "~*", "+@all", "--user", "default", "off"])
        try server.start()
        var options = server.options
        options.user = "shop"
        options.password = "s3cret"
        // On a busy machine ten thousand commands may take longer than a server may be silent.
        options.commandMilliseconds = 60_000
        try withClient(options) { (client) throws in
            #expect(try !client.loop.submit { client.client.value.isCluster }.wait())
            let requests = (0..<10_000).map { [RedisCommand("INCR", "counter"), RedisCommand("ECHO", "\($0)")] }
            let outcomes = try client.sendAll(requests)
            for (index, outcome) in outcomes.enumerated() {
                #expect(outcome.replies?.map(\.int) == [Int64(index + 1), Int64(index)])
            }
            let names = try client.send("CLIENT", "LIST").replies?.first?.string ?? ""
            #expect(names.contains("name=test") && names.contains("user=shop") && names.contains("resp=3"))
        }
        options.password = "wrong"
        let stranger = try TestClient(options)
        let failure = try #require(throws: RedisClientError.self) { try stranger.start(seconds: 1) }
        #expect(failure.reason.contains("WRONGPASS"))
        try stranger.close()
    }

    @Test func `values are any bytes, and large`() throws {
        let server = try RedisServer()
        try server.start()
        try withClient(server.options) { (client) throws in
            var random = SplitMix(seed: 7)
            let value = (0..<3_000_000).map { _ in UInt8(random.next(256)) }
            var set = RedisCommand("SET", argumentCount: 2)
            set.append("a")
            set.append(value)
            let outcomes = try client.sendAll([[set, RedisCommand("GET", "a")]], key: "a")
            #expect(outcomes[0].replies?.last?.bytes.map { Array($0.readableBytesView) } == value)
        }
    }

    @Test func `RESP3 values arrive as what they are`() throws {
        let server = try RedisServer()
        try server.start()
        try withClient(server.options) { (client) throws in
            let commands = [
                RedisCommand("HSET", "h", "a", "1"), RedisCommand("HGETALL", "h"), RedisCommand("ZADD", "z", "1.5", "m"),
                RedisCommand("ZSCORE", "z", "m"), RedisCommand("SADD", "s", "x"), RedisCommand("SMEMBERS", "s"),
                RedisCommand("GET", "nothing"), RedisCommand("DEBUG", "PROTOCOL", "verbatim"),
                RedisCommand("DEBUG", "PROTOCOL", "attrib"), RedisCommand("DEBUG", "PROTOCOL", "true"),
                RedisCommand("DEBUG", "PROTOCOL", "bignum"),
            ]
            let replies = try client.sendAll([commands])[0].replies ?? []
            try #require(replies.count == commands.count)
            #expect(replies[1].pairs?.first?.value.int == 1)
            #expect(replies[3] == .double(1.5))
            #expect(replies[5].elements?.count == 1)
            #expect(replies[6] == .null)
        }
    }

    @Test func `the client survives restarts of its server`() throws {
        let server = try RedisServer(["--appendfsync", "always"])
        try server.start()
        try withClient(server.options) { (client) throws in
            for round in 1...3 {
                #expect(try client.send("INCR", "a").replies?.first?.int == Int64(round))
                let before = client.changes.counted
                server.stop()
                let read = client.begin([[RedisCommand("GET", "a")]], key: "a", lane: .reads)
                try server.start()
                #expect(try read.within(seconds: 10).wait()[0].replies?.first?.int == Int64(round))
                #expect(client.changes.counted > before || round == 1)
            }
        }
    }

    @Test func `a server that is stopped is noticed, and its writes are unknown`() throws {
        let server = try RedisServer()
        try server.start()
        var options = server.options
        options.commandMilliseconds = 500
        options.connectMilliseconds = 500
        try withClient(options) { (client) throws in
            #expect(try client.send("SET", "a", "1").replies != nil)
            server.pause()
            #expect(try client.send("SET", "a", "2").isUnknown)
            #expect(try client.send("SET", "a", "3", seconds: 0.2).isNotSent)
            server.proceed()
            #expect(try client.send("SET", "a", "4").replies != nil)
            #expect(try client.send("GET", "a", lane: .reads).replies?.first?.int == 4)
        }
    }

    @Test func `a server with TLS is trusted by its authority only`() throws {
        let server = try RedisServer(
            ["--tls-port", "TLSPORT", "--tls-cert-file", "DIR/cert.pem", "--tls-key-file", "DIR/key.pem"]
                + ["--tls-ca-cert-file", "DIR/cert.pem", "--tls-auth-clients", "no"])
        try makeCertificate(in: server.directory)
        try server.start()
        var options = server.options
        options.seeds = [RedisAddress(host: "127.0.0.1", port: server.tlsPort)]
        options.tls = RedisTLS(authorityFile: server.directory.appending(path: "cert.pem").path)
        try withClient(options) { (client) throws in
            #expect(try client.send("SET", "a", "1") == .success([.simple("OK")]))
            let requests = (0..<1_000).map { _ in [RedisCommand("INCR", "a")] }
            #expect(try client.sendAll(requests).last?.replies?.first?.int == 1_001)
        }
        options.seeds = [RedisAddress(host: "localhost", port: server.tlsPort)]
        try withClient(options) { (client) throws in #expect(try client.send("GET", "a").replies?.first?.int == 1_001) }
        options.tls = RedisTLS()
        let stranger = try TestClient(options)
        let failure = try #require(throws: RedisClientError.self) { try stranger.start(seconds: 1) }
        #expect(failure.reason.contains("its certificate is not trusted"))
        try stranger.close()
    }

    private func makeCertificate(in directory: URL) throws {
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/openssl")
        openssl.currentDirectoryURL = directory
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=kontor-test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", "key.pem", "-out", "cert.pem",
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        try #require(openssl.terminationStatus == 0, "openssl made no certificate")
    }
}
