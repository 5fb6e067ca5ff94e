// What the auditor knows of refunds: each that a client was told of is there once, no other has effect, and none gives
// back more than was paid.

extension Auditor {
    /// What refunds have given each account.
    var refundedByAccount: [String: Int64] {
        final.refunds.reduce(into: [:]) { sums, refund in
            for (account, amount) in refund.credits { sums[account, default: 0] += amount }
        }
    }

    func judgeRefunds() {
        let byReason = Dictionary(grouping: final.refunds, by: \.reason)
        var known: Set<String> = []
        for action in history.actions {
            switch action.wish {
            case .refund:
                known.insert(action.title)
                judgeRefund(action, byReason[action.title] ?? [])
            case .listRefunds(let order): judgeList(action, of: order)
            case .checkout(let order) where action.lastTold == .refused(.state("isRefunded")):
                if !mayBeRefunded(order, before: action) {
                    violation("order \(order): \(action.title) was told that it is refunded, and nobody can have refunded it")
                }
            default: break
            }
        }
        for refund in final.refunds where !known.contains(refund.reason) {
            violation("order \(refund.order): nobody asked for its refund \(refund.number)")
        }
        for (id, refunds) in Dictionary(grouping: final.refunds, by: \.order).sorted(by: { $0.key < $1.key }) {
            judgeSums(id, refunds)
            judgeWhollyRefunded(id, refunds)
        }
    }

    /// Checks that nobody is told that an order is paid who asks after all of it was refunded.
    private func judgeWhollyRefunded(_ id: String, _ refunds: [Refunded]) {
        guard let order = final.orders[id], replacements(of: id).isEmpty else { return }
        var basket = Basket()
        for refund in refunds { basket.units.merge(refund.basket.units, uniquingKeysWith: +) }
        guard basket == order.basket else { return }
        let titles = Set(refunds.map(\.reason))
        let told = (history.byOrder[id] ?? []).filter { titles.contains($0.title) }.map { action in
            action.attempts.filter { $0.told.isEffect }.compactMap(\.answered).min() ?? .max
        }
        guard told.count == titles.count, let last = told.max() else { return }
        for action in history.byOrder[id] ?? [] where action.isCheckout {
            if action.attempts.contains(where: { $0.asked > last && $0.told == .done && !$0.isReplay }) {
                violation("order \(id): \(action.title) was told that it is paid after all of it was refunded")
            }
        }
    }

    /// Checks that what a client was told is what became of it.
    private func judgeRefund(_ action: Action, _ found: [Refunded]) {
        if found.count > 1 { violation("\(action.title): it was refunded \(found.count) times") }
        switch action.effect {
        case .none: if !found.isEmpty { violation("\(action.title): it was refused, and there is a refund") }
        case .possible: break
        case .certain:
            for case .refunded(let told) in action.attempts.map(\.told) where found.first != told {
                violation("\(action.title): it was told \(told), and that is not there")
            }
        }
        guard case .refund(let order, let units, let restock) = action.wish, let refund = found.first else { return }
        let isWanted = units.map { wanted in wanted == refund.basket } ?? true
        if refund.order != order || refund.isRestocked != restock || !isWanted {
            violation("\(action.title): it wanted \(action.wish), and is \(refund)")
        }
    }

    /// Checks that the refunds of one order give back no more than was paid, and all of it if all units came back.
    private func judgeSums(_ id: String, _ refunds: [Refunded]) {
        let orders = [final.orders[id]].compactMap { $0 } + (final.replaced[id] ?? [])
        for (incarnation, refunds) in Dictionary(grouping: refunds, by: \.incarnation).sorted(by: { $0.key < $1.key }) {
            guard let order = orders.first(where: { $0.incarnation == incarnation }), order.isPaid else {
                violation("order \(id): it has refunds, and was not paid")
                continue
            }
            var basket = Basket()
            for refund in refunds {
                basket.units.merge(refund.basket.units, uniquingKeysWith: +)
                if refund.user != order.user {
                    violation("order \(id): user \(refund.user) was refunded for user \(order.user)")
                }
            }
            let money = refunds.reduce(0) { $0 + $1.money }
            let isTooMuch = basket.units.contains { $0.value > order.basket.units[$0.key] ?? 0 } || money > order.total
            if isTooMuch { violation("order \(id): \(basket) for \(money) is refunded of \(order.basket) for \(order.total)") }
            if basket == order.basket, money != order.total {
                violation("order \(id): all of it is refunded, for \(money) of \(order.total)")
            }
        }
    }

    /// Checks that a list has every refund that its client knew of, and none that nobody asked for.
    private func judgeList(_ action: Action, of order: String) {
        let (others, replacements) = (history.byOrder[order] ?? [], replacements(of: order))
        for attempt in action.attempts {
            guard case .listed(let reasons) = attempt.told, let answered = attempt.answered else { continue }
            if Set(reasons).count != reasons.count { violation("\(action.title): it was told of a refund twice") }
            for other in others {
                guard case .refund = other.wish else { continue }
                let isListed = reasons.contains(other.title)
                let acknowledged = other.attempts.filter { $0.told.isEffect }.compactMap(\.answered).min() ?? .max
                let isKept = !replacements.contains { $0.last > other.first && $0.first < answered }
                if !isListed, isKept, acknowledged < attempt.asked {
                    violation("\(action.title): it was not told of \(other.title), which had its effect before")
                }
                if isListed, other.effect == .none || other.first > answered {
                    violation("\(action.title): it was told of \(other.title), which had no effect")
                }
            }
        }
    }

    private func mayBeRefunded(_ order: String, before action: Action) -> Bool {
        (history.byOrder[order] ?? []).contains { other in
            guard case .refund = other.wish else { return false }
            return other.effect != .none && other.first <= action.attempts.last?.answered ?? .max
        }
    }
}

extension Refunded {
    /// What each account gets.
    var credits: [(account: String, amount: Int64)] {
        var credits: [(account: String, amount: Int64)] = [("user \(user)", money)]
        guard isRestocked else { return credits }
        for (item, units) in basket.units.sorted(by: { $0.key < $1.key }) { credits.append(("item \(item)", units)) }
        return credits
    }
}
