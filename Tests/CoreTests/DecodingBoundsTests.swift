// What is decoded is within its bounds, so that no rule's arithmetic traps on it.

import TestSupport
import Testing

@testable import KontorCore

@Suite("Bounds of what is decoded")
struct DecodingBoundsTests {
    private static let damaged = [Amount(.max), Amount(.min), Amount(-1), Amount(Limits.lifetimeTotal + 1)]

    private func decoded(_ record: Record, in format: RecordFormat = .newest) throws -> Record {
        var writer = ByteWriter()
        record.encode(into: &writer, in: format)
        return try Record(decoding: writer.bytes[...])
    }

    @Test("an amount that no rule writes is refused, wherever it stands", arguments: damaged)
    func amounts(amount: Amount) {
        let fields: [WritableKeyPath<Account, Amount>] = [
            \.balance, \.held, \.deposited, \.withdrawn, \.price,
        ]
        for field in fields {
            var account = Account()
            account[keyPath: field] = amount
            #expect(throws: FormatError.self) { try decoded(.account(account)) }
        }
        // Refunds let these two rise further.
        for field in [\Account.captured, \.refunded] {
            var account = Account()
            account[keyPath: field] = amount.raw == Limits.lifetimeTotal + 1 ? Amount(Limits.refundedTotal + 1) : amount
            #expect(throws: FormatError.self) { try decoded(.account(account)) }
        }
        #expect(throws: FormatError.self) { try decoded(.marker(CreditMarker(amount: amount, expiry: 0))) }
        var order = Order(user: id("u"), incarnation: 1)
        order.total = amount
        #expect(throws: FormatError.self) { try decoded(.order(order)) }
        #expect(throws: FormatError.self) { try decoded(.hold(Hold(amount: amount, state: .held))) }
        for payment in [(amount, Amount.zero), (.zero, amount)] {
            let payment = DirectPayment(amount: payment.0, isCancelled: false, generation: 0, earlier: payment.1)
            #expect(throws: FormatError.self) { try decoded(.payment(payment)) }
        }
        let legs = [Leg(account: GroupKey(.item, id("a")), amount: amount)]
        let saga = SagaRecord(id: sagaID(), legs: legs, phase: .committed, begun: 0, deadline: 0)
        #expect(throws: FormatError.self) { try decoded(.saga(saga)) }
    }

    @Test("units and prices of lines are bounded, so that 256 of them can be added up")
    func lines() {
        func order(_ units: Int64, _ price: Int64, lines: Int = 1) -> Record {
            var order = Order(user: id("u"), incarnation: 1)
            let line = OrderLine(item: id("a"), units: Amount(units), price: Amount(price))
            order.lines = Array(repeating: line, count: lines)
            return .order(order)
        }
        #expect(throws: Never.self) { try decoded(order(Limits.balance, Limits.moneyHundredths, lines: 256)) }
        #expect(throws: FormatError.self) { try decoded(order(Limits.balance + 1, 1)) }
        #expect(throws: FormatError.self) { try decoded(order(0, 1)) }
        #expect(throws: FormatError.self) { try decoded(order(1, Limits.moneyHundredths + 1)) }
        #expect(throws: FormatError.self) { try decoded(order(1, 1, lines: 257)) }
    }

    @Test("a moment that no clock tells is refused: adding a duration to it would overflow", arguments: [Int64.max, .min])
    func times(time: Int64) {
        #expect(throws: FormatError.self) { try decoded(.hold(Hold(amount: Amount(1), state: .held, expiry: time))) }
        let legs = [Leg(account: GroupKey(.item, id("a")), amount: Amount(1))]
        for (begun, deadline) in [(time, 0), (0, time)] {
            let saga = SagaRecord(id: sagaID(), legs: legs, phase: .holdingTogether, begun: begun, deadline: deadline)
            #expect(throws: FormatError.self) { try decoded(.saga(saga)) }
        }
        for operation: LedgerCommand.Operation in [
            .hold(sagaID(), Amount(1), mayWait: false, expiry: time), .release(sagaID(), Amount(1), expiry: time),
        ] {
            var writer = ByteWriter()
            let command = LedgerCommand(GroupKey(.item, id("a")), operation)
            NumberedMessage(number: 1, .command(command, deadline: 0)).encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(throws: FormatError.self) { try NumberedMessage(.commands, from: &reader) }
        }
    }

    @Test("a saga has legs, at most one for each line and the user, and no more grants than legs")
    func legs() {
        let leg = Leg(account: GroupKey(.item, id("a")), amount: Amount(1))
        func saga(_ legs: Int, grants: Int = 0) -> Record {
            var saga = SagaRecord(
                id: sagaID(), legs: Array(repeating: leg, count: legs), phase: .committed, begun: 0, deadline: 0)
            saga.grants = Array(repeating: 1, count: grants)
            return .saga(saga)
        }
        #expect(throws: Never.self) { try decoded(saga(257, grants: 257)) }
        #expect(throws: FormatError.self) { try decoded(saga(0)) }
        #expect(throws: FormatError.self) { try decoded(saga(258)) }
        #expect(throws: FormatError.self) { try decoded(saga(1, grants: 2)) }
    }

    @Test("what format 3 has no place for is not known when it is read again")
    func formatThree() throws {
        var account = Account()
        account.mayHavePayments = false
        guard case .account(let read) = try decoded(.account(account), in: .three) else { return }
        #expect(read.mayHavePayments, "it may, as far as is known")
        let payment = DirectPayment(amount: Amount(1), isCancelled: false, generation: 0, earlier: .zero, incarnation: 7)
        guard case .payment(let read) = try decoded(.payment(payment), in: .three) else { return }
        #expect(read.incarnation == nil && read.stands(for: 8))
    }

    @Test("a reason that release 0.1 does not know has bytes that it reads as contention")
    func paidDirectly() throws {
        var writer = ByteWriter()
        AbortReason.paidDirectly(order: id("o")).encode(into: &writer)
        #expect(writer.bytes.first == 3)
        var reader = ByteReader(writer.bytes)
        #expect(try AbortReason(from: &reader) == .paidDirectly(order: id("o")))
    }

    @Test("a saga that is to be finished and is not decided in the store is left to whoever takes it over")
    func finishUndecided() {
        var book = OrderBook(items: ["a"])
        guard case .begun(let saga) = book.do(.begin(deadline: 1)) else { return }
        #expect(book.do(.finish(saga.id)) == .running(saga))
        #expect(book.state?.status == .checkingOut)
    }
}
