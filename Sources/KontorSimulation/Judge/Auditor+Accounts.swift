// Every unit and every hundredth: what accounts have in the end, against what clients put in, took out and bought, and
// against what the audit trail tells of that.

import KontorCore

extension Auditor {
    /// The amounts that were booked on one account: certain ones, and possible ones.
    struct Bookings {
        var certain: Int64 = 0
        var possible: [Int64] = []
        /// Whether `batch_init` may have replaced the account: its amount is booked out and another one in.
        var isReplaced = false

        mutating func add(_ amount: Int64, _ effect: Action.Effect) {
            switch effect {
            case .certain: certain += amount
            case .possible: possible.append(amount)
            case .none: break
            }
        }

        /// Whether the certain amounts, and some of the possible ones, make up `sum`.
        func canBe(_ sum: Int64) -> Bool {
            var reachable: Set<Int64> = [certain]
            for amount in possible {
                // So many possible sums say nothing any more.
                if reachable.count > 20_000 { return true }
                reachable.formUnion(reachable.map { $0 + amount })
            }
            return reachable.contains(sum)
        }

        var text: String { possible.isEmpty ? "\(certain)" : "\(certain), and perhaps some of \(possible)" }
    }

    func judgeAccounts() {
        var deposits: [String: Bookings] = [:]
        var withdrawals: [String: Bookings] = [:]
        var sold: [String: Bookings] = [:]
        for order in final.paid {
            for (item, units) in order.basket.units { sold["item \(item)", default: Bookings()].certain += units }
            sold["user \(order.user)", default: Bookings()].certain += order.total
        }
        for action in history.actions {
            let effect = action.effect
            switch action.wish {
            case .addStock(let item, let units): deposits["item \(item)", default: Bookings()].add(units, effect)
            case .takeStock(let item, let units): withdrawals["item \(item)", default: Bookings()].add(units, effect)
            case .addCredit(let user, let money): deposits["user \(user)", default: Bookings()].add(money, effect)
            case .payDirectly(let user, _, let money): sold["user \(user)", default: Bookings()].add(money, effect)
            default: addReplacements(by: action, to: &deposits, &withdrawals)
            }
        }
        addCancellations(to: &deposits)
        let refunded = refundedByAccount
        for (name, account) in final.accounts.sorted(by: { $0.key < $1.key }) {
            compare(name, "was put in", account.deposited, deposits[name] ?? Bookings())
            if withdrawals[name]?.isReplaced != true {
                compare(name, "was taken out", account.withdrawn, withdrawals[name] ?? Bookings())
            }
            compare(name, "was sold or charged", account.captured, sold[name] ?? Bookings())
            if account.refunded != refunded[name] ?? 0 {
                violation("\(name): \(account.refunded) was refunded, but its refunds say \(refunded[name] ?? 0)")
            }
            let left = account.deposited - account.withdrawn - account.captured + account.refunded
            if account.balance != left || account.balance < 0 {
                violation(
                    "\(name): \(account.balance) is left of \(account.deposited) in, \(account.withdrawn) out, "
                        + "\(account.captured) sold, \(account.refunded) refunded")
            }
            if account.held != 0 { violation("\(name): \(account.held) is still held") }
            if account.reserved != 0 { violation("\(name): \(account.reserved) is still reserved") }
        }
        for name in deposits.keys.sorted() where final.accounts[name] == nil && deposits[name]?.certain != 0 {
            violation("\(name) is gone")
        }
    }

    /// What was put in and taken out is what the trail tells, and what it does not tell of: `batch_init`s and cancelled
    /// payments. So no effect is without its entry, and no entry without its effect.
    func judgeTrail() {
        var others: [String: Bookings] = [:]
        var bookedOut: [String: Bookings] = [:]
        for action in history.actions { addReplacements(by: action, to: &others, &bookedOut) }
        addCancellations(to: &others)
        for (name, account) in final.accounts.sorted(by: { $0.key < $1.key }) {
            let (put, taken) = (final.putInByTrail[name] ?? 0, final.takenByTrail[name] ?? 0)
            compare(name, "was put in beside what the trail tells", account.deposited - put, others[name] ?? Bookings())
            if bookedOut[name] == nil, account.withdrawn != taken {
                violation("\(name): \(account.withdrawn) was taken out, and the trail tells of \(taken)")
            }
        }
    }

    /// Adds what a `batch_init` of accounts puts in and books out; nothing for another action.
    private func addReplacements(
        by action: Action, to deposits: inout [String: Bookings], _ withdrawals: inout [String: Bookings]
    ) {
        switch action.wish {
        case .initItems(let count, let stock, _):
            for number in 0..<count { replace("item \(number)", stock, action, &deposits, &withdrawals) }
        case .initUsers(let count, let credit):
            for number in 0..<count { replace("user \(number)", credit, action, &deposits, &withdrawals) }
        default: break
        }
    }

    /// Adds a `batch_init` of one account. One with an unknown end may have replaced any part of its accounts; one
    /// under a key that was asked again may have done so each time.
    private func replace(
        _ account: String, _ amount: Int64, _ action: Action, _ deposits: inout [String: Bookings],
        _ withdrawals: inout [String: Bookings]
    ) {
        for attempt in action.attempts where attempt.told == .nothing || (attempt.told == .done && !attempt.isReplay) {
            deposits[account, default: Bookings()].add(amount, attempt.told == .done ? .certain : .possible)
            withdrawals[account, default: Bookings()].isReplaced = true
        }
    }

    /// Adds cancelled payments. A payment is given back once, however often it is cancelled; it may be paid and
    /// cancelled again.
    private func addCancellations(to deposits: inout [String: Bookings]) {
        var payments: [[String]: (paid: [Int64], cancellations: Int, certain: Bool)] = [:]
        for action in history.actions {
            switch action.wish {
            case .payDirectly(let user, let order, let money) where action.effect != .none:
                payments[[user, order], default: ([], 0, false)].paid.append(money)
            case .cancelPayment(let user, let order) where action.effect != .none:
                payments[[user, order], default: ([], 0, false)].cancellations += 1
            default: break
            }
        }
        for (key, payment) in payments.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) })
        where payment.cancellations > 0 {
            // Which of several payments was cancelled depends on their order, which clients cannot always know.
            deposits["user \(key[0])", default: Bookings()].possible += payment.paid
        }
    }

    func compare(_ name: String, _ what: String, _ found: Int64, _ bookings: Bookings) {
        if !bookings.canBe(found) { violation("\(name): \(found) \(what), but clients know of \(bookings.text)") }
    }
}
