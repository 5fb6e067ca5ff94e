import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

@Suite("Records as bytes")
struct RecordCodingTests {
    private var samples: [(RecordKey, Record)] {
        var order = Order(user: id("u"), incarnation: .max)
        order.lines = [OrderLine(item: id("a"), units: Amount(3), price: Amount(723))]
        order.total = Amount(2169)
        order.status = .checkingOut
        order.attempt = 70_000
        let reasons: [AbortReason] = [
            .insufficient(account: GroupKey(.item, id("a")), wanted: Amount(2), left: .zero),
            .unknownAccount(GroupKey(.user, id("u"))), .contended(account: GroupKey(.item, id("a"))),
            .unreachable(account: GroupKey(.user, id("u"))), .anomaly(account: GroupKey(.item, id("a")), .lateHold),
            .paidDirectly(order: id("o")),
        ]
        let phases = [SagaRecord.Phase.holdingTogether, .holdingInOrder, .retrying, .committed] + reasons.map { .aborted($0) }
        let head = GroupKey(.order, id("o"))
        var all: [(RecordKey, Record)] = phases.map { phase in
            (RecordKey(head, .saga), .saga(SagaRecord(id: sagaID(), legs: order.legs, phase: phase, begun: 0, deadline: -1)))
        }
        all.append((RecordKey(head, .head), .order(order)))
        all.append((RecordKey(head, .receipt(incarnation: 3)), .order(order)))
        let user = GroupKey(.user, id(String(repeating: "z", count: 64)))
        var account = Account()
        account.balance = Amount(Limits.balance)
        account.deposited = Amount(Limits.lifetimeTotal)
        account.generation = .max
        all.append((RecordKey(user, .head), .account(account)))
        all.append(
            (
                RecordKey(user, .hold(sagaID())),
                .hold(Hold(amount: Amount(1), state: .released, grant: .max, expiry: Limits.latestTime))
            ))
        let payment = DirectPayment(
            amount: Amount(1), isCancelled: true, generation: 2, earlier: Amount(9), incarnation: .max)
        all.append((RecordKey(user, .payment(order: id("o"))), .payment(payment)))
        let note = TrailNote(
            principal: "back-office", address: "10.0.0.7", operation: "addStock",
            arguments: [TrailNote.Argument(name: "units", value: "5")], reason: "found \"behind\" a shelf")
        all.append((RecordKey(user, .trail(TrailID(time: 1_700_000_000_000, number: .max))), .trail(note)))
        return all
    }

    @Test("every record and key is read as it was written")
    func roundTrip() throws {
        for (key, record) in samples {
            var writer = ByteWriter()
            record.encode(into: &writer)
            #expect(try Record(decoding: writer.bytes[...]) == record)
            var keyWriter = ByteWriter()
            key.encode(into: &keyWriter)
            #expect(try RecordKey(decoding: keyWriter.bytes[...]) == key)
        }
    }

    @Test("damaged bytes are refused and never trap")
    func damaged() {
        var random = SeededRandom(seed: 1)
        for (key, record) in samples {
            var writer = ByteWriter()
            record.encode(into: &writer)
            for end in 0..<writer.bytes.count {
                #expect(throws: FormatError.self) { try Record(decoding: writer.bytes[..<end]) }
            }
            var keyWriter = ByteWriter()
            key.encode(into: &keyWriter)
            for _ in 0..<500 {
                var bytes = Bool.random(using: &random) ? writer.bytes : keyWriter.bytes
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                _ = try? Record(decoding: bytes[...])
                _ = try? RecordKey(decoding: bytes[...])
            }
        }
    }

    @Test("a newer format is refused by name")
    func newer() {
        #expect(throws: FormatError.newerFormat(9)) { try Record(decoding: [9, 1]) }
    }
}
