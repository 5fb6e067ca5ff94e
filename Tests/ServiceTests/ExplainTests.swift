import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("An order explained")
struct ExplainTests {
    private func explain(_ world: World, _ order: Identifier) -> Explanation? {
        guard case .explanation(let explanation)? = world.run(.explain(order: order)) else { return nil }
        return explanation
    }

    @Test("a failed order names what is missing now, of every account, until it is there")
    func missing() throws {
        let world = World(seed: 1)
        world.item("a", stock: 1)
        world.user("u", credit: 150)
        let order = world.order("u", ["a", "a", "b"])
        world.run(.checkout(order: order))
        let item = GroupKey(.item, id("a"))
        let user = GroupKey(.user, id("u"))
        let failed = try #require(explain(world, order))
        #expect(failed.attempts.count == 1)
        #expect(
            failed.obstacles == [
                .insufficient(account: item, wanted: Amount(2), left: Amount(1)),
                .insufficient(account: user, wanted: Amount(200), left: Amount(150)),
            ])
        world.run(.ledger(LedgerCommand(item, .deposit(Amount(1)))))
        world.run(.ledger(LedgerCommand(user, .deposit(Amount(50)))))
        #expect(explain(world, order)?.obstacles == [])
        #expect(world.run(.checkout(order: order)) == .checkout(.paid))
        let paid = try #require(explain(world, order))
        #expect(paid.attempts.map(\.decision?.isCommit) == [false, true])
        #expect(paid.attempts[1].traces.allSatisfy { $0.hold == .held && $0.settledAfter != nil })
        world.expectClean()
    }

    @Test("a running checkout shows what it waits for, and when that is asked again")
    func running() throws {
        let world = World(seed: 1)
        world.item("a", stock: 1)
        world.user("u", credit: 1_000)
        let order = world.order("u", ["a"])
        let checkout = world.ask(.checkout(order: order))
        world.step()
        world.step()
        world.step()
        let asked = world.ask(.explain(order: order))
        while asked.answer == nil { world.step() }
        guard case .explanation(let explanation)? = asked.answer, checkout.answer == nil else {
            Issue.record("the checkout is over already, or nothing was explained")
            return
        }
        #expect(explanation.order.status == .checkingOut)
        #expect(explanation.saga?.phase == .holdingTogether)
        #expect(explanation.attempts.last?.traces.count == 2)
        #expect(explanation.retries.compactMap { $0 }.allSatisfy { $0 > world.clock.wallMilliseconds })
        #expect(explanation.retries.contains { $0 != nil })
        world.settle()
        #expect(checkout.answer == .checkout(.paid))
    }

    @Test("a retry in lock order is told as an attempt of its own, and the history survives a crash", arguments: 1...20)
    func contended(seed: UInt64) throws {
        let world = World(seed: seed)
        world.item("a", stock: 6)
        world.user("u", credit: 600)
        let orders = (0..<8).map { _ in world.order("u", ["a"]) }
        for order in orders { world.ask(.checkout(order: order)) }
        world.settle()
        world.crashAndRecover()
        for order in orders {
            let history = try #require(explain(world, order)?.attempts)
            #expect(history.dropLast().allSatisfy { $0.decision == .retryInOrder })
            #expect(history.allSatisfy { $0.finishedAfter != nil })
            #expect(zip(history, history.dropFirst()).allSatisfy { $0.begun <= $1.begun && $0.number + 1 == $1.number })
        }
    }

    @Test("a removed order is explained, an unknown one is not")
    func removed() {
        let world = World(seed: 1)
        world.user("u", credit: 0)
        let order = world.order("u", [])
        world.run(.order(OrderCommand(order, .remove)))
        #expect(explain(world, order)?.order.status == .removed)
        #expect(world.run(.explain(order: id("nowhere"))) == .order(.unknownOrder))
    }
}

extension Decision {
    fileprivate var isCommit: Bool { self == .commit }
}
