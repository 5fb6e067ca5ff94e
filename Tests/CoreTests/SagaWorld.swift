// One checkout against real rules, with the messages in the test's hands: they can be repeated, lost, delayed, and the
// coordinator can crash between any two of them.

import TestSupport

@testable import KontorCore

struct SagaWorld {
    /// A message on its way, to a ledger or to the order.
    enum Message {
        case ledger(leg: Int, CheckoutSaga.Step, SagaID, LedgerCommand)
        case order(CheckoutSaga.OrderStep, SagaID, OrderCommand)

        init?(_ action: CheckoutSaga.Action, of saga: SagaID) {
            switch action {
            case .send(let message):
                guard case .leg(let leg, let step, let id) = message.origin, case .command(let command, _) = message.body
                else { return nil }
                self = .ledger(leg: leg, step, id, command)
            case .askOrder(let step, let command): self = .order(step, saga, command)
            case .answer, .forget, .alarm, .end: return nil
            }
        }
    }

    var book: OrderBook
    var ledgers: [GroupKey: Ledger] = [:]
    var saga: CheckoutSaga
    var messages: [Message] = []
    var answers: [CheckoutResult?] = []
    var alarms: [Anomaly] = []
    var hasEnded = false
    var now: Int64 = 0
    let deadline: Int64 = 10_000

    /// An order of one unit of each item at 1.00, with this stock, for a user with this credit (in hundredths).
    init(stock: [String: Int64], credit: Int64) {
        book = OrderBook(items: stock.keys.sorted())
        for (item, balance) in stock {
            let account = GroupKey(.item, id(item))
            ledgers[account] = Ledger(balance: balance, account: account)
        }
        let user = GroupKey(.user, id("u"))
        ledgers[user] = Ledger(balance: credit, account: user)
        guard case .begun(let record) = book.do(.begin(deadline: deadline)) else {
            preconditionFailure("The order could not be checked out.")
        }
        saga = CheckoutSaga(record, begun: 0, deadline: deadline)
        perform(saga.start(now: now))
    }

    mutating func perform(_ actions: [CheckoutSaga.Action]) {
        for action in actions {
            switch action {
            case .send, .askOrder: Message(action, of: saga.record.id).map { messages.append($0) }
            case .answer(let result): answers.append(result)
            case .forget(let id):
                for leg in saga.record.legs { ledgers[leg.account]?.do(.forget(id)) }
            case .alarm(_, let anomaly): alarms.append(anomaly)
            case .end: hasEnded = true
            }
        }
    }

    /// What the receiver makes of a message, and what it replies.
    mutating func receive(_ message: Message) -> CheckoutSaga.Event {
        switch message {
        case .ledger(let leg, let step, let id, let command):
            let outcome = ledgers[command.account]?.do(command.operation) ?? .unknownAccount
            return .replied(leg: leg, step, of: id, .decided(outcome))
        case .order(let step, let id, let command):
            return .orderReplied(to: step, of: id, .decided(book.do(command.operation)))
        }
    }

    mutating func handle(_ event: CheckoutSaga.Event) { perform(saga.handle(event, now: now)) }

    /// The coordinator dies, with what it knew; another one finds the saga in the store.
    mutating func crash() {
        messages = []
        guard case .saga(let record)? = book.records[.saga] else { return }
        hasEnded = false
        saga = CheckoutSaga(record, begun: 0, deadline: deadline)
        perform(saga.start(now: now))
    }

    /// A message is lost. The order is asked in the same process, where each question gets a reply: here one that tells
    /// nothing.
    mutating func lose(_ message: Message) {
        if case .order(let step, let id, _) = message { handle(.orderReplied(to: step, of: id, .unknown)) }
    }

    mutating func tick(after milliseconds: Int64 = Limits.resendMilliseconds) {
        now += milliseconds
        handle(.tick())
    }

    /// Delivers messages in order until the saga has ended; time goes on when there is none.
    mutating func run(steps: Int = 1_000) {
        for _ in 0..<steps where !hasEnded {
            if messages.isEmpty {
                tick()
            } else {
                let event = receive(messages.removeFirst())
                handle(event)
            }
        }
    }

    // MARK: What must be true at the end

    func balance(_ account: GroupKey) -> Int64 { ledgers[account]?.state?.balance.raw ?? -1 }

    /// The order is paid, and everything is sold and charged exactly once.
    var isSoldOnce: Bool {
        book.state?.status == .paid
            && saga.record.legs.allSatisfy { ledgers[$0.account]?.state?.captured == $0.amount } && isClean
    }

    /// Nothing happened, and the order can be checked out again.
    var isUndone: Bool {
        book.state?.status == .open && ledgers.values.allSatisfy { $0.state?.captured == .zero } && isClean
    }

    /// No lock and no saga is left, and the books balance.
    var isClean: Bool {
        book.records[.saga] == nil && ledgers.values.allSatisfy { $0.isBalanced && $0.state?.held == .zero }
    }
}
