// The shop's numbers agree with what happened, and stay right through crashes of the store.

import KontorCore
import KontorMetrics
import KontorService
import KontorSimulation
import TestSupport
import Testing

/// A world whose numbers can be read.
private struct Counted {
    let registry = MetricsRegistry([])
    let world: World

    init(seed: UInt64, records: MemoryStore = MemoryStore()) {
        world = World(seed: seed, records: records, metrics: ShopMetrics(factory: registry))
    }

    /// The value of a series, as a scraper reads it after the next second.
    func value(_ series: String) -> Double? {
        world.pass(Limits.gaugeMilliseconds)
        return registry.value(of: series)
    }

    func outcome(_ name: String) -> Double? { value(#"kontor_checkouts_total{outcome="\#(name)"}"#) }
    func notBegun(_ name: String) -> Double? { value(#"kontor_checkouts_not_begun_total{reason="\#(name)"}"#) }
}

@Suite("The shop's metrics")
struct ShopMetricsTests {
    @Test("each checkout is counted once, under its outcome")
    func outcomes() {
        let counted = Counted(seed: 1)
        let world = counted.world
        world.item("plenty", stock: 100)
        world.item("none", stock: 0)
        world.user("rich", credit: 10_000)
        world.user("poor", credit: 50)
        let paid = world.order("rich", ["plenty"])
        world.run(.checkout(order: paid))
        world.run(.checkout(order: paid))
        world.run(.checkout(order: world.order("rich", ["plenty", "none"])))
        world.run(.checkout(order: world.order("poor", ["plenty"])))
        world.run(.checkout(order: world.order("poor", [])))
        world.run(.checkout(order: id("nobody")))
        let removed = world.order("poor", [])
        world.run(.order(OrderCommand(removed, .remove)))
        world.run(.checkout(order: removed))
        #expect(counted.outcome("paid") == 1)
        #expect(counted.outcome("out_of_stock") == 1)
        #expect(counted.outcome("out_of_credit") == 1)
        #expect(counted.outcome("contended") == 0)
        #expect(counted.notBegun("already_paid") == 1)
        #expect(counted.notBegun("empty_order") == 1)
        #expect(counted.notBegun("unknown_order") == 1)
        #expect(counted.notBegun("removed_order") == 1)
    }

    @Test("a checkout that meets another's hold is counted as contended and as a retry in lock order")
    func contention() {
        let counted = Counted(seed: 2)
        let world = counted.world
        world.item("last", stock: 1)
        world.user("a", credit: 1_000)
        let saga = SagaID(order: id("other"), incarnation: 1, attempt: 1)
        let last = GroupKey(.item, id("last"))
        world.run(.ledger(LedgerCommand(last, .hold(saga, Amount(1), mayWait: false))))
        let order = world.order("a", ["last"])
        let request = world.ask(.checkout(order: order), within: 10_000)
        for _ in 0..<50 where !world.store.isIdle || request.answers.isEmpty {
            while !world.store.isIdle { world.step() }
            world.pass(Limits.tickMilliseconds)
        }
        #expect(counted.value(#"kontor_waiters{ledger="stock"}"#) == 1)
        #expect(counted.value("kontor_open_sagas") == 1)
        #expect(counted.value("kontor_oldest_saga_seconds").map { $0 >= 1 } == true)
        world.settle()
        #expect(request.answer == .checkout(.refused(.contended(account: last))))
        #expect(counted.outcome("contended") == 1)
        #expect(counted.value("kontor_checkout_retries_total") == 1)
        #expect(counted.value(#"kontor_contended_commands_total{ledger="stock"}"#).map { $0 >= 2 } == true)
        #expect(counted.value("kontor_oldest_saga_seconds") == 0)
    }

    @Test("the sums of the books agree with the accounts, and nothing is created or lost", arguments: UInt64(1)...20)
    func conservation(seed: UInt64) {
        let counted = Counted(seed: seed)
        let world = counted.world
        world.store.unknownPercent = 0
        for name in ["x", "y"] { world.item(name, stock: 30) }
        for name in ["a", "b"] { world.user(name, credit: 3_000) }
        var requests: [Request] = []
        for number in 0..<40 {
            let order = world.order(number % 2 == 0 ? "a" : "b", number % 3 == 0 ? ["x", "y"] : ["x"])
            requests.append(world.ask(.checkout(order: order)))
        }
        world.ask(.ledger(LedgerCommand(GroupKey(.item, id("y")), .deposit(Amount(7)))))
        world.ask(.ledger(LedgerCommand(GroupKey(.item, id("y")), .withdraw(Amount(3)))))
        world.settle()
        for (ledger, kind, names) in [("stock", GroupKey.Kind.item, ["x", "y"]), ("payment", .user, ["a", "b"])] {
            let accounts = names.compactMap { world.account(kind, $0) }
            func sum(_ field: (Account) -> Amount) -> Double { Double(accounts.reduce(0) { $0 + field($1).raw }) }
            func gauge(_ name: String) -> Double? { counted.value(#"kontor_\#(name){ledger="\#(ledger)"}"#) }
            #expect(gauge("ledger_deposited") == sum(\.deposited))
            #expect(gauge("ledger_withdrawn") == sum(\.withdrawn))
            #expect(gauge("ledger_captured") == sum(\.captured))
            #expect(gauge("ledger_balance") == sum(\.balance))
            #expect(gauge("ledger_held") == 0)
            #expect(gauge("conservation_error") == 0)
        }
        #expect(requests.contains { $0.isPaid } && requests.contains { !$0.isPaid })
        #expect(counted.outcome("paid") == Double(requests.filter(\.isPaid).count))
    }

    @Test("an amount that comes from nowhere, or goes there, shows as an error")
    func error() {
        var before = Account()
        before.deposited = Amount(10)
        before.balance = Amount(10)
        var after = before
        after.balance = Amount(9)
        var sums = LedgerSums()
        sums.add(from: nil, to: .account(before))
        #expect(sums.error == 0)
        sums.add(from: .account(before), to: .account(after))
        #expect(sums.error == 1)
        after.captured = Amount(2)
        sums.add(from: nil, to: .account(after))
        #expect(sums.error == 0)
        after.captured = Amount(3)
        sums.add(from: nil, to: .account(after))
        #expect(sums.error == -2)
    }

    @Test("after a crash the sagas that were open are counted as recovered, and end under their outcome")
    func recovery() {
        let counted = Counted(seed: 5)
        let world = counted.world
        world.item("x", stock: 10)
        world.user("a", credit: 1_000)
        let order = world.order("a", ["x"])
        world.ask(.checkout(order: order))
        for _ in 0..<4 { world.step() }
        world.crashAndRecover()
        world.settle()
        #expect(counted.value("kontor_recovered_sagas_total") == 1)
        #expect(counted.outcome("paid") == 1)
        #expect(counted.value(#"kontor_anomalies_total{kind="capture_without_hold"}"#) == 0)
    }

    @Test("messages that get no reply are sent again, and counted")
    func resent() {
        let counted = Counted(seed: 6)
        let world = counted.world
        world.item("x", stock: 10)
        world.user("a", credit: 1_000)
        let order = world.order("a", ["x"])
        world.ask(.checkout(order: order))
        // The begin is loaded and committed; the holds stay with the store.
        for _ in 0..<2 { world.step() }
        for _ in 0..<5 { world.pass(Limits.resendMilliseconds) }
        #expect(counted.value("kontor_saga_messages_resent_total").map { $0 >= 2 } == true)
        world.settle()
        world.expectClean()
    }
}

@Suite("Refusals are told by the period")
struct RefusalTests {
    @Test("a full disk is told when it begins and when it is over, with a count, however many it refuses")
    func period() {
        let records = MemoryStore()
        let counted = Counted(seed: 7, records: records)
        let world = counted.world
        world.item("x", stock: 10)
        records.admission = .diskFull
        for _ in 0..<1_000 {
            world.run(.createUser)
            world.pass(Limits.tickMilliseconds)
        }
        #expect(world.events.warnings.count == 1)
        #expect(world.events.warnings.first?.hasPrefix("New work is refused") == true)
        #expect(world.events.warnings.first?.contains("disk_full") == true)
        #expect(world.events.notices.isEmpty)
        records.admission = nil
        world.pass(Limits.tickMilliseconds)
        #expect(world.events.notices.isEmpty, "it may come back at once")
        world.pass(Limits.refusalQuietMilliseconds)
        #expect(world.events.notices.count == 1)
        #expect(world.events.notices.first?.contains(#""refused": "1000""#) == true)
        #expect(counted.value(#"kontor_refusals_total{reason="disk_full"}"#) == 1_000)
    }

    @Test("a disk that is full for an hour is told again every minute, also when nobody asks")
    func reminder() {
        let records = MemoryStore()
        let world = World(seed: 8, records: records)
        records.admission = .diskFull
        for _ in 0..<3_600 { world.pass(1_000) }
        #expect(world.events.warnings.count == 60)
        #expect(world.events.warnings.dropFirst().allSatisfy { $0.hasPrefix("New work is still refused") })
    }

    @Test("what others refused for the shop is told as well, and one reason does not hide another")
    func others() {
        let world = World(seed: 9)
        for _ in 0..<3 { world.refusals.count(.connections) }
        world.pass(Limits.tickMilliseconds)
        world.refusals.count(.requestsInFlight)
        world.pass(Limits.tickMilliseconds)
        #expect(world.events.warnings.count == 2)
        world.pass(Limits.refusalQuietMilliseconds)
        #expect(world.events.notices.count == 2)
        #expect(world.events.notices.contains { $0.contains(#""refused": "3""#) })
    }

    @Test("a store that is closed on purpose is nothing to tell")
    func closing() {
        let records = MemoryStore()
        let world = World(seed: 10, records: records)
        world.shop.willClose()
        records.admission = .unreachable("the store is closing")
        world.pass(Limits.tickMilliseconds)
        #expect(world.events.warnings.isEmpty)
    }

    @Test("a batch_init leaves one line: what, how many, how long, and how it ended")
    func batchInit() {
        let counted = Counted(seed: 11)
        counted.world.run(.initItems(count: 1_200, stock: Amount(5), price: Amount(100)))
        #expect(counted.world.events.notices.count == 1)
        let line = counted.world.events.notices.first ?? ""
        for part in ["A batch_init ended", "item", "1200", "seconds", "done"] { #expect(line.contains(part)) }
        #expect(counted.value(#"kontor_batch_inits_total{kind="item",outcome="done"}"#) == 1)
    }
}
