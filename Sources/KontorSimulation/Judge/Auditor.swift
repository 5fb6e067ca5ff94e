// The auditor: compares what clients were told with what the store had in the end. It knows sums, sets and times, and
// none of the shop's rules.

import KontorCore

/// Judges one world by its history, its final state, and the committed amounts over time.
struct Auditor {
    let history: History
    let final: FinalState
    let amounts: [GroupKey: Amounts]
    let sagas: SagaWatch
    /// Whether clocks are so wrong that a copy of a hold can lock after its checkout is over, so that an order's own
    /// lock can be in its way.
    let takesLateCopies: Bool
    /// Whether the audit trail tells of deposits and withdrawals.
    let hasTrail: Bool
    /// Whether the clocks that decide when a reservation is over ran evenly.
    let hasEvenClocks: Bool
    /// Whether no process slept or died between two moments. Where clocks jump, nobody can tell.
    let wasCalm: (_ start: Int64, _ end: Int64) -> Bool
    let violation: (String) -> Void

    func judge() {
        for text in final.unfinished.sorted() { violation("left over: \(text)") }
        judgeAccounts()
        if hasTrail { judgeTrail() }
        judgeOrders()
        judgeBeginnings()
        judgeBaskets()
        judgeBatchInits()
        judgePayments()
        judgeRefunds()
        judgeReservations()
        let bookings = bookingsByAccount
        for action in history.actions {
            judgeAnswers(of: action, bookings)
            judgeReplays(of: action)
        }
    }
}

// MARK: Orders

extension Auditor {
    private func judgeOrders() {
        let actions = history.byOrder
        for (id, actions) in actions.sorted(by: { $0.key < $1.key }) { judgeOrder(id, actions, replacements(of: id)) }
        for (id, order) in final.orders.sorted(by: { $0.key < $1.key }) {
            if order.isLocked { violation("order \(id) is still locked, or reserved") }
            // One that was placed has its units from the first moment; any other one gets them by its id.
            if actions[id] == nil, Int(id) == nil, !order.basket.units.isEmpty {
                violation("order \(id) has \(order.basket), and no client was told of it")
            }
            let asked = actions[id]?.contains { $0.isCheckout && $0.effect != .none } ?? false
            if order.isPaid && !asked { violation("order \(id) is paid, but no checkout of it can have succeeded") }
        }
    }

    /// The `batch_init`s that may have replaced an order.
    func replacements(of id: String) -> [Action] {
        guard let number = Int(id) else { return [] }
        return history.batchInits.filter {
            if case .initOrders(let count, _, _, _) = $0.wish { number < count && $0.effect != .none } else { false }
        }
    }

    func replacements(ofUser id: String) -> [Action] {
        guard let number = Int(id) else { return [] }
        return history.batchInits.filter {
            if case .initUsers(let count, _) = $0.wish { number < count && $0.effect != .none } else { false }
        }
    }

    private func judgeOrder(_ id: String, _ actions: [Action], _ replaced: [Action]) {
        let paid = actions.filter { $0.isCheckout && $0.effect == .certain }
        let wasPaid = (final.orders[id]?.isPaid ?? false) || final.replaced[id] != nil
        if !paid.isEmpty && !wasPaid { violation("order \(id): a client was told that it is paid, and it is not") }
        // Only `batch_init` replaces a paid order, so a caller who was told "paid" after the last one must find it
        // paid.
        let lastReplacement = replaced.map(\.last).max() ?? 0
        if let after = paid.first(where: { $0.first > lastReplacement }), final.orders[id]?.isPaid != true {
            violation("order \(id) was paid (\(after.title)), and is not any more")
        }
        let removed = actions.contains {
            if case .removeOrder = $0.wish { $0.effect == .certain && $0.first > lastReplacement } else { false }
        }
        if removed && final.orders[id]?.isRemoved == false { violation("order \(id) was removed, and is there") }
        judgeStates(id, actions, replaced)
    }

    /// Checks that once a client was told that an order is paid, no client is told later that it is not.
    private func judgeStates(_ id: String, _ actions: [Action], _ replaced: [Action]) {
        let attempts = actions.flatMap { action in action.attempts.map { (action, $0) } }
        let paid = attempts.filter { $0.0.isCheckout && $0.1.told == .done && !$0.1.isReplay }.map(\.1)
        for (action, attempt) in attempts where attempt.told.isUnpaid && (!action.wish.isWrite || action.isCheckout) {
            // Nobody replaced the order between the earliest moment of its payment and the answer.
            let contradicted = paid.contains { paid in
                attempt.asked > paid.answered ?? .max
                    && !replaced.contains { $0.last > paid.asked && $0.first < attempt.answered ?? .max }
            }
            if contradicted {
                violation("order \(id): \(action.title) was told \(attempt.told) after a client was told that it is paid")
            }
        }
    }

