import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

@Suite("Ledger")
struct LedgerTests {
    @Test("two holds on one account do not exclude each other while the balance covers both")
    func escrow() {
        var ledger = Ledger(balance: 5)
        #expect(ledger.do(.hold(sagaID(1), Amount(3), mayWait: false)) == .held(grant: 1))
        #expect(ledger.do(.hold(sagaID(2), Amount(2), mayWait: false)) == .held(grant: 2))
        #expect(ledger.state?.held == Amount(5))
        #expect(ledger.state?.balance == Amount(5), "a read shows the committed balance")
    }

    @Test("insufficient and contended are told apart by the committed balance")
    func insufficientOrContended() {
        var ledger = Ledger(balance: 5)
        #expect(ledger.do(.hold(sagaID(1), Amount(6), mayWait: false)) == .insufficient(balance: Amount(5)))
        ledger.do(.hold(sagaID(1), Amount(4), mayWait: false))
        #expect(ledger.do(.hold(sagaID(2), Amount(2), mayWait: false)) == .contended(balance: Amount(5)))
        #expect(ledger.do(.withdraw(Amount(2))) == .contended(balance: Amount(5)))
        #expect(ledger.do(.withdraw(Amount(6))) == .insufficient(balance: Amount(5)))
        ledger.do(.capture(sagaID(1), Amount(4), grant: 1))
        #expect(ledger.do(.hold(sagaID(2), Amount(2), mayWait: false)) == .insufficient(balance: Amount(1)))
    }

    @Test("a duplicated hold is found before the amounts: the last unit is not told sold out")
    func duplicateBeforeAmount() {
        var ledger = Ledger(balance: 1)
        #expect(ledger.do(.hold(sagaID(), Amount(1), mayWait: false)) == .held(grant: 1))
        #expect(ledger.do(.hold(sagaID(), Amount(1), mayWait: false)) == .held(grant: 1))
        #expect(ledger.state?.held == Amount(1))
        ledger.do(.capture(sagaID(), Amount(1), grant: 1))
        #expect(ledger.do(.hold(sagaID(), Amount(1), mayWait: false)) == .held(grant: 1))
        #expect(ledger.state?.balance == .zero)
    }

