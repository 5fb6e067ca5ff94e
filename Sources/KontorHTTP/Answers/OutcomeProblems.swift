// From a failed outcome to its problem: the status tells programs what has happened, the detail tells people what to
// do. "Nothing was changed" is a promise, and stands only where the status is a 4xx.

import Glibc
import KontorCore
import KontorService

/// Makes problems of the shop's answers. The details name the order, item or user concerned.
enum OutcomeProblems {
    /// The problem of an answer that is no success of its request. One that the request cannot have is a bug.
    static func problem(_ answer: ShopAnswer, of request: ShopRequest) -> Problem {
        switch answer {
        case .ledger(let outcome): return problem(outcome, of: request)
        case .order(let outcome), .checkout(.notBegun(let outcome)): return problem(outcome, of: request)
        case .checkout(.refused(let reason)): return problem(reason, of: request)
        case .keyed(let verdict): return problem(verdict, of: request)
        case .paidByCheckout: return paidByCheckout(request)
        case .orderOfAnotherUser:
            return Problem(
                .orderOfAnotherUser, "This order is another user's, who alone can pay for it. Nothing was changed.",
                request.ids)
        case .hasOpenSaga(let key): return openSaga(key)
        case .unavailable(let error): return unavailable(error, request)
        case .overloaded(let bound): return .notTaken(bound)
        case .unknown: return unknown(request)
        case .missing(let account): return unknown(account, request)
        case .creditRefused(let account, .unknownAccount): return unknown(account, request)
        case .creditRefused(let account, _):
            return Problem(
                .overLimit, "\(account) cannot take what this refund would give it. Nothing was changed.",
                request.ids + [account])
        case .placed, .shown, .created, .initialized, .checkout(.paid), .checkout(.reserved),
            .checkout(.givenBack), .explanation, .paymentStatus, .replayed, .refunded,
            .refunds, .listedOrders, .listedAccounts:
            return bug(request)
        }
    }

    private static func problem(_ outcome: LedgerOutcome, of request: ShopRequest) -> Problem {
        guard let account = request.account else { return initProblem(outcome, of: request) }
        switch outcome {
        case .unknownAccount: return unknown(account, request)
        case .insufficient(let balance): return insufficient(account, wanted: request.amount, left: balance, request)
        case .contended: return contended(account, request)
        case .reserved(let until): return reserved(account, until: until, request)
        case .overLimit:
            return Problem(
                .overLimit, "The balance or lifetime total of \(account) would pass its bound. Nothing was changed.",
                request.ids)
        case .alreadyPaidDirectly:
            return Problem(
                .paidDirectly,
                "\(account) already made a direct payment for this order. Nothing was changed; cancel that one first.",
                request.ids)
        case .noDirectPayment:
            return Problem(
                .noDirectPayment,
                "\(account) has no direct payment for this order: none was made, or a batch_init has replaced the user since. "
                    + "There is nothing to cancel.", request.ids)
        case .hasHolds: return openSaga(account)
        case .done, .held, .account, .payment, .accountExists, .paymentNotLocked, .anomaly: return bug(request)
        }
    }

    /// The problem of a `batch_init`, which is about many accounts. Which of them has holds is in
    /// ``ShopAnswer/hasOpenSaga(_:)``.
    private static func initProblem(_ outcome: LedgerOutcome, of request: ShopRequest) -> Problem {
        switch (outcome, request) {
        case (.overLimit, .initItems), (.overLimit, .initUsers):
            return Problem(
                .overLimit, "The lifetime total of an account would pass its bound. Use other ids or a smaller amount.")
        default: return bug(request)
        }
    }

