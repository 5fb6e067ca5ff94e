import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("Waiting")
struct WaitingTests {
    private let item = GroupKey(.item, id("a"))

    private func saga(_ name: String) -> SagaID { SagaID(order: id(name), incarnation: 1, attempt: 1) }

    private func waiter(_ name: String) -> Waiters.Waiter {
        Waiters.Waiter(command: LedgerCommand(item, .hold(saga(name), Amount(1), mayWait: true)), keyed: nil, deadline: 9) {
            _ in
        }
    }

    @Test("a saga that ends while its hold is decided again is not put back")
    func endsWhileProbed() {
        var waiters = Waiters()
        waiters.add(waiter("s"))
        #expect(waiters.takeFirst(of: item) != nil)
        waiters.remove(saga("s"), from: item)
        waiters.endRetry(of: item, isContended: true)
        #expect(waiters.count == 0)
        #expect(waiters.takeFirst(of: item) == nil)
    }

    @Test("a saga waits once, however often it asks")
    func waitsOnce() {
        var waiters = Waiters()
        for _ in 0..<3 { waiters.add(waiter("s")) }
        #expect(waiters.count == 1)
        #expect(waiters.takeFirst(of: item) != nil)
        waiters.add(waiter("s"))
        waiters.endRetry(of: item, isContended: true)
        #expect(waiters.count == 1)
    }

    @Test("first come, first served, and one that is still contended keeps its place")
    func order() {
        var waiters = Waiters()
        for name in ["first", "second"] { waiters.add(waiter(name)) }
        for _ in 0..<2 {
            #expect(waiters.takeFirst(of: item)?.command.saga == saga("first"))
            #expect(waiters.takeFirst(of: item) == nil, "one at a time")
            waiters.endRetry(of: item, isContended: true)
        }
        #expect(waiters.takeFirst(of: item)?.command.saga == saga("first"))
        waiters.endRetry(of: item, isContended: false)
        #expect(waiters.takeFirst(of: item)?.command.saga == saga("second"))
        #expect(waiters.removeExpired(now: 9).isEmpty, "it is being decided")
        waiters.endRetry(of: item, isContended: true)
        #expect(waiters.removeExpired(now: 9).count == 1)
        #expect(waiters.count == 0)
    }

    @Test("what was released and forgotten is never granted, though others still wait before it")
    func noGrantBehindTheEnd() {
        let records = MemoryStore()
        let agenda = Agenda()
        let ledger = LedgerService(
            "stock",
            ShopEnvironment(store: records, clock: ManualClock(), random: SeededRandom(seed: 1), log: RecordedEvents()),
            agenda: agenda, router: MessageRouter(.alone))
        var grants: [String] = []
        func ask(_ name: String, _ operation: LedgerCommand.Operation) {
            ledger.submit(LedgerCommand(item, operation), waitsUntil: .client(.max)) { reply in
                if case .decided(.held) = reply { grants.append(name) }
            }
            agenda.runUntilQuiet()
        }
        ask("", .replace(balance: Amount(2), price: .zero))
        ask("x", .hold(saga("x"), Amount(1), mayWait: false))
        for name in ["v", "s"] { ask(name, .hold(saga(name), Amount(2), mayWait: true)) }
        ask("s", .release(saga("s"), Amount(2)))
        ask("s", .forget(saga("s")))
        ask("x", .release(saga("x"), Amount(1)))
        ask("v", .release(saga("v"), Amount(2)))
        #expect(grants == ["x", "v"])
        var held: [Amount] = []
        records.forEach { _, record in if case .account(let account) = record { held.append(account.held) } }
        #expect(held == [.zero])
    }

    @Test("a begin whose outcome is unknown is asked again, and the checkout ends without a restart", arguments: 1...20)
    func unknownBegin(seed: UInt64) {
        let world = World(seed: seed)
        world.item("a", stock: 1)
        world.user("u", credit: 100)
        let order = world.order("u", ["a"])
        world.store.unknownPercent = 100
        let caller = world.ask(.checkout(order: order))
        world.step()
        world.store.unknownPercent = 0
        world.settle()
        #expect(caller.isPaid)
        world.expectClean()
    }

    @Test(
        "questions of other processes wait up to a bound: beyond it they are dropped, and repeated", arguments: [true, false])
    func questionsOfOthers(isOrder: Bool) {
        let shop = SeveralWorld(seed: 1, shops: 1).replicas[0].shop
        let bound = Limits.mailboxCommands + Limits.engineBatchCommands
        // The store does not answer.
        for first in stride(from: 0, to: 2 * bound, by: 10_000) {
            shop.receive(
                (first..<first + 10_000).map { number in
                    let body: Message.Body =
                        isOrder
                        ? .question(OrderCommand(Identifier(number: number), .inspect))
                        : .command(LedgerCommand(GroupKey(.user, Identifier(number: number)), .read), deadline: 0)
                    return Message(.link(0, number: UInt32(number)), body)
                })
            shop.endTurn()
        }
        #expect((Limits.mailboxCommands...bound).contains(shop.queued))
    }
}
