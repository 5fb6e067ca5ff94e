// The audit of damaged books: it names what is wrong, and never dies.

import KontorCore
import TestSupport
import Testing

@testable import KontorService

@Suite("Audit of damaged records")
struct DamagedBooksTests {
    private func findings(_ records: [(RecordKey, Record)]) -> [AuditReport.Finding] {
        Audit.report { body in for (key, record) in records { body(key, record) } }.culprits.map(\.finding)
    }

    @Test("amounts near the largest number are named, and overflow nothing")
    func largestAmounts() {
        let most = Amount(.max)
        let user = GroupKey(.user, id("u"))
        var account = Account()
        (account.balance, account.held, account.deposited) = (most, Amount(.min), most)
        (account.withdrawn, account.captured) = (Amount(.min), most)
        var order = Order(user: id("u"), incarnation: 1)
        order.status = .paid
        order.total = most
        order.lines = [
            OrderLine(item: id("a"), units: most, price: most), OrderLine(item: id("a"), units: most, price: most),
        ]
        let payment = DirectPayment(amount: most, isCancelled: false, generation: 0, earlier: most)
        let saga = SagaID(order: id("p"), incarnation: 1, attempt: 1)
        let found = findings([
            (RecordKey(user, .head), .account(account)),
            (RecordKey(GroupKey(.order, id("o")), .head), .order(order)),
            (RecordKey(user, .payment(order: id("o"))), .payment(payment)),
            (RecordKey(user, .payment(order: id("p"))), .payment(payment)),
            (RecordKey(user, .hold(saga)), .hold(Hold(amount: most, state: .held))),
            (RecordKey(user, .hold(.payment(for: id("q")))), .hold(Hold(amount: most, state: .held))),
        ])
        #expect(Set(found) == [.wrongBalance, .wrongHeld, .wrongCaptured, .wrongTotal, .lockWithoutSaga, .missingAccount])
    }

    @Test("a direct payment that is being made holds its amount, and needs no saga")
    func paymentLock() {
        let user = GroupKey(.user, id("u"))
        var account = Account()
        (account.balance, account.held, account.deposited) = (Amount(5), Amount(2), Amount(5))
        let lock = Hold(amount: Amount(2), state: .held, grant: 1)
        #expect(
            findings([
                (RecordKey(user, .head), .account(account)), (RecordKey(user, .hold(.payment(for: id("o")))), .hold(lock)),
            ]) == [])
    }

    @Test("a record that cannot be read is a finding")
    func unreadable() {
        var audit = Audit()
        audit.add(unreadable: RecordKey(GroupKey(.user, id("u")), .head), "the amount -1")
        #expect(!audit.endWalk() && audit.report.culprits.map(\.finding) == [.unreadableRecord])
    }
}
