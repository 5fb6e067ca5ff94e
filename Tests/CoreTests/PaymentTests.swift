// The rules of direct payments: an order is paid once.

import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

extension Ledger {
    /// A user's account.
    fileprivate init(credit: Int64) { self.init(balance: credit, account: GroupKey(.user, id("u"))) }

    /// Locks and pays, as if the order had agreed.
    @discardableResult
    fileprivate mutating func pay(_ amount: Int64, incarnation: UInt64 = 7) -> LedgerOutcome {
        let lock = self.do(.lockPayment(order: id("o"), Amount(amount), expiry: 0))
        guard case .held(let grant) = lock else { return lock }
        let outcome = self.do(.payDirectly(order: id("o"), incarnation: incarnation, Amount(amount), grant: grant))
        if outcome != .done { self.do(.unlockPayment(order: id("o"), grant: grant)) }
        return outcome
    }

    fileprivate var payment: DirectPayment? {
        if case .payment(let payment)? = records[.payment(order: id("o"))] { payment } else { nil }
    }
}

@Suite("Direct payments")
struct PaymentTests {
    private let hold = LedgerCommand.Operation.hold(sagaID(), Amount(2), mayWait: false)

    @Test("one payment an order: a second one is refused, a cancelled one is given back once")
    func payment() {
        var ledger = Ledger(credit: 10)
        #expect(ledger.pay(4) == .done)
        #expect(ledger.pay(4) == .alreadyPaidDirectly)
        #expect(ledger.do(.findPayment(order: id("o"))) == .payment(ledger.payment))
        #expect(ledger.payment?.stands(for: 7) == true)
        #expect(ledger.do(.cancelPayment(order: id("o"))) == .done)
        #expect(ledger.do(.cancelPayment(order: id("o"))) == .done)
        #expect(ledger.state?.balance == Amount(10))
        #expect(ledger.payment?.stands(for: 7) == false)
        #expect(ledger.isBalanced)
    }

    @Test("while a direct payment stands, no checkout of its order gets its hold, not even one for nothing")
    func holdOfPaidOrder() {
        var ledger = Ledger(credit: 10)
        ledger.pay(4)
        #expect(ledger.do(hold) == .alreadyPaidDirectly)
        #expect(ledger.do(.hold(sagaID(), .zero, mayWait: false)) == .alreadyPaidDirectly)
        #expect(ledger.do(.hold(sagaID(order: "p"), Amount(2), mayWait: false)) == .held(grant: 2), "another order's does")
        ledger.do(.cancelPayment(order: id("o")))
        #expect(ledger.do(hold) == .held(grant: 3))
    }

    @Test("a hold that was taken before the payment keeps its lock: its repetition is answered as before")
    func replayedHold() {
        var ledger = Ledger(credit: 10)
        #expect(ledger.do(hold) == .held(grant: 1))
        ledger.pay(4)
        #expect(ledger.do(hold) == .held(grant: 1))
    }

    @Test("while a payment is being made, the order's checkout waits, and so does another payment")
    func lock() {
        var ledger = Ledger(credit: 10)
        #expect(ledger.do(.lockPayment(order: id("o"), Amount(4), expiry: 0)) == .held(grant: 1))
        #expect(ledger.do(hold) == .contended(balance: Amount(10)))
        #expect(ledger.do(.lockPayment(order: id("o"), Amount(1), expiry: 0)) == .contended(balance: Amount(10)))
        #expect(ledger.do(.withdraw(Amount(7))) == .contended(balance: Amount(10)), "its amount is locked")
        #expect(ledger.do(.unlockPayment(order: id("o"), grant: 1)) == .done)
        #expect(ledger.do(.unlockPayment(order: id("o"), grant: 1)) == .done)
        #expect(ledger.do(hold) == .held(grant: 2))
        #expect(ledger.state?.held == Amount(2))
    }

