// The routes of Payment: users, their credit, and direct payments.

import KontorCore
import KontorService

/// The table's routes about users.
enum PaymentRoutes {
    static let all: [Route] = [
        Route(
            "createUser", .post, ["payment", "create_user"], tag: .payment, effect: .write,
            summary: "Creates a user without credit", answer: .userCreated
        ) { _ in .createUser },

        Route(
            "findUser", .get, ["payment", "find_user", .user], tag: .payment, effect: .read,
            summary: "Shows a user's credit", answer: .user, problems: [.unknownUser]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.user, path.user), .read))
        },

        Route(
            "addFunds", .post, ["payment", "add_funds", .user, .amount], tag: .payment, effect: .write, access: .admin,
            summary: "Adds to a user's credit", answer: .accountChanged, problems: [.unknownUser, .overLimit]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.user, path.user), .deposit(path.amount)))
        },

        Route(
            "pay", .post, ["payment", "pay", .user, .amount], tag: .payment, effect: .write,
            summary: "Takes an amount from a user's credit", answer: .accountChanged,
            problems: [.unknownUser, .outOfCredit, .contended]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.user, path.user), .withdraw(path.amount)))
        },

        Route(
            "payForOrder", .post, ["payment", "pay", .user, .order, .amount], tag: .payment, effect: .write,
            summary: "Takes an amount from a user's credit, and records it for an order",
            notes: "In any amount, once for an order of this user that no checkout has paid or is paying. While such a "
                + "direct payment stands, a checkout of the order is refused (an order is paid once); it can be cancelled.",
            answer: .accountChanged,
            problems: [
                .unknownUser, .unknownOrder, .outOfCredit, .contended, .paidDirectly, .paidByCheckout, .orderCheckingOut,
                .orderReserved,
                .orderOfAnotherUser,
            ]
        ) { path throws(Problem) in
            try .pay(user: path.user, order: path.order, path.amount)
        },

        Route(
            "cancelPayment", .post, ["payment", "cancel", .user, .order], tag: .payment, effect: .write,
            summary: "Gives a direct payment for an order back, once",
            notes: "Cancelling it again: 200, no further effect. What a checkout paid cannot be cancelled.",
            answer: .accountChanged, problems: [.unknownUser, .noDirectPayment, .paidByCheckout, .overLimit]
        ) { path throws(Problem) in
            try .cancelPayment(user: path.user, order: path.order)
        },

        Route(
            "paymentStatus", [.get, .post], ["payment", "status", .user, .order], tag: .payment, effect: .read,
            summary: "Tells whether a user paid for an order",
            notes: "By a checkout, or by a direct payment that was not cancelled and is worth the order's total. GET and "
                + "POST do the same.",
            answer: .paymentStatus, problems: [.unknownUser]
        ) { path throws(Problem) in
            try .paymentStatus(user: path.user, order: path.order)
        },

        Route(
            "initUsers", .post, ["payment", "batch_init", .count, .credit], tag: .payment, effect: .write,
            access: .admin, summary: "Makes many users with a credit", notes: Route.batchInitNotes,
            answer: .usersInitialized, problems: [.overLimit, .openSaga]
        ) { path throws(Problem) in
            try .initUsers(count: path.count, credit: path.credit)
        },
    ]
}
