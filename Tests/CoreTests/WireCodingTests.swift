import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

/// Values of all kinds, each from a seed, so that a failure comes again.
extension SeededRandom {
    fileprivate func flag() -> Bool { next() & 1 == 0 }
    /// Of any size, as varints have several lengths.
    fileprivate func amount() -> Amount { Amount(Int64(next() >> (2 + UInt64(below(62)))) % Limits.lifetimeTotal) }
    fileprivate func uint32() -> UInt32 { UInt32(truncatingIfNeeded: next() >> UInt64(below(64))) }
    fileprivate func time() -> Int64 { Int64(bitPattern: next()) % Limits.latestTime }

    fileprivate func identifier() -> Identifier {
        let letters = Array("abcXYZ019_.~-")
        let length = 1 + below(Limits.identifierBytes)
        return id(String((0..<length).map { _ in letters[below(letters.count)] }))
    }

    fileprivate func account() -> GroupKey { GroupKey(flag() ? .item : .user, identifier()) }
    fileprivate func refund() -> RefundID { RefundID(order: identifier(), incarnation: next(), number: uint32()) }
    fileprivate func saga() -> SagaID { SagaID(order: identifier(), incarnation: next(), attempt: uint32()) }

    fileprivate func commands() -> [LedgerCommand] {
        [
            LedgerCommand(account(), .read), LedgerCommand(account(), .findPayment(order: identifier())),
            LedgerCommand(account(), .hold(saga(), amount(), mayWait: flag(), expiry: time())),
            LedgerCommand(account(), .capture(saga(), amount(), grant: uint32())),
            LedgerCommand(account(), .release(saga(), amount(), expiry: time())),
            LedgerCommand(account(), .reserve(saga(), amount(), grant: uint32(), until: time())),
            LedgerCommand(account(), .refund(refund(), Amount(amount().raw % Limits.moneyHundredths), expiry: time())),
            LedgerCommand(account(), .forgetRefund(refund(), expiry: time())),
        ]
    }

    fileprivate func ledgerState() -> Account {
        var account = Account()
        (account.balance, account.held, account.deposited) = (amount(), amount(), amount())
        (account.withdrawn, account.captured, account.price) = (amount(), amount(), amount())
        (account.generation, account.grants) = (uint32(), uint32())
        return account
    }

    fileprivate func reservedState() -> Account {
        var account = ledgerState()
        (account.reserved, account.reservedUntil) = (Amount(1 + amount().raw / 2), uint32())
        return account
    }

    fileprivate func payment() -> DirectPayment {
        DirectPayment(
            amount: amount(), isCancelled: flag(), generation: uint32(), earlier: amount(), incarnation: flag() ? next() : nil)
    }

    fileprivate func ledgerOutcomes() -> [LedgerOutcome] {
        [
            .done, .held(grant: uint32()), .account(ledgerState()), .payment(nil), .payment(payment()), .unknownAccount,
            .accountExists,
            .noDirectPayment, .alreadyPaidDirectly, .hasHolds, .overLimit, .insufficient(balance: amount()),
            .contended(balance: amount()), .reserved(until: time()), .account(reservedState()),
        ] + Anomaly.allCases.map { .anomaly($0) }
    }

    fileprivate func line() -> OrderLine {
        OrderLine(
            item: identifier(), units: Amount(1 + amount().raw % Limits.balance),
            price: Amount(amount().raw % Limits.moneyHundredths))
    }

    fileprivate func order() -> Order {
        var order = Order(user: identifier(), incarnation: next())
        order.attempt = uint32()
        order.status = [.open, .checkingOut, .paid, .removed][below(4)]
        order.total = amount()
        for _ in 0..<below(5) { order.lines.append(line()) }
        order.history = History(bytes: (0..<below(50)).map { _ in UInt8(truncatingIfNeeded: next()) })
        return order
    }

    fileprivate func record() -> SagaRecord {
        let reasons: [AbortReason] = [
            .insufficient(account: account(), wanted: amount(), left: amount()), .unknownAccount(account()),
            .contended(account: account()), .unreachable(account: account()), .anomaly(account: account(), .lateHold),
            .paidDirectly(order: identifier()),
        ]
        let phases: [SagaRecord.Phase] =
            [.holdingTogether, .holdingInOrder, .retrying, .committed] + reasons.map { .aborted($0) }
        let legs = (0...below(3)).map { _ in Leg(account: account(), amount: amount()) }
        let claim = IdempotencyKey("key").map { KeyClaim(key: $0, request: [1, 2, 3], expires: time()) }
        var record = SagaRecord(
            id: saga(), legs: legs, phase: phases[below(phases.count)], begun: time(), deadline: time(),
            claim: flag() ? claim : nil)
        if flag() { record.grants = legs.map { _ in uint32() } }
        return record
    }

    fileprivate func orderOutcomes() -> [OrderOutcome] {
        [.order(order()), .inspected(order(), nil), .inspected(order(), record()), .unknownOrder, .refundOpen, .refundOver]
    }

    fileprivate func ledgerReplies() -> [Reply<LedgerOutcome>] {
        ledgerOutcomes().map { .decided($0) } + [.unknown, .refused(.diskFull), .refused(.unreachable("the store: é"))]
    }