    private static func problem(_ outcome: OrderOutcome, of request: ShopRequest) -> Problem {
        if case .initOrders = request, case .overLimit = outcome {
            return Problem(.overLimit, "Two items of this price cost more than an order may. Use a smaller price.")
        }
        if case .overLimit(let bound) = outcome, request.order == nil {
            return Problem(.overLimit, "The order \(bound.words). Nothing was changed.", request.ids)
        }
        guard let order = request.order else { return bug(request) }
        switch outcome {
        case .changedSince:
            return Problem(
                .changedSince,
                "Order \(order) has changed since it was read under this ETag. Nothing was changed; read it again.", request.ids
            )
        case .unknownOrder:
            return Problem(.unknownOrder, "There is no order \(order). Create it first.", request.ids)
        case .unknownItem:
            return Problem(.itemNotInOrder, "This item is not in order \(order). Nothing was changed.", request.ids)
        case .alreadyPaid:
            return Problem(.orderPaid, "Order \(order) is paid and can no longer be changed.", request.ids)
        case .isCheckingOut:
            return Problem(
                .orderCheckingOut,
                "Order \(order) is being checked out. Nothing was changed; wait for the checkout, then try again.",
                request.ids)
        case .isReserved(let until):
            return Problem(
                .orderReserved,
                "Order \(order) is reserved until \(Timestamp(until).text). Nothing was changed; check it out, or give the "
                    + "reservation back first.", request.ids)
        // Reads and payments are told 404: for them the order is not there any more.
        case .isRemoved where request.isPayment:
            return Problem(
                .unknownOrder, "Order \(order) was removed and cannot be paid any more. Nothing was changed.", request.ids)
        case .isRemoved where request.isRead:
            return Problem(.unknownOrder, "Order \(order) was removed. /orders/explain tells what happened to it.", request.ids)
        case .isRemoved:
            return Problem(
                .orderRemoved, "Order \(order) was removed. Nothing was changed; create another one.", request.ids)
        case .isEmpty:
            return Problem(.orderEmpty, "Order \(order) has no items. Add one, then \(request.again).", request.ids)
        case .overLimit(let bound):
            return Problem(.overLimit, "Order \(order) \(bound.words). Nothing was changed.", request.ids)
        case .isRefunded:
            return Problem(
                .orderRefunded, "Order \(order) was paid and refunded. It is not checked out again; create another one.",
                request.ids)
        case .notPaid:
            return Problem(
                .orderNotPaid, "Order \(order) is not paid by a checkout, so there is nothing to refund. Nothing was changed.",
                request.ids)
        case .nothingToRefund:
            return Problem(.nothingToRefund, "All of order \(order) is refunded. Nothing was changed.", request.ids)
        case .exceedsRefundable(let item, let left):
            return Problem(
                .refundExceeds,
                "Of item \(item) \(left.raw) units of order \(order) can be refunded. Nothing was changed.", request.ids)
        case .done, .order, .inspected, .begun, .running, .decided, .stale, .orderExists, .refund, .refunds, .refundOpen,
            .refundOver:
            return bug(request)
        }
    }

    private static func problem(_ reason: AbortReason, of request: ShopRequest) -> Problem {
        switch reason {
        case .insufficient(let account, let wanted, let left):
            return insufficient(account, wanted: wanted, left: left, request)
        case .unknownAccount(let account): return unknown(account, request)
        case .contended(let account): return contended(account, request)
        case .reserved(let account, let until): return reserved(account, until: until, request)
        case .reservationEnded: return bug(request)
        case .unreachable(let account):
            return Problem(
                .unavailable, "The ledger of \(account) could not be reached in time. All is undone; \(request.again).",
                request.ids + [account])
        case .paidDirectly(let order):
            return Problem(
                .paidDirectly,
                "A direct payment was made for order \(order), and an order is paid once. Nothing was changed; cancel that "
                    + "payment, then check out again.", request.ids)
        case .anomaly(let account, let anomaly):
            return Problem(
                .anomaly,
                "The ledger of \(account) refused a step of this checkout (\(anomaly)), which only a delayed or lost "
                    + "message explains. All is undone; \(request.again).", request.ids + [account])
        }
    }

    private static func problem(_ verdict: KeyVerdict, of request: ShopRequest) -> Problem {
        switch verdict {
        case .usedForAnother:
            return Problem(
                .keyReused,
                "This Idempotency-Key was used with another request here. Nothing was changed; use a new key for a new "
                    + "request.", request.ids)
        case .running:
            return Problem(
                .keyInUse,
                "The first request with this Idempotency-Key still runs. This one changed nothing; send it again to get "
                    + "the answer of the first.", request.ids)
        case .noRoom:
            return Problem(
                .keysFull,
                "No more idempotency keys can be kept until older ones expire. Nothing was changed; send it again later, "
                    + "or without a key.", request.ids)
        case .leased:
            return Problem(
                .overloaded,
                "Another process replaces records of this kind, or it died doing so. Nothing was begun; try again when it "
                    + "is done, or after a minute and a half.", request.ids)
        case .late: return unknown(request)
        case .replayed: return bug(request)
        }
    }

    private static func paidByCheckout(_ request: ShopRequest) -> Problem {
        Problem(
            .paidByCheckout,
            request.isPayment
                ? "This order was paid by its checkout, and an order is paid once. Nothing was changed."
                : "This order was paid by a checkout, which cannot be cancelled. Nothing was changed.", request.ids)
    }

    private static func openSaga(_ key: GroupKey) -> Problem {
        Problem(
            .openSaga,
            "A checkout or refund that concerns \(key) is running, or a reservation stands. Wait for its end, or give the "
                + "reservation back, then try again.", [key]
        )
    }

    private static func unreadable(_ error: StoreError, _ request: ShopRequest) -> Problem {
        guard case .unreadable = error else {
            return Problem(.readUnavailable, "The store cannot be read now. Try again in a moment.", request.ids)
        }
        let text = "A record of this cannot be read, and somebody who operates the shop must look at it."
        return Problem(.readUnavailable, text, request.ids)
    }