    /// Checks that no saga begins that nobody waits for: a copy of a request that was refused may still be on its way.
    private func judgeBeginnings() {
        for (order, time) in sagas.beginnings {
            guard let actions = history.byOrder[order.text] else { continue }
            let isWished = actions.contains { action in
                action.isOfSaga
                    && action.attempts.contains {
                        $0.asked <= time && ($0.told == .nothing || time <= $0.answered ?? .max)
                    }
            }
            if !isWished { violation("a saga of order \(order) began, and whoever wished that had been answered before") }
        }
    }

    /// Checks that each basket has what was put in and not taken out.
    private func judgeBaskets() {
        var baskets: [[String]: Bookings] = [:]
        var created: Set<String> = []
        for action in history.actions {
            switch action.wish {
            case .createOrder: if case .created(let id) = action.lastTold { created.insert(id) }
            case .place(_, let basket):
                guard let id = action.placed?.id else { continue }
                created.insert(id)
                for (item, units) in basket.units { baskets[[id, item], default: Bookings()].add(units, .certain) }
            case .addItem(let order, let item, let units):
                baskets[[order, item], default: Bookings()].add(units, action.effect)
            case .removeItem(let order, let item): baskets[[order, item], default: Bookings()].add(-1, action.effect)
            default: break
            }
        }
        for id in created.sorted() {
            guard let order = final.orders[id] else {
                violation("order \(id) was created, and is not there")
                continue
            }
            let items = Set(order.basket.units.keys).union(baskets.keys.filter { $0[0] == id }.map { $0[1] })
            for item in items.sorted() {
                compare(
                    "order \(id)", "of item \(item) lie in it", order.basket.units[item] ?? 0,
                    baskets[[id, item]] ?? Bookings())
            }
        }
    }
}

// MARK: Answers

extension Auditor {
    /// What one request has, or may have, booked on one account.
    private struct Booking {
        let action: Action
        let amount: Int64
    }

    private var bookingsByAccount: [String: [Booking]] {
        var bookings: [String: [Booking]] = [:]
        var payments: [[String]: [Int64]] = [:]
        for case .payDirectly(let user, let order, let money) in history.actions.filter({ $0.effect != .none }).map(\.wish) {
            payments[[user, order], default: []].append(money)
        }
        for action in history.actions where action.effect != .none {
            func add(_ account: String, _ amount: Int64) {
                bookings[account, default: []].append(Booking(action: action, amount: amount))
            }
            switch action.wish {
            case .addStock(let item, let units): add("item \(item)", units)
            case .takeStock(let item, let units): add("item \(item)", -units)
            case .addCredit(let user, let money): add("user \(user)", money)
            case .payDirectly(let user, _, let money): add("user \(user)", -money)
            case .cancelPayment(let user, let order):
                // The cancellation gives back one of the payments that were begun before it ended.
                for money in payments[[user, order]] ?? [] { add("user \(user)", money) }
            case .place, .checkout:
                guard let id = action.order else { continue }
                for order in [final.orders[id]].compactMap({ $0 }).filter(\.isPaid) + (final.replaced[id] ?? []) {
                    add("user \(order.user)", -order.total)
                    for (item, units) in order.basket.units { add("item \(item)", -units) }
                }
            case .refund:
                for refund in final.refunds where refund.reason == action.title {
                    for (account, amount) in refund.credits { add(account, amount) }
                }
            default: break
            }
        }
        return bookings
    }