    fileprivate func orderReplies() -> [Reply<OrderOutcome>] {
        orderOutcomes().map { .decided($0) } + [.unknown, .refused(.diskFull), .refused(.unreachable(""))]
    }
}

/// The bytes of one message, without its frame.
private func encoded(_ body: Message.Body) -> [UInt8] {
    var writer = ByteWriter()
    NumberedMessage(number: 7, body).encode(into: &writer)
    return writer.bytes
}

/// What the bytes say, if they say one thing and nothing behind it.
private func decoded(_ bytes: [UInt8], _ kind: FrameKind) throws -> Message.Body {
    var reader = ByteReader(bytes)
    let message = try NumberedMessage(kind, from: &reader)
    #expect(reader.isAtEnd && message.number == 7)
    return message.body
}

extension SeededRandom {
    fileprivate func bodies() -> [Message.Body] {
        var bodies: [Message.Body] = commands().map { .command($0, deadline: 1) }
        bodies += [OrderCommand.Operation.read, .inspect].map { .question(OrderCommand(identifier(), $0)) }
        let refund = refund()
        bodies.append(.question(OrderCommand(refund.order, .findRefund(refund))))
        bodies += ledgerReplies().map { .ledgerReply($0) }
        return bodies + orderReplies().map { .orderReply($0) }
    }
}

extension Message.Body {
    fileprivate var kind: FrameKind { NumberedMessage(number: 0, self).kind }
}

@Suite("What crosses between processes")
struct WireCodingTests {
    @Test("every command that may cross, and every reply to one, comes out as it went in", arguments: 0..<200 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        for body in random.bodies() {
            #expect(body.mayCross)
            #expect(try decoded(encoded(body), body.kind) == body)
        }
    }

    @Test("a command that would be done twice if it came twice may not cross")
    func staysHome() {
        let saga = SagaID(order: id("o"), incarnation: 1, attempt: 1)
        let one = Amount(1)
        let operations: [LedgerCommand.Operation] = [
            .open(price: one), .replace(balance: one, price: one), .deposit(one), .withdraw(one),
            .lockPayment(order: id("o"), one, expiry: 0), .payDirectly(order: id("o"), incarnation: 1, one, grant: 1),
            .unlockPayment(order: id("o"), grant: 1), .cancelPayment(order: id("o")), .forget(saga),
            .undo(saga), .keepKey,
        ]
        for operation in operations {
            #expect(!Message(.nobody, .command(LedgerCommand(GroupKey(.item, id("i")), operation), deadline: 0)).mayCross)
        }
        #expect(!Message(.nobody, .question(OrderCommand(id("o"), .remove))).mayCross)
        #expect(!Message(.nobody, .question(OrderCommand(id("o"), .begin(now: 0, deadline: 0, nil)))).mayCross)
    }

    @Test("damaged and random bytes are read or refused, and never trap", arguments: 0..<300 as Range<UInt64>)
    func fuzz(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var samples = random.bodies().map { encoded($0) }
        samples.append((0..<random.below(100)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        for var bytes in samples where !bytes.isEmpty {
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
            if random.flag() { bytes.removeLast(random.below(bytes.count)) }
            for kind in FrameKind.allCases {
                var reader = ByteReader(bytes)
                switch (try? NumberedMessage(kind, from: &reader))?.body {
                case .command(let command, _)?: checkAmount(of: command)
                case .orderReply(.decided(.order(let order)))?: _ = order.history.attempts
                default: break
                }
            }
        }
    }

    private func checkAmount(of command: LedgerCommand) {
        switch command.operation {
        case .hold(_, let amount, _, _), .capture(_, let amount, _), .release(_, let amount, _): #expect(amount >= .zero)
        default: break
        }
    }

    @Test("an amount below zero, or one that overflows, is refused", arguments: [-1, Int64.min, Int64.max])
    func badAmounts(raw: Int64) {
        let saga = SagaID(order: id("o"), incarnation: 1, attempt: 1)
        let command = LedgerCommand(GroupKey(.item, id("i")), .hold(saga, Amount(raw), mayWait: false))
        #expect(throws: FormatError.self) { try decoded(encoded(.command(command, deadline: 0)), .commands) }
    }

    @Test("a command to an order is none to an account")
    func wrongKind() {
        let command = LedgerCommand(GroupKey(.order, id("o")), .read)
        #expect(throws: FormatError.self) { try decoded(encoded(.command(command, deadline: 0)), .commands) }
    }

    @Test("each cut of a message is refused")
    func cuts() {
        let random = SeededRandom(seed: 1)
        for command in random.commands() {
            let bytes = encoded(.command(command, deadline: 0))
            for length in bytes.indices {
                #expect(throws: FormatError.self) { try decoded(Array(bytes[..<length]), .commands) }
            }
        }
    }

    @Test("a store that is full of memory is not told as a full disk, also over a link")
    func memoryFull() throws {
        for error in [StoreError.memoryFull, .diskFull, .unreadable("item 7"), .unreachable("x")] {
            let reply = LedgerReply.refused(error)
            var writer = ByteWriter()
            reply.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(try LedgerReply(from: &reader) == reply)
        }
    }

    @Test("records in messages stay in format 3 as long as the wire has version 1: peers may be older")
    func formats() {
        #expect(Wire.recordVersion == 3)
        #expect(Wire.formatVersion == 1)
    }
}
