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
            .paidDirectly(order: id("o")), .reserved(account: GroupKey(.item, id("a")), until: Limits.latestTime),
            .reservationEnded(isExpired: true), .reservationEnded(isExpired: false),
        ]
        let phases =
            [SagaRecord.Phase.holdingTogether, .holdingInOrder, .retrying, .committed, .reserved] + reasons.map { .aborted($0) }
        let head = GroupKey(.order, id("o"))
        var all: [(RecordKey, Record)] = phases.map { phase in
            (RecordKey(head, .saga), .saga(SagaRecord(id: sagaID(), legs: order.legs, phase: phase, begun: 0, deadline: -1)))
        }
        let reservation = Reservation(attempt: .max, until: Limits.latestTime, grants: [.max, 0])
        for (found, until) in [(reservation, nil), (nil, 1), (reservation, Int64.zero)] as [(Reservation?, Int64?)] {
            let saga = SagaRecord(
                id: sagaID(), legs: order.legs, phase: .holdingTogether, begun: 0, deadline: -1, found: found,
                reservesUntil: until)
            all.append((RecordKey(head, .saga), .saga(saga)))
        }
        var reserved = order
        (reserved.status, reserved.reservation) = (.reserved, reservation)
        all.append((RecordKey(head, .head), .order(reserved)))
        (reserved.status, reserved.refunds) = (.paid, 2)
        all.append((RecordKey(head, .head), .order(reserved)))
        all.append((RecordKey(head, .due(Limits.latestTime)), .listed))
        all.append((RecordKey(head, .due(0)), .listed))
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
        var hold = Hold(amount: Amount(1), state: .held, grant: .max, expiry: Limits.latestTime)
        hold.reservedUntil = Limits.latestTime
        all.append((RecordKey(user, .hold(sagaID())), .hold(hold)))
        (account.reserved, account.reservedUntil) = (Amount(Limits.balance), .max)
        all.append((RecordKey(user, .head), .account(account)))
        let payment = DirectPayment(
            amount: Amount(1), isCancelled: true, generation: 2, earlier: Amount(9), incarnation: .max)
        all.append((RecordKey(user, .payment(order: id("o"))), .payment(payment)))
        let note = TrailNote(
            principal: "back-office", address: "10.0.0.7", operation: "addStock",
            arguments: [TrailNote.Argument(name: "units", value: "5")], reason: "found \"behind\" a shelf")
        let refund = Refund(
            id: RefundID(order: id("o"), incarnation: .max, number: 250), user: id("u"), lines: order.lines,
            amount: order.total,
            restock: false, reason: "broken \u{e9}", begun: 1, finished: Limits.latestTime, driver: .max)
        all.append((RecordKey(head, .refund(refund.id)), .refund(refund)))
        all.append((RecordKey(head, .refunded(refund.id)), .refund(refund)))
        let marker = CreditMarker(amount: Amount(2169), expiry: Limits.latestTime, isForgotten: true)
        all.append((RecordKey(user, .refund(refund.id)), .marker(marker)))
        all.append((RecordKey(user, .trail(TrailID(time: 1_700_000_000_000, number: .max))), .trail(note)))
        all.append((RecordKey(user, .listed(.account)), .listed))
        all.append((RecordKey(head, .listed(ListEntry(created: Limits.latestTime, user: user.id))), .listed))
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

    @Test("an order and an account with refunds, and a key that refers to one, are read as they were written")
    func refunds() throws {
        var order = Order(user: id("u"), incarnation: 7, created: 9)
        order.status = .paid
        order.lines = [
            OrderLine(item: id("a"), units: Amount(3), price: Amount(723)),
            OrderLine(item: id("a"), units: Amount(2), price: .zero),
        ]
        order.lines[1].refunded = Amount(2)
        order.refunds = UInt16(Limits.orderRefunds)
        var account = Account()
        account.refunded = Amount(5)
        account.openRefunds = 2
        account.captured = Amount(Limits.refundedTotal)
        let reference = RefundID(order: id("o"), incarnation: 7, number: 3)
        let key = KeptKey(request: [1], expires: 2, reference: reference.reference)
        #expect(RefundID(key.reference, of: id("o")) == reference)
        for record in [Record.order(order), .account(account), .key(key)] {
            var writer = ByteWriter()
            record.encode(into: &writer)
            #expect(try Record(decoding: writer.bytes[...]) == record)
        }
        // What has no refunds takes no byte for them, as the first records of format 4.
        order.refunds = 0
        order.lines[1].refunded = .zero
        var with = ByteWriter(), without = ByteWriter()
        Record.order(order).encode(into: &with)
        order.created = 0
        Record.order(order).encode(into: &without, in: .three)
        #expect(with.bytes.count == without.bytes.count + 8)
    }

    @Test("damaged bytes are refused and never trap")
    func damaged() {
        var random = SeededRandom(seed: 1)
        for (key, record) in samples {
            var writer = ByteWriter()
            record.encode(into: &writer)
            // What few records have stands at their end: without it a record is another one.
            for end in 0..<writer.bytes.count {
                guard let shorter = try? Record(decoding: writer.bytes[..<end]) else { continue }
                #expect(record.hasMore(than: shorter))
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

extension Record {
    /// Whether it has something at its end that few have, and the other one has not.
    fileprivate func hasMore(than other: Record) -> Bool {
        switch (self, other) {
        case (.order(let own), .order(let others)):
            own.reservation != others.reservation || own.refunds != others.refunds
        case (.saga(let own), .saga(let others)):
            own.found != others.found || own.reservesUntil != others.reservesUntil
        case (.account(let own), .account(let others)):
            own.reserved != others.reserved || own.refunded != others.refunded
        case (.hold(let own), .hold(let others)): own.reservedUntil != others.reservedUntil
        default: false
        }
    }
}