    private func judgeAnswers(of action: Action, _ bookings: [String: [Booking]]) {
        for attempt in action.attempts {
            guard let answered = attempt.answered else { continue }
            func stood(_ account: String, _ amount: Int64) -> Bool {
                self.stood(account, amount, attempt.asked, answered, bookings[account] ?? [])
            }
            func judgeRead(_ account: String, _ amount: Int64) {
                if stood(account, amount) { return }
                violation("\(account): \(action.title) read \(amount), which was never its committed amount meanwhile")
            }
            switch (action.wish, attempt.told) {
            case (.readItem(let item), .item(let stock, _)): judgeRead("item \(item)", stock)
            case (.readUser(let user), .credit(let credit)): judgeRead("user \(user)", credit)
            case (_, .refused(.insufficient(let account, let wanted, let left))):
                // "Insufficient" may only be answered when the committed amount does not suffice.
                if left >= wanted { violation("\(account): \(action.title) was refused \(wanted) of \(left)") }
                if !stood(account, left) {
                    violation(
                        "\(account): \(action.title) was refused \(wanted) because only \(left) was left, "
                            + "which was never its committed amount meanwhile")
                }
            case (_, .refused(.contended(let account))), (_, .refused(.reserved(let account))):
                if !isLocked(account, byOthersThan: action, attempt.asked, answered) {
                    violation("\(account): \(action.title) was refused because of others, and nobody else had a lock on it")
                }
            case (_, .refused(.unreachable)):
                // The refusal came long before the deadline, and every process that had a part in it was awake.
                if attempt.patience >= .seconds(1), answered - attempt.asked < attempt.patience / 2,
                    wasCalm(attempt.asked - .seconds(12), answered), !hasHastierCaller(action.order, attempt, answered)
                {
                    violation("\(action.title) was refused because an account did not answer, long before its deadline")
                }
            default: break
            }
        }
    }

    /// Whether somebody with less patience asked for the checkout of the same order, perhaps this client itself before:
    /// its process may drive the checkout, too, and ends it for both.
    private func hasHastierCaller(_ order: String?, _ attempt: Attempt, _ answered: Int64) -> Bool {
        let sinceThen = attempt.asked - .milliseconds(SimulatedGateway.clientSlack)
        return history.byOrder[order ?? "", default: []].contains { action in
            action.isOfSaga
                && action.attempts.contains {
                    $0.patience < attempt.patience && $0.asked <= answered && $0.asked + $0.patience >= sinceThen
                }
        }
    }

    /// Whether an account had this committed amount at some moment. Bookings of one time may be committed together, and
    /// a caller between them is told an amount between them.
    private func stood(_ account: String, _ amount: Int64, _ asked: Int64, _ answered: Int64, _ bookings: [Booking]) -> Bool {
        guard let group = group(account), let amounts = amounts[group] else { return false }
        let standing = amounts.standing(from: asked, to: answered) + replacements(of: group, from: asked, to: answered)
        if standing.contains(amount) { return true }
        let concurrent = bookings.filter { $0.action.first <= answered && $0.action.last >= asked }.map(\.amount)
        return standing.contains { Bookings(certain: $0, possible: concurrent).canBe(amount) }
    }

    /// The amounts that each `batch_init` of that time gave an account: nobody can say what it was before others booked
    /// on it.
    func replacements(of account: GroupKey, from asked: Int64, to answered: Int64) -> [Int64] {
        guard let number = Int(account.id.text) else { return [] }
        return history.batchInits.compactMap { action in
            guard action.effect != .none, action.first <= answered, action.last >= asked else { return nil }
            switch action.wish {
            case .initItems(let count, let stock, _) where account.kind == .item && number < count: return stock
            case .initUsers(let count, let credit) where account.kind == .user && number < count: return credit
            default: return nil
            }
        }
    }

    /// Whether another client's lock could be in the way.
    private func isLocked(_ account: String, byOthersThan action: Action, _ asked: Int64, _ answered: Int64) -> Bool {
        guard let group = group(account) else { return false }
        let own = action.isOfSaga && !takesLateCopies ? action.order : nil
        return sagas.isLocked(group, byOthersThan: own, from: asked, to: answered)
    }

    private func group(_ account: String) -> GroupKey? {
        let words = account.split(separator: " ", maxSplits: 1).map(String.init)
        guard words.count == 2, let id = Identifier(words[1]) else { return nil }
        return GroupKey(words[0] == "item" ? .item : .user, id)
    }
}

extension Told {
    /// Whether the answer says that an order is not paid.
    fileprivate var isUnpaid: Bool {
        switch self {
        case .order(isPaid: false, _, _), .refused(.insufficient), .refused(.contended), .refused(.reserved),
            .refused(.unknownOrder):
            return true
        default: return false
        }
    }

    var isRefusedForGood: Bool {
        switch self {
        case .refused(.unavailable), .refused(.key): return false
        case .refused: return true
        default: return false
        }
    }
}