    @Test("without its own lock no payment is made")
    func withoutLock() {
        var ledger = Ledger(credit: 10)
        let pay = LedgerCommand.Operation.payDirectly(order: id("o"), incarnation: 7, Amount(4), grant: 1)
        #expect(ledger.do(pay) == .paymentNotLocked)
        ledger.do(.lockPayment(order: id("o"), Amount(4), expiry: 0))
        ledger.do(.undo(.payment(for: id("o"))))
        #expect(ledger.do(pay) == .paymentNotLocked, "it was undone")
        ledger.do(.lockPayment(order: id("o"), Amount(4), expiry: 0))
        #expect(ledger.do(pay) == .paymentNotLocked, "it is another one's lock")
        #expect(ledger.do(.unlockPayment(order: id("o"), grant: 1)) == .done)
        #expect(ledger.state?.held == Amount(4))
        #expect(ledger.payment == nil)
    }

    @Test("the marker of an undone lock, where messages can be late, is in no later payment's way")
    func markerOfLock() {
        var ledger = Ledger(credit: 10)
        ledger.do(.lockPayment(order: id("o"), Amount(4), expiry: 1_000), now: 0)
        ledger.do(.undo(.payment(for: id("o"))), now: 2_000)
        #expect(ledger.hold(.payment(for: id("o")))?.state == .released)
        #expect(ledger.do(.lockPayment(order: id("o"), Amount(4), expiry: 9_000), now: 3_000) == .held(grant: 2))
        #expect(ledger.isBalanced)
    }

    @Test("a reused id inherits no payment, and the old one is still in the books")
    func otherIncarnation() {
        var ledger = Ledger(credit: 10)
        ledger.pay(4, incarnation: 6)
        #expect(ledger.do(hold) == .held(grant: 2))
        ledger.do(.release(sagaID(), Amount(2)))
        #expect(ledger.pay(3) == .done)
        #expect(ledger.payment?.earlier == Amount(4))
        #expect(ledger.isBalanced)
    }

    @Test("a payment of format 3 has no incarnation, and counts for any")
    func noIncarnation() {
        var ledger = Ledger(credit: 10)
        ledger.pay(4)
        if case .payment(var payment)? = ledger.records[.payment(order: id("o"))] {
            payment.incarnation = nil
            ledger.records[.payment(order: id("o"))] = .payment(payment)
        }
        #expect(ledger.do(hold) == .alreadyPaidDirectly)
        #expect(ledger.pay(1) == .alreadyPaidDirectly)
    }

    @Test("cancelling what was never paid is refused")
    func noPayment() {
        var ledger = Ledger(credit: 10)
        #expect(ledger.do(.cancelPayment(order: id("o"))) == .noDirectPayment)
    }

    @Test("a payment from before a batch_init can not be cancelled after it")
    func otherLife() {
        var ledger = Ledger(credit: 10)
        ledger.pay(4)
        ledger.do(.replace(balance: Amount(7), price: .zero))
        #expect(ledger.do(.cancelPayment(order: id("o"))) == .noDirectPayment)
        #expect(ledger.do(.findPayment(order: id("o"))) == .payment(nil))
        #expect(ledger.pay(2) == .done)
        #expect(ledger.payment?.earlier == Amount(4))
        #expect(ledger.isBalanced)
    }

    @Test("only a user who may have paid directly costs a further look")
    func furtherReads() {
        func members(_ ledger: Ledger) -> [Member] {
            LedgerRules.furtherReads(of: LedgerCommand(ledger.account, hold), head: ledger.records[.head])
        }
        var user = Ledger(credit: 10)
        #expect(members(user).isEmpty)
        user.pay(4)
        #expect(members(user) == [.payment(order: id("o")), .hold(.payment(for: id("o")))])
        user.do(.replace(balance: Amount(7), price: .zero))
        #expect(members(user).isEmpty, "batch_init ends all payments")
        #expect(members(Ledger(balance: 10)).isEmpty)
    }
}
