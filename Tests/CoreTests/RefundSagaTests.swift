// A refund against real rules, with the messages in the test's hands: they are repeated, lost and late, and the
// coordinator dies between any two of them.

import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

/// One refund of an order of two items, and what is on its way.
struct RefundWorld {
    enum Message {
        case credit(leg: Int, LedgerCommand)
        case order(RefundSaga.Step, OrderCommand)
    }

    var book = OrderBook(paid: ["a", "b"])
    var ledgers: [GroupKey: Ledger] = [:]
    var saga: RefundSaga
    let refund: Refund
    var messages: [Message] = []
    var results: [Refund?] = []
    var alarms: [LedgerOutcome] = []
    var now: Int64 = 1_000_000
    var hasEnded = false

    init() {
        guard let refund = try? book.refunded() else { preconditionFailure("The order could not be refunded.") }
        self.refund = refund
        for leg in refund.legs {
            var ledger = Ledger(balance: leg.amount.raw, account: leg.account)
            if case .held(let grant) = ledger.do(.hold(sagaID(), leg.amount, mayWait: false)) {
                ledger.do(.capture(sagaID(), leg.amount, grant: grant))
            }
            ledger.do(.forget(sagaID()))
            ledgers[leg.account] = ledger
        }
        saga = RefundSaga(refund)
        perform(saga.start(confirmed: now, now: now))
    }

    mutating func perform(_ actions: [RefundSaga.Action]) {
        for action in actions {
            switch action {
            case .credit(let leg, let confirmed):
                let target = saga.legs[leg]
                let expiry = CreditMarker.expiry(confirmed: confirmed)
                messages.append(
                    .credit(leg: leg, LedgerCommand(target.account, .refund(refund.id, target.amount, expiry: expiry))))
            case .askOrder(let step):
                let operation: OrderCommand.Operation =
                    switch step {
                    case .confirm: .findRefund(refund.id)
                    case .finish: .finishRefund(refund.id, now: now)
                    case .read: .readRefund(refund.id)
                    }
                messages.append(.order(step, OrderCommand(book.order, operation)))
            case .end(let refund):
                results.append(refund)
                hasEnded = true
                for leg in saga.legs {
                    let expiry = CreditMarker.latestExpiry(now: now)
                    ledgers[leg.account]?.do(.forgetRefund(saga.refund.id, expiry: expiry), now: now)
                }
            case .alarm(_, let outcome): alarms.append(outcome)
            }
        }
    }

    mutating func receive(_ message: Message) -> RefundSaga.Event {
        switch message {
        case .credit(let leg, let command):
            return .replied(
                leg: leg, .decided(ledgers[command.account]?.do(command.operation, now: now) ?? .unknownAccount))
        case .order(let step, let command): return .orderReplied(to: step, .decided(book.do(command.operation)))
        }
    }

    mutating func handle(_ event: RefundSaga.Event) { perform(saga.handle(event, now: now)) }

    /// The coordinator dies with what it knew; another one finds the refund, if it is open.
    mutating func crash() {
        messages.removeAll { if case .order = $0 { true } else { false } }
        guard let open = book.openRefunds.first else { return hasEnded = true }
        hasEnded = false
        saga = RefundSaga(open)
        perform(saga.start(confirmed: nil, now: now))
    }

    mutating func tick() {
        now += Limits.resendMilliseconds
        handle(.tick())
    }

    mutating func run() {
        for _ in 0..<1_000 where !hasEnded {
            if messages.isEmpty {
                tick()
            } else {
                let event = receive(messages.removeFirst())
                handle(event)
            }
        }
    }

    /// Everything came back exactly once, and nothing is open.
    var isRefundedOnce: Bool {
        book.openRefunds.isEmpty && book.state?.isRefunded == true
            && refund.legs.allSatisfy { leg in
                let ledger = ledgers[leg.account]
                return ledger?.state?.balance == leg.amount && ledger?.state?.refunded == leg.amount
                    && ledger?.isBalanced == true
            }
    }
}

@Suite("The refund's saga")
struct RefundSagaTests {
    @Test("all is credited at once, then it is finished, then it is told")
    func straight() {
        var world = RefundWorld()
        #expect(world.messages.count == 3)
        for _ in 0..<3 {
            #expect(world.results.isEmpty && world.book.openRefunds.count == 1)
            let event = world.receive(world.messages.removeFirst())
            world.handle(event)
        }
        #expect(world.messages.count == 1, "it is finished only when all is acknowledged")
        world.run()
        #expect(world.results.count == 1 && world.results[0]?.finished != nil && world.isRefundedOnce)
    }