    @Test("a duplicate is compared in every field")
    func duplicateWithOtherAmount() {
        var ledger = Ledger(balance: 9)
        ledger.do(.hold(sagaID(), Amount(1), mayWait: false))
        #expect(ledger.do(.hold(sagaID(), Amount(2), mayWait: false)) == .anomaly(.differentAmount))
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1)) == .anomaly(.differentAmount))
        #expect(ledger.do(.release(sagaID(), Amount(2))) == .anomaly(.differentAmount))
        #expect(ledger.state?.held == Amount(1))
    }

    @Test("a release without a hold succeeds and leaves a marker, and the late hold is refused", arguments: [false, true])
    func emptyRollbackAndHanging(accountExists: Bool) {
        var ledger = Ledger(balance: accountExists ? 5 : nil)
        #expect(ledger.do(.release(sagaID(), Amount(1))) == .done)
        #expect(ledger.do(.release(sagaID(), Amount(1))) == .done)
        if !accountExists { ledger.do(.open(price: .zero)) }
        #expect(ledger.do(.hold(sagaID(), Amount(1), mayWait: true)) == .anomaly(.lateHold))
        #expect(ledger.state?.held == .zero)
        #expect(ledger.do(.hold(sagaID(2), Amount(1), mayWait: false)) != .anomaly(.lateHold), "another attempt may hold")
    }

    @Test("capture after release and release after capture are refused and alarm")
    func contradictions() {
        var ledger = Ledger(balance: 5)
        ledger.do(.hold(sagaID(1), Amount(1), mayWait: false))
        ledger.do(.release(sagaID(1), Amount(1)))
        #expect(ledger.do(.capture(sagaID(1), Amount(1), grant: 1)) == .anomaly(.captureAfterRelease))
        ledger.do(.hold(sagaID(2), Amount(1), mayWait: false))
        ledger.do(.capture(sagaID(2), Amount(1), grant: 2))
        #expect(ledger.do(.release(sagaID(2), Amount(1))) == .anomaly(.releaseAfterCapture))
        #expect(ledger.state?.balance == Amount(4))
        #expect(Anomaly.captureAfterRelease.isAlarming && Anomaly.releaseAfterCapture.isAlarming)
        #expect(!Anomaly.lateHold.isAlarming)
    }

    @Test("a capture whose hold is nowhere is never silently fine")
    func captureOfNothing() {
        var ledger = Ledger(balance: 5)
        #expect(ledger.do(.capture(sagaID(), Amount(1), grant: 1)) == .anomaly(.captureWithoutHold))
        #expect(ledger.state?.balance == Amount(5))
    }

    @Test("every step may be repeated any number of times, with the same answer and one effect")
    func everyStepRepeats() {
        let captured: [LedgerCommand.Operation] = [
            .hold(sagaID(1), Amount(2), mayWait: false), .capture(sagaID(1), Amount(2), grant: 1), .forget(sagaID(1)),
        ]
        let released: [LedgerCommand.Operation] = [
            .hold(sagaID(2), Amount(2), mayWait: false), .release(sagaID(2), Amount(2)), .forget(sagaID(2)),
        ]
        for (steps, left) in [(captured, 3), (released, 5)] {
            var ledger = Ledger(balance: 5)
            for step in steps {
                for _ in 0..<3 {
                    let outcome = ledger.do(step)
                    #expect(outcome == (step == steps[0] ? .held(grant: 1) : .done))
                    #expect(ledger.isBalanced)
                }
            }
            #expect(ledger.state?.balance == Amount(Int64(left)))
            #expect(ledger.unindexed == [.head], "nothing is left but the account")
        }
    }

    @Test("a capture whose mark has gone in its time is done; if the account never gave the grant, data were lost")
    func markGone() {
        var ledger = Ledger(balance: 5)
        ledger.do(.hold(sagaID(), Amount(2), mayWait: false, expiry: 1_000), now: 0)
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1), now: 0) == .done)
        let before = ledger.state
        ledger.records[.hold(sagaID())] = nil
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 2), now: 100_000) == .anomaly(.captureWithoutHold))
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1), now: 100_000) == .done)
        #expect(
            ledger.do(.capture(sagaID(), Amount(2), grant: 1)) == .anomaly(.captureWithoutHold),
            "nothing is late in one process")
        #expect(ledger.state == before, "it is not sold again")
    }

    @Test("a captured lock whose marker has gone is done, also if a late copy of its hold locks again, or was undone")
    func markGoneAndCopy() {
        var ledger = Ledger(balance: 5)
        ledger.do(.hold(sagaID(), Amount(2), mayWait: false, expiry: 1_000), now: 0)
        ledger.do(.capture(sagaID(), Amount(2), grant: 1), now: 0)
        ledger.records[.hold(sagaID())] = nil
        // The clock that takes the copy is more than a minute behind.
        #expect(ledger.do(.hold(sagaID(), Amount(2), mayWait: false, expiry: 1_000), now: 500) == .held(grant: 2))
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1), now: 70_000) == .done)
        #expect(ledger.state?.captured == Amount(2), "it is sold once")
        ledger.do(.undo(sagaID()), now: 30_000)
        #expect(ledger.hold(sagaID())?.state == .released)
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1), now: 70_000) == .done)
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 3), now: 70_000) == .anomaly(.captureAfterRelease))
        #expect(ledger.isBalanced)
    }

    @Test("a lock that is still held is not forgotten")
    func forgetKeepsLocks() {
        var ledger = Ledger(balance: 5)
        ledger.do(.hold(sagaID(), Amount(2), mayWait: false))
        ledger.do(.forget(sagaID()))
        #expect(ledger.do(.capture(sagaID(), Amount(2), grant: 1)) == .done)
    }

    @Test("commands to an account that does not exist are refused")
    func unknownAccount() {
        var ledger = Ledger()
        for operation: LedgerCommand.Operation in [
            .read, .deposit(Amount(1)), .withdraw(Amount(1)), .hold(sagaID(), Amount(1), mayWait: false),
            .lockPayment(order: id("o"), Amount(1), expiry: 0),
            .payDirectly(order: id("o"), incarnation: 7, Amount(1), grant: 1), .cancelPayment(order: id("o")),
            .findPayment(order: id("o")),
        ] {
            #expect(ledger.do(operation) == .unknownAccount)
        }
        #expect(ledger.records.isEmpty)
    }

    @Test("a deposit past the bound is refused and changes nothing")
    func overflow() {
        var ledger = Ledger(balance: Limits.balance)
        let before = ledger.records
        #expect(ledger.do(.deposit(Amount(1))) == .overLimit)
        #expect(ledger.records == before)
    }

    @Test("batch_init books the old balance out and the new one in, but not under a lock")
    func replace() {
        var ledger = Ledger(balance: 5)
        ledger.do(.hold(sagaID(), Amount(2), mayWait: false))
        #expect(ledger.do(.replace(balance: Amount(9), price: Amount(3))) == .hasHolds)
        ledger.do(.capture(sagaID(), Amount(2), grant: 1))
        #expect(ledger.do(.replace(balance: Amount(9), price: Amount(3))) == .done)
        #expect(ledger.state?.balance == Amount(9))
        #expect(ledger.state?.withdrawn == Amount(3))
        #expect(ledger.isBalanced)
    }

    @Test("random commands never unbalance the books", arguments: 1...40)
    func randomCommands(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ledger = Ledger(balance: 20)
        for _ in 0..<400 {
            let amount = Amount(Int64.random(in: 1...6, using: &random))
            let saga = sagaID(UInt32.random(in: 1...8, using: &random))
            let order = id("o\(Int.random(in: 0..<4, using: &random))")
            let lock = ledger.hold(.payment(for: order))
            let operations: [LedgerCommand.Operation] = [
                .deposit(amount), .withdraw(amount), .hold(saga, amount, mayWait: false),
                .capture(saga, amount, grant: ledger.hold(saga)?.grant ?? 1),
                .release(saga, amount), .forget(saga), .lockPayment(order: order, amount, expiry: 0),
                .payDirectly(order: order, incarnation: 7, lock?.amount ?? amount, grant: lock?.grant ?? 1),
                .unlockPayment(order: order, grant: lock?.grant ?? 1), .cancelPayment(order: order),
                .replace(balance: amount, price: amount), .read,
            ]
            ledger.do(operations[Int.random(in: 0..<operations.count, using: &random)])
            #expect(ledger.isBalanced)
        }
    }
}
