// The sizes that stores reckon with are never below those of the bytes.

import Testing

@testable import KontorCore

@Suite("Sizes of records")
struct RecordSizeTests {
    private let longest = Identifier(String(repeating: "x", count: Limits.identifierBytes)) ?? Identifier(number: 0)
    private let largest = Amount(-1)

    private var group: GroupKey { GroupKey(.item, longest) }
    private var legs: [Leg] { Array(repeating: Leg(account: group, amount: largest), count: Limits.orderLines + 1) }

    private var claim: KeyClaim {
        let text = String(repeating: "k", count: Limits.idempotencyKeyBytes)
        guard let key = IdempotencyKey(text) else { preconditionFailure("It is not longer than a key may be.") }
        return KeyClaim(key: key, request: Array(repeating: 1, count: 300), expires: .max)
    }

    private func history() -> History {
        var trace = LegTrace()
        trace.hold = .refused
        trace.holdAfter = .max
        trace.settledAfter = .max - 1
        let traces = SagaTrace(after: .max, legs: Array(repeating: trace, count: legs.count))
        let id = SagaID(order: longest, incarnation: .max, attempt: .max)
        let saga = SagaRecord(id: id, legs: legs, phase: .holdingTogether, begun: .max, deadline: .max)
        var history = History()
        history.decide(saga, .abort(.insufficient(account: group, wanted: largest, left: largest)), traces)
        history.end(.max, traces)
        return history
    }

    private func encoded(_ record: Record) -> Int {
        var writer = ByteWriter()
        record.encode(into: &writer)
        return writer.bytes.count
    }

    @Test("no record encodes to more than it says, even with the longest ids and the largest numbers")
    func records() {
        var account = Account()
        account.balance = largest
        account.held = largest
        account.deposited = largest
        account.withdrawn = largest
        account.captured = largest
        account.refunded = largest
        account.openRefunds = UInt32(Limits.accountRefunds)
        account.price = largest
        account.generation = .max
        account.grants = .max
        var order = Order(user: longest, incarnation: .max)
        order.attempt = .max
        order.total = largest
        order.lines = Array(repeating: OrderLine(item: longest, units: largest, price: largest), count: Limits.orderLines)
        order.history = history()
        var refunded = order
        refunded.refunds = .max
        for line in refunded.lines.indices { refunded.lines[line].refunded = largest }
        let refund = Refund(
            id: RefundID(order: longest, incarnation: .max, number: .max), user: longest, lines: order.lines, amount: largest,
            restock: true, reason: String(repeating: "r", count: Limits.refundReasonBytes), begun: .max, finished: .max,
            driver: .max)
        var saga = SagaRecord(
            id: SagaID(order: longest, incarnation: .max, attempt: .max),
            legs: legs,
            phase: .aborted(.insufficient(account: group, wanted: largest, left: largest)), begun: .max, deadline: .max,
            claim: claim)
        saga.grants = Array(repeating: .max, count: saga.legs.count)
        let payment = DirectPayment(
            amount: largest, isCancelled: true, generation: .max, earlier: largest, incarnation: .max)
        let records: [Record] = [
            .account(account), .order(order), .saga(saga), .payment(payment),
            .hold(Hold(amount: largest, state: .held, grant: .max, expiry: .max)),
            .key(KeptKey(request: claim.request, expires: .max)), .order(refunded), .refund(refund),
            .key(KeptKey(request: claim.request, expires: .max, reference: refund.id.reference)),
            .marker(CreditMarker(amount: largest, expiry: .max, isForgotten: true)),
        ]
        for record in records {
            #expect(encoded(record) <= record.encodedBytesAtMost)
            #expect(record.encodedBytesAtMost < 2 * encoded(record) + 500, "and it is not far off")
        }
    }

    @Test("no key encodes to more than the longest key")
    func keySizes() {
        let saga = SagaID(order: longest, incarnation: .max, attempt: .max)
        let members: [Member] = [
            .head, .saga, .hold(saga), .payment(order: longest), .receipt(incarnation: .max), .key(claim.key),
            .refund(RefundID(order: longest, incarnation: .max, number: .max)),
        ]
        for member in members {
            var writer = ByteWriter()
            let key = RecordKey(GroupKey(.item, longest), member)
            key.encode(into: &writer)
            #expect(writer.bytes.count <= key.encodedBytesAtMost)
        }
    }
}
