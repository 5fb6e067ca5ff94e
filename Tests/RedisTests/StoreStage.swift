// A store over real servers, for tests that call it from their own thread: a master, and a replica if one is wanted.

import Foundation
import KontorCore
import KontorService
import NIOCore
import NIOPosix
import RedisClient
import RedisSupport
import TestSupport

@testable import KontorRedis

let isRedisInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server")

/// `@unchecked Sendable`: client and store are used on the event loop alone.
final class StoreStage: @unchecked Sendable {
    let master: RedisServer
    let replica: RedisServer?
    let epoch = StoreEpoch(shop: Array("0123456789abcdef".utf8))
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private let client: RedisClient
    private var store: RedisStore?

    init(replicas: Int = 0) throws {
        master = try RedisServer(["--appendfsync", "always", "--repl-diskless-sync-delay", "0"])
        replica = replicas > 0 ? try RedisServer(["--replicaof", "127.0.0.1 \(master.port)"]) : nil
        try master.start()
        try replica?.start()
        client = RedisClient(master.options, on: eventLoop)
        let rule = ReplicaRule(replicas: replicas)
        let epoch = epoch
        try wait { [self] (done: @escaping (Result<Void, any Error>) -> Void) in
            client.start(deadline: .now() + .seconds(10)) { [self] result in
                if case .failure(let failure) = result { return done(.failure(failure)) }
                initialize(attempts: 40) { [self] result in
                    let options = RedisStore.Options(epoch: epoch, replicas: rule)
                    let store = RedisStore(client, options: options, clock: ManualClock(), random: FixedRandom()) { $0() }
                    client.didChange = { [weak store] in store?.connectionsDidChange($0) }
                    self.store = store
                    done(result.map { _ in }.mapError { $0 })
                }
            }
        }
        if replicas > 0 { try waitFor("the replica confirms") { try load([item(0)]) { $0.isRead } } }
    }

    /// Puts a new instance of the store in the place of the one that there is.
    func renewStore(format: RecordFormat = .newest) throws {
        let _: Bool = try wait { [self] done in
            let options = RedisStore.Options(epoch: StoreEpoch(shop: epoch.shop, format: format))
            store = RedisStore(client, options: options, clock: ManualClock(), random: FixedRandom(100)) { $0() }
            done(.success(true))
        }
    }

    /// Gives the client to `body` on the event loop, and waits for what it calls back with.
    func withClient<Value>(
        _ body: @escaping (RedisClient, @escaping (Result<Value, any Error>) -> Void) -> Void
    ) throws -> Value {
        try wait { [self] done in body(client, done) }
    }

    /// Initializes the store, again as long as its replica has not taken the master's data.
    private func initialize(attempts: Int, _ done: @escaping (Result<Bool, RedisStoreError>) -> Void) {
        RedisEpoch.initialize([client], shop: epoch.shop, secrets: { [UInt8](repeating: 7, count: 32) }) {
            [self] result in
            guard case .failure = result, attempts > 1 else { return done(result) }
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(250)) { [self] in
                initialize(attempts: attempts - 1, done)
            }
        }
    }

    deinit {
        master.stop()
        replica?.stop()
    }

    // MARK: Calls that wait

    /// Runs `body` on the event loop, and waits for what it calls back with.
    func wait<Value>(_ body: @escaping (@escaping (Result<Value, any Error>) -> Void) -> Void) throws -> Value {
        let promise = eventLoop.makePromise(of: Handover<Value>.self)
        let call = Handover(body)
        eventLoop.execute { call.value { promise.completeWith($0.map { Handover($0) }) } }
        return try promise.futureResult.wait().value
    }

    func call<Value>(_ body: @escaping (RedisStore, @escaping (Value) -> Void) -> Void) throws -> Value {
        try wait { [self] done in
            guard let store else { return done(.failure(TestFailure("no store"))) }
            body(store) { done(.success($0)) }
        }
    }

    func load(_ groups: [GroupKey]) throws -> [LoadOutcome] {
        try call { store, done in store.load(groups.map { ReadSet($0) }, completion: done) }
    }

    /// Whether all groups are read so.
    private func load(_ groups: [GroupKey], _ isAsWanted: (LoadOutcome) -> Bool) throws -> Bool {
        try load(groups).allSatisfy(isAsWanted)
    }

    /// Writes an account whatever the group has.
    @discardableResult func write(_ group: GroupKey, _ balance: Int64) throws -> CommitOutcome {
        // On a busy machine a replica may confirm a read late.
        var read: LoadedGroup?
        try waitFor("\(group) is read") {
            if case .success(let loaded)? = try load([group]).first { read = loaded }
            return read != nil
        }
        guard let read else { throw TestFailure("\(group) is not read") }
        var draft = GroupDraft(group)
        var account = Account()
        account.balance = Amount(balance)
        draft[.head] = .account(account)
        let change = GroupChange(expected: read.version, draft: draft)
        return try call { store, done in store.commit([change]) { done($0[0]) } }
    }

    /// Sends a command to the master as somebody else would.
    @discardableResult func command(_ words: String...) throws -> RESPValue { try commands([words])[0] }

    @discardableResult func commands(_ commands: [[String]]) throws -> [RESPValue] {
        try wait { [self] done in
            client.send(
                commands.map { RedisCommand($0[0], arguments: Array($0.dropFirst())) }, slot: 0, lane: .writes,
                deadline: .now() + .seconds(5)
            ) { done($0.mapError { $0 }) }
        }
    }

    func troubles() throws -> [StoreTrouble] { try call { store, done in done(store.troubles) } }

    /// Ticks until the condition is true; fails after ten seconds.
    func waitFor(_ what: String, _ condition: () throws -> Bool) throws {
        let began = ContinuousClock.now
        while ContinuousClock.now - began < .seconds(10) {
            let now = Int64(ProcessInfo.processInfo.systemUptime * 1_000)
            let _: Bool = try call { store, done in
                store.tick(now: now, wall: 0)
                done(true)
            }
            if try condition() { return }
            // Until the next look.
            Thread.sleep(forTimeInterval: 0.02)
        }
        throw TestFailure("not within ten seconds: \(what)")
    }
}

func item(_ number: Int) -> GroupKey { GroupKey(.item, Identifier(number: number)) }

extension LoadOutcome {
    var isRead: Bool { if case .success = self { true } else { false } }

    /// The text of its error; nil if it was read.
    var errorText: String? {
        switch self {
        case .success: nil
        case .failure(.unreachable(let text)), .failure(.unreadable(let text)): text
        case .failure(let error): "\(error)"
        }
    }
}

private final class FixedRandom: RandomSource {
    private var last: UInt64
    init(_ last: UInt64 = 0) { self.last = last }
    func next() -> UInt64 {
        last += 1
        return last
    }
}

// `@unchecked Sendable`: it passes what one thread has made to the other, which then has it alone.
private struct Handover<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
