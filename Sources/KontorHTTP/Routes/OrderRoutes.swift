// The routes of Order: orders, their items, and the checkout.

import KontorCore
import KontorService

/// The table's routes about orders.
enum OrderRoutes {
    static let all: [Route] = [
        Route(
            "createOrder", .post, ["orders", "create", .user], tag: .order, effect: .write,
            summary: "Creates an empty order for a user", answer: .orderCreated, problems: [.unknownUser]
        ) { path throws(Problem) in
            try .createOrder(user: path.user)
        },

        Route(
            "addItem", .post, ["orders", "addItem", .order, .item, .units], tag: .order, effect: .write,
            summary: "Adds units of an item to an order",
            notes: "The price is taken now. Calls at the same time add up; none is lost.",
            answer: .orderChanged, problems: itemChange + [.unknownItem, .overLimit]
        ) { path throws(Problem) in
            try .addItem(order: path.order, item: path.item, units: path.units)
        },

        Route(
            "addOneItem", .post, ["orders", "addItem", .order, .item], tag: .order, effect: .write,
            summary: "Adds one unit of an item to an order", notes: "The price is taken now.",
            answer: .orderChanged, problems: itemChange + [.unknownItem, .overLimit]
        ) { path throws(Problem) in
            try .addItem(order: path.order, item: path.item, units: Amount(1))
        },

        Route(
            "removeItem", .delete, ["orders", "removeItem", .order, .item], tag: .order, effect: .write,
            summary: "Removes one unit of an item from an order", answer: .orderChanged,
            problems: itemChange + [.itemNotInOrder]
        ) { path throws(Problem) in
            try .order(OrderCommand(path.order, .removeItem(path.item)))
        },

        Route(
            "removeOrder", .delete, ["orders", "remove", .order], tag: .order, effect: .write,
            summary: "Deletes an order that is not paid", notes: "Deleting it again: 200, no further effect.",
            answer: .orderChanged, problems: [.unknownOrder, .orderPaid, .orderCheckingOut, .orderReserved]
        ) { path throws(Problem) in
            try .order(OrderCommand(path.order, .remove))
        },

        Route(
            "findOrder", .get, ["orders", "find", .order], tag: .order, effect: .read,
            summary: "Shows an order", answer: .order, problems: [.unknownOrder]
        ) { path throws(Problem) in
            try .order(OrderCommand(path.order, .read))
        },

        Route(
            "checkout", .post, ["orders", "checkout", .order], tag: .order, effect: .write,
            summary: "Checks an order out: takes its items from the stock and its cost from the user's credit, or nothing",
            notes: "200 once it is paid, and on a paid order again, without a further effect. While a checkout of this "
                + "order runs, the request joins it and gets its outcome. An order that was refused can be checked out "
                + "again, after stock or funds were added.",
            answer: .checkedOut,
            problems: [
                .overLimit, .unknownOrder, .unknownItem, .unknownUser, .outOfStock, .outOfCredit, .contended, .orderEmpty,
                .orderRemoved, .orderRefunded, .paidDirectly, .anomaly,
            ]
        ) { path throws(Problem) in
            try .checkout(order: path.order)
        },

        Route(
            "explainOrder", .get, ["orders", "explain", .order], tag: .order, effect: .read,
            summary: "Explains what happened to an order",
            notes: "Its state, each attempt to check it out, and each step of those: what, when, with which outcome, and "
                + "why. For a failed one, what would make it succeed. And what its user paid for it directly.",
            answer: .explanation, problems: [.unknownOrder]
        ) { path throws(Problem) in
            try .explain(order: path.order)
        },

        Route(
            "initOrders", .post, ["orders", "batch_init", .count, .items, .users, .price], tag: .order, effect: .write,
            access: .admin, summary: "Makes many orders of two random items each, for random users",
            notes: Route.batchInitNotes, answer: .ordersInitialized, problems: [.overLimit, .openSaga]
        ) { path throws(Problem) in
            try .initOrders(count: path.count, items: path.items, users: path.users, price: path.price)
        },
    ]

    /// The problems of every change to an order's items.
    private static let itemChange: [Problem.Kind] = [
        .unknownOrder, .orderPaid, .orderCheckingOut, .orderReserved, .orderRemoved,
    ]
}
