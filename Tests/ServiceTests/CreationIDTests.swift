// The ids of creations under a key: derived with a secret of the shop.

import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("Ids of creations under a key")
struct CreationIDTests {
    private func create(_ world: World, _ key: String, _ stamp: RequestStamp? = nil) -> ShopAnswer? {
        let caller = world.ask(.createUser, key: key, stamp: stamp)
        for _ in 0..<1_000 where caller.answer == nil {
            if world.store.isIdle { world.pass(Limits.tickMilliseconds) } else { world.step() }
        }
        return caller.answer
    }

    /// A shop that has started, and so has its secret.
    private func started(seed: UInt64) -> World {
        let world = World(seed: seed)
        world.crashAndRecover()
        return world
    }

    /// One that had kept a key before.
    private func startedWithKeys(seed: UInt64) -> World {
        let world = World(seed: seed)
        _ = create(world, "before")
        world.crashAndRecover()
        return world
    }

    @Test("who kept no key before the secret looks for none from before it, today and after a restart")
    func noOldKeys() {
        func loads(_ world: World, _ key: String) -> Int {
            let before = world.store.loads
            _ = create(world, key)
            return world.store.loads - before
        }
        let (new, old) = (started(seed: 1), startedWithKeys(seed: 2))
        for key in ["one", "two"] {
            #expect(loads(new, key) == loads(old, key) - 1)
            new.crashAndRecover()
            old.crashAndRecover()
        }
    }

    @Test("the same key gives another id in another shop, and the same one after each restart of its own")
    func secret() throws {
        let one = started(seed: 1)
        let other = started(seed: 2)
        let answer = try #require(create(one, "signup-1"))
        #expect(answer != create(other, "signup-1"))
        one.crashAndRecover()
        #expect(create(one, "signup-1") == .replayed(answer))
        one.clock.monotonicMilliseconds += Limits.keyRetentionMilliseconds * 2
        one.crashAndRecover()
        #expect(create(one, "signup-1") == .replayed(answer), "the account is there, though the key has expired")
    }

    @Test("a shop whose secret cannot be read at a start waits for it")
    func unreadableSecret() throws {
        let world = started(seed: 1)
        let answer = try #require(create(world, "signup-1"))
        world.store.failingLoads = 3
        world.crashAndRecover()
        #expect(world.store.failingLoads == 0)
        #expect(create(world, "signup-1") == .replayed(answer))
    }

    @Test("a creation whose key could not be looked up is refused; a gateway's second copy of it is told that nobody knows")
    func unreadableKey() {
        let world = startedWithKeys(seed: 1)
        func refusal(isRepeated: Bool) -> ShopAnswer? {
            world.store.failingLoads = 1
            let stamp = RequestStamp(
                request: String(repeating: "a", count: 32), sent: world.clock.wallMilliseconds, isRepeated: isRepeated)
            return create(world, "signup-1", stamp)
        }
        #expect(refusal(isRepeated: false) == .unavailable(.unreachable("the test")))
        #expect(refusal(isRepeated: true) == .unknown, "the first copy may have found the key, and made the account")
    }

    @Test("a creation from before the first start with a secret is replayed, and its id is nobody else's")
    func upgrade() throws {
        let world = World(seed: 3)
        let old = try #require(create(world, "signup-1"))
        #expect(old == create(World(seed: 4), "signup-1"), "release 0.1 derived it from the key alone")
        world.crashAndRecover()
        #expect(create(world, "signup-1") == .replayed(old))
        let fresh = try #require(create(world, "signup-2"))
        #expect(fresh != create(World(seed: 4), "signup-2"))
        #expect(create(world, "signup-2") == .replayed(fresh))
    }
}