    @Test("what is not answered, or answered with nothing, is sent again, once the order has said that it is open")
    func resend() {
        var world = RefundWorld()
        world.messages = []
        world.handle(.replied(leg: 0, .unknown))
        world.handle(.replied(leg: 1, .refused(.diskFull)))
        world.tick()
        world.tick()
        guard case .order(.confirm(let number), _)? = world.messages.first, world.messages.count == 1 else {
            Issue.record("it did not ask first")
            return
        }
        // The reply tells nothing: it asks again.
        world.messages = []
        world.handle(.orderReplied(to: .confirm(number), .unknown))
        #expect(world.messages.isEmpty)
        world.run()
        #expect(world.isRefundedOnce && world.alarms.isEmpty)
    }

    @Test("the expiry of a copy follows from the moment at which the order was asked, and not from its reply")
    func confirmed() {
        var saga = RefundWorld().saga
        let asked: Int64 = 2_000_000
        guard case .askOrder(.confirm(let number))? = saga.handle(.tick(), now: asked).first else {
            Issue.record("it did not ask")
            return
        }
        let actions = saga.handle(.orderReplied(to: .confirm(number), .decided(.refundOpen)), now: asked + 90_000)
        #expect(actions == (0..<3).map { .credit(leg: $0, confirmed: asked) })
    }

    @Test("one that another process has ended sends nothing any more, and tells its end")
    func zombie() {
        var world = RefundWorld()
        let first = world.saga
        world.run()
        world.saga = first
        world.hasEnded = false
        world.messages = []
        world.now += 600_000
        world.handle(.tick())
        while !world.messages.isEmpty {
            if case .credit = world.messages[0] { Issue.record("it credits although the refund is over") }
            let event = world.receive(world.messages.removeFirst())
            world.handle(event)
        }
        #expect(world.results.count == 2 && world.results[0] == world.results[1])
        #expect(world.isRefundedOnce)
    }

    @Test("a refund of nothing for nobody is finished at once")
    func empty() {
        let refund = Refund(
            id: refundID(), user: id("u"), lines: [OrderLine(item: id("a"), units: Amount(1), price: .zero)], amount: .zero,
            restock: false, reason: "", begun: 0)
        var saga = RefundSaga(refund)
        #expect(saga.start(confirmed: 0, now: 0) == [.askOrder(.finish)])
    }

    @Test("what must not be is alarmed once for each leg, and tried again")
    func alarm() {
        var world = RefundWorld()
        for _ in 0..<3 { world.handle(.replied(leg: 0, .decided(.unknownAccount))) }
        world.handle(.replied(leg: 1, .decided(.anomaly(.untimelyRefund))))
        #expect(world.alarms == [.unknownAccount])
        world.run()
        #expect(world.isRefundedOnce)
    }

    @Test(
        "messages that are lost, doubled, late and out of order, and coordinators that die, refund exactly once",
        arguments: 1...300)
    func chaos(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var world = RefundWorld()
        for _ in 0..<200 where !world.hasEnded {
            switch Int.random(in: 0..<10, using: &random) {
            case 0: world.crash()
            case 1: world.tick()
            case 2 where !world.messages.isEmpty:
                let lost = world.messages.remove(at: Int.random(in: 0..<world.messages.count, using: &random))
                // The order is asked in the same process, where each question gets a reply.
                if case .order(let step, _) = lost { world.handle(.orderReplied(to: step, .unknown)) }
            case 3 where !world.messages.isEmpty:
                world.messages.append(world.messages[Int.random(in: 0..<world.messages.count, using: &random)])
            default:
                guard !world.messages.isEmpty else { continue }
                let place = Int.random(in: 0..<world.messages.count, using: &random)
                let event = world.receive(world.messages.remove(at: place))
                if Bool.random(using: &random) { world.handle(event) }
                if case .orderReplied = event { world.handle(event) }
            }
        }
        // What is late arrives when all is over.
        let late = world.messages
        world.run()
        for message in late { _ = world.receive(message) }
        #expect(world.isRefundedOnce)
    }
}
