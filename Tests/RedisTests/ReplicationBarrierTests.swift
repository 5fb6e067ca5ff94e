// The replication barrier over real servers: what was read leaves the process only when the replicas have it.

import Foundation
import KontorCore
import KontorService
import NIOCore
import NIOPosix
import RedisSupport
import Synchronization
import Testing

@testable import KontorRedis
@testable import RedisClient

private let isRedisInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server")

@Suite(.enabled(if: isRedisInstalled)) struct ReplicationBarrierTests {
    @Test func `without reads, or without replicas, there is nothing to wait for`() throws {
        let server = try RedisServer()
        try server.start()
        for replicas in 0...1 {
            try withBarrier(over: server, replicas: replicas) { barrier, client, _ in
                if replicas == 0 { barrier.didRead([1]) }
                let isWaiting = barrier.waitForReplicas { Issue.record("there was nothing to wait for") }
                #expect(!isWaiting)
                return client.eventLoop.makeSucceededVoidFuture()
            }
        }
    }

    @Test func `what was read is on the replicas before the barrier is passed`() throws {
        let master = try RedisServer(["--repl-diskless-sync-delay", "0"])
        let replica = try RedisServer(["--replicaof", "127.0.0.1 \(master.port)"])
        try master.start()
        try replica.start()
        try withBarrier(over: master, replicas: 1) { barrier, client, passed in
            barrier.didRead([1])
            let isWaiting = barrier.waitForReplicas { passed.succeed() }
            #expect(isWaiting)
            return passed.futureResult
        }
    }

    @Test func `while replicas are missing the barrier holds, until it is cancelled`() throws {
        let server = try RedisServer()
        try server.start()
        try withBarrier(over: server, replicas: 1) { barrier, client, passed in
            barrier.didRead([1])
            var isCancelled = false
            let isWaiting = barrier.waitForReplicas {
                #expect(isCancelled)
                passed.succeed()
            }
            #expect(isWaiting)
            // The first WAIT has timed out by then.
            let pause = TimeAmount.milliseconds(Int64(RedisStoreLimits.replicasMilliseconds) * 3 / 2)
            client.eventLoop.assumeIsolated().scheduleTask(in: pause) {
                isCancelled = true
                barrier.cancel()
            }
            return passed.futureResult
        }
    }

    /// Runs `body` on an event loop with a barrier over a started client, and waits for the future that it returns.
    private func withBarrier(
        over server: RedisServer, replicas: Int,
        _ body: @escaping @Sendable (ReplicationBarrier, RedisClient, EventLoopPromise<Void>) -> EventLoopFuture<Void>
    ) throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let options = server.options
        let ended = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            let client = RedisClient(options, on: eventLoop)
            client.start(deadline: .now() + .seconds(10)) { result in
                if case .failure(let error) = result { return ended.fail(error) }
                let barrier = ReplicationBarrier(client, ReplicaWait(replicas: replicas))
                let passed = eventLoop.makePromise(of: Void.self)
                let outcome = body(barrier, client, passed)
                outcome.whenComplete { _ in passed.succeed() }
                outcome.assumeIsolated().whenComplete { result in client.close { ended.completeWith(result) } }
            }
        }
        try ended.futureResult.wait()
    }
}
