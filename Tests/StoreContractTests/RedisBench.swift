// A store on a real Redis, for tests that call it from their own thread.

import KontorCore
import KontorRedis
import KontorService
import NIOCore
import NIOPosix
import RedisClient
import RedisSupport

/// A server, a client, and a store of an initialized shop.
///
/// `@unchecked Sendable`: client and store are used on the event loop alone.
final class RedisBench: @unchecked Sendable {
    let server: RedisServer
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private var client: RedisClient?
    private var store: RedisStore?
    /// Called on the event loop behind each completion of the store.
    var didComplete: (() -> Void)?

    init(isCluster: Bool, clock: any ShopClock, random: any RandomSource) throws {
        server = try RedisServer.ofStore(isCluster: isCluster)
        try server.start()
        var options = server.options
        // On a busy machine one call with thousands of groups may take longer than a server may be silent.
        options.commandMilliseconds = 60_000
        let epoch = StoreEpoch(shop: Array("0123456789abcdef".utf8))
        let handover = Handover(clock: clock, random: random)
        let _: Bool = try wait { [self] done in
            let client = RedisClient(options, on: eventLoop)
            self.client = client
            client.start(deadline: .now() + .seconds(10)) { result in
                if case .failure(let failure) = result { return done(.failure(failure)) }
                RedisEpoch.initialize([client], shop: epoch.shop, secrets: { [7] }) { [self] result in
                    store = RedisStore(
                        client, options: RedisStore.Options(epoch: epoch), clock: handover.clock, random: handover.random
                    ) { [weak self] work in
                        work()
                        self?.didComplete?()
                    }
                    done(result.mapError { $0 })
                }
            }
        }
    }

    /// Calls the store on its event loop, and waits for what it calls back with.
    func call<Value>(_ body: @escaping (RedisStore, @escaping (Value) -> Void) -> Void) throws -> Value {
        let call = Call(body)
        return try wait { [self] (done: @escaping (Result<Box<Value>, any Error>) -> Void) in
            guard let store else { return done(.failure(NoStore())) }
            call.body(store) { done(.success(Box($0))) }
        }.value
    }

    private func wait<Value>(_ body: @escaping (@escaping (Result<Value, any Error>) -> Void) -> Void) throws -> Value {
        let promise = eventLoop.makePromise(of: Box<Value>.self)
        let call = Call { (_: Int, done: @escaping (Result<Value, any Error>) -> Void) in body(done) }
        eventLoop.execute {
            call.body(0) { result in promise.completeWith(result.map { Box($0) }) }
        }
        return try promise.futureResult.wait().value
    }
}

// `@unchecked Sendable`: they pass what one thread has made to the other, which then has it alone.
private struct Box<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

private struct Call<Subject, Value>: @unchecked Sendable {
    let body: (Subject, @escaping (Value) -> Void) -> Void
    init(_ body: @escaping (Subject, @escaping (Value) -> Void) -> Void) { self.body = body }
}

private struct Handover: @unchecked Sendable {
    let clock: any ShopClock
    let random: any RandomSource
}

private struct NoStore: Error {}
