// The sizes that stores reckon with are never below those of the bytes.

import KontorCore
import Testing

@Suite("Sizes of records")
struct RecordSizeTests {
    private let longest = Identifier(String(repeating: "x", count: Limits.identifierBytes)) ?? Identifier(number: 0)
    private let largest = Amount(-1)

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
        account.price = largest
        account.generation = .max
        var order = Order(user: longest, incarnation: .max)
        order.attempt = .max
        order.total = largest
        order.lines = Array(repeating: OrderLine(item: longest, units: largest, price: largest), count: Limits.orderLines)
        let group = GroupKey(.item, longest)
        let saga = SagaRecord(
            id: SagaID(order: longest, incarnation: .max, attempt: .max),
            legs: Array(repeating: Leg(account: group, amount: largest), count: Limits.orderLines + 1),
            phase: .aborted(.insufficient(account: group, wanted: largest, left: largest)), deadline: .max)
        let payment = DirectPayment(amount: largest, isCancelled: true, generation: .max, earlier: largest)
        let records: [Record] = [
            .account(account), .order(order), .saga(saga), .payment(payment), .hold(Hold(amount: largest, state: .held)),
        ]
        for record in records {
            #expect(encoded(record) <= record.encodedBytesAtMost)
            #expect(record.encodedBytesAtMost < 2 * encoded(record) + 300, "and it is not far off")
        }
    }

    @Test("no key encodes to more than the longest key")
    func keys() {
        let saga = SagaID(order: longest, incarnation: .max, attempt: .max)
        let members: [Member] = [.head, .saga, .hold(saga), .payment(order: longest), .receipt(incarnation: .max)]
        for member in members {
            var writer = ByteWriter()
            RecordKey(GroupKey(.item, longest), member).encode(into: &writer)
            #expect(writer.bytes.count <= RecordKey.encodedBytesAtMost)
        }
    }
}
