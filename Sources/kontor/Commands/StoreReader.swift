// Access to Redis stores for commands that are not servers: connect, ask, end.

import Foundation
import KontorCore
import KontorRedis
import NIOCore
import NIOPosix
import RedisClient

/// Redis stores that are open for the length of a call.
///
/// `@unchecked Sendable`: the clients are used on the event loop alone.
final class StoreReader: @unchecked Sendable {
    let clients: [RedisClient]
    let eventLoop: any EventLoop

    private init(_ stores: [RedisOptions], on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        clients = stores.map { RedisClient($0, on: eventLoop) }
    }

    /// Calls `body` on the event loop with the connected stores, and waits for its promise.
    static func with<Value: Sendable>(
        _ stores: [RedisOptions], _ body: @escaping @Sendable (StoreReader, EventLoopPromise<Value>) -> Void
    ) throws -> Value {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let eventLoop = group.next()
        let promise = eventLoop.makePromise(of: Value.self)
        let closed = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            let reader = StoreReader(stores, on: eventLoop)
            promise.futureResult.whenComplete { _ in reader.close(reader.clients[...]) { closed.succeed() } }
            reader.connect(reader.clients[...]) { failure in
                if let failure { return promise.fail(failure) }
                body(reader, promise)
            }
        }
        let result = Result { try promise.futureResult.wait() }
        try? closed.futureResult.wait()
        return try result.get()
    }

    private func close(_ rest: ArraySlice<RedisClient>, completion: @escaping () -> Void) {
        guard let client = rest.first else { return completion() }
        client.close { [self] in close(rest.dropFirst(), completion: completion) }
    }

    private func connect(_ rest: ArraySlice<RedisClient>, completion: @escaping (RedisStoreError?) -> Void) {
        guard let client = rest.first else { return completion(nil) }
        client.start(deadline: .now() + .milliseconds(ServerLimits.readerStartMilliseconds)) { [self] result in
            switch result {
            case .failure(let failure): completion(RedisStoreError(description: "A store cannot be reached: \(failure)"))
            case .success: connect(rest.dropFirst(), completion: completion)
            }
        }
    }
}
