// The audit of many accounts: what it keeps, what it names, and that damaged amounts do no harm.

import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("An audit's bounds")
struct AuditBoundsTests {
    private func account(_ number: Int, captured: Int64 = 0, held: Int64 = 0) -> (RecordKey, Record) {
        var account = Account()
        account.deposited = Amount(100)
        account.captured = Amount(captured)
        account.balance = Amount(100 - captured)
        account.held = Amount(held)
        return (RecordKey(GroupKey(.item, Identifier(number: number)), .head), .account(account))
    }

    private func report(_ records: [(RecordKey, Record)]) -> (report: AuditReport, walks: Int) {
        var walks = 0
        let report = Audit.report { body in
            walks += 1
            for (key, record) in records { body(key, record) }
        }
        return (report, walks)
    }

    @Test("an audit needs no memory for accounts that are well, and names each that is not")
    func wrongAccounts() {
        var records = (0..<20_000).map { account($0) }
        #expect(report(records).report.isClean && report(records).walks == 1)
        // Two errors that cancel out in a plain sum, and a hold that is nowhere.
        records[7] = account(7, captured: 5)
        records[11_111] = account(11_111, captured: -5)
        records[19_999] = account(19_999, held: 3)
        let (report, walks) = report(records)
        #expect(walks == 2)
        #expect(report.accounts == 20_000)
        #expect(
            report.culprits.map { "\($0.finding) \($0.subject)" } == [
                "wrongCaptured item 11111", "wrongHeld item 19999", "wrongCaptured item 7",
            ])
    }

    @Test("what is wrong everywhere is named up to a bound, and counted beyond it")
    func everythingIsWrong() {
        let (report, _) = report((0..<3 * Limits.auditCulprits).map { account($0, captured: 1) })
        #expect(report.culprits.count == Limits.auditCulprits)
        #expect(report.unnamedCulprits > 0 && !report.isClean)
    }

    @Test("an account that orders need and that is not there is named")
    func missingAccount() {
        var order = Order(user: id("u"), incarnation: 1)
        order.lines = [OrderLine(item: id("gone"), units: Amount(2), price: .zero)]
        order.status = .paid
        let (report, _) = report([(RecordKey(GroupKey(.order, id("o")), .head), .order(order))])
        #expect(report.culprits.map(\.finding) == [.missingAccount])
        #expect(report.culprits.first?.subject == "item gone")
    }

    @Test("amounts near the end of their type are findings, and no trap")
    func damagedAmounts() {
        var account = Account()
        account.deposited = Amount(.min)
        account.withdrawn = Amount(.max)
        account.captured = Amount(.max)
        account.balance = Amount(.max)
        var order = Order(user: id("u"), incarnation: 1)
        order.lines = (0..<3).map { OrderLine(item: id("i\($0)"), units: Amount(.max), price: Amount(.max - Int64($0))) }
        order.total = Amount(.max)
        order.status = .paid
        let (report, _) = report([
            (RecordKey(GroupKey(.user, id("u")), .head), .account(account)),
            (RecordKey(GroupKey(.order, id("o")), .head), .order(order)),
        ])
        let findings = Set(report.culprits.map(\.finding))
        #expect(findings.isSuperset(of: [.wrongBalance, .wrongTotal, .missingAccount]))
    }
}