    private static func unavailable(_ error: StoreError, _ request: ShopRequest) -> Problem {
        if request.isRead { return unreadable(error, request) }
        let earlier = "If it repeats an earlier one, the outcome of that one stands."
        switch error {
        case .diskFull, .memoryFull:
            let full = error == .diskFull ? "There is no room left to store this" : "The memory of the database is full"
            return Problem(
                .noRoom,
                "\(full). Nothing was changed. Somebody who operates the shop must make room; "
                    + "send the request again after that. \(earlier)", request.ids)
        case .unreachable:
            return Problem(
                .unavailable,
                "The store cannot be reached. Nothing was changed; send the request again in a moment. \(earlier)",
                request.ids)
        case .unreadable:
            return Problem(
                .unavailable,
                "A record of this cannot be read, and somebody who operates the shop must look at it. Nothing was changed. \(earlier)",
                request.ids)
        }
    }

    private static func unknown(_ request: ShopRequest) -> Problem {
        if request.isRead {
            return Problem(.readUnavailable, "This could not be read within the deadline. Try again.", request.ids)
        }
        return Problem(
            .outcomeUnknown,
            "The outcome is not known within the deadline: it may have happened, or may still. "
                + "A checkout or a reservation can always be repeated, and then tells; so can a request with an Idempotency-Key, "
                + "under the same key. Look before you repeat any other.",
            request.ids)
    }

    private static func bug(_ request: ShopRequest) -> Problem {
        Problem(
            .bug, "The service made a mistake: this request cannot have the outcome that it got. Please report it.",
            request.ids)
    }

    private static func unknown(_ account: GroupKey, _ request: ShopRequest) -> Problem {
        let kind: Problem.Kind = account.kind == .item ? .unknownItem : .unknownUser
        return Problem(kind, "There is no \(account). Nothing was changed; create it first.", request.ids + [account])
    }

    private static func contended(_ account: GroupKey, _ request: ShopRequest) -> Problem {
        Problem(
            .contended,
            "Checkouts that are not decided yet hold a part of \(account), and did not end in time. "
                + "Nothing was changed; try again.", request.ids + [account])
    }

    /// - Parameter until: when some of it may be free at the earliest, milliseconds since 1970.
    private static func reserved(_ account: GroupKey, until: Int64, _ request: ShopRequest) -> Problem {
        let left = (until - wallMilliseconds) / 1_000
        return Problem(
            .contended,
            "Others have reserved a part of \(account), and may buy it or give it back. Nothing was changed; try again later.",
            request.ids + [account], retryAfterSeconds: Int(min(max(1, left), Limits.reservationRetrySeconds)))
    }

    private static var wallMilliseconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }

    private static func insufficient(
        _ account: GroupKey, wanted: Amount, left: Amount, _ request: ShopRequest
    ) -> Problem {
        if account.kind == .item {
            return Problem(
                .outOfStock,
                "\(wanted.raw) units of \(account) are wanted and \(left.raw) are left. "
                    + "Nothing was changed; add stock, then try again.", request.ids + [account])
        }
        return Problem(
            .outOfCredit,
            "\(wanted.moneyText) is wanted of \(account) and its credit is \(left.moneyText). "
                + "Nothing was changed; add funds, then try again.", request.ids + [account])
    }
}

extension OrderBound {
    /// What would be too much, behind the order's name.
    fileprivate var words: String {
        switch self {
        case .lines: return "has \(Limits.orderLines) lines, and that is the most"
        case .units: return "would have more than \(Limits.balance) units of one item"
        case .cost: return "would cost more than \(Limits.moneyHundredths / 100)"
        case .refunds: return "had \(Limits.orderRefunds) refunds, and that is the most"
        case .attempts: return "had \(UInt32.max - 1) checkouts that failed, and that is the most; create another one"
        }
    }
}

extension ShopRequest {
    /// The account that a ledger's outcome is about; nil for many or none.
    fileprivate var account: GroupKey? { ids.first { $0.kind != .order } }

    fileprivate var order: Identifier? { ids.first { $0.kind == .order }?.id }

    /// The amount that a withdrawal or payment wanted; zero for other requests.
    fileprivate var amount: Amount {
        switch self {
        case .pay(_, _, let amount): return amount
        case .ledger(let command):
            if case .withdraw(let amount) = command.operation { return amount }
            return .zero
        default: return .zero
        }
    }

    fileprivate var isPayment: Bool { if case .pay = self { true } else { false } }
}

extension ShopRequest {
    /// What to do once more, in words.
    fileprivate var again: String {
        switch self {
        case .reserve: "reserve again"
        case .shown(let request): request.again
        default: "check out again"
        }
    }
}
