// The routes of /v1 about orders.

import KontorCore
import KontorService

/// The table's routes about orders as resources.
enum OrderResources {
    static let all: [Route] = [
        Route(
            "placeOrder", .post, ["v1", "orders"], tag: .order, summary: "Creates an order with its lines",
            notes: "With \"checkout\": true it is checked out at once; that needs an Idempotency-Key. It is 201 whenever the "
                + "order is there, and checkout_problem says why it is not paid. The key is kept once it is paid: the same "
                + "request, sent again before that, finds the order and checks it out again.",
            answer: .orderMade, problems: [.unknownUser, .unknownItem, .overLimit], body: create),

        Route(
            "listOrders", ["v1", "orders"], tag: .order, summary: "Lists orders, the newest first",
            notes: "An order that is there all the time is listed exactly once. A cursor stays valid.", answer: .ordersListed,
            query: [.user, .state, .limit, .cursor]
        ) { _, query throws(Problem) in
            try .listOrders(
                user: query.user(), state: query.state(), behind: query.cursor(), atMost: query.limit())
        },

        Route(
            "getOrder", .get, ["v1", "orders", .order], tag: .order, effect: .read, summary: "Shows an order",
            answer: .orderShown, problems: [.unknownOrder]
        ) { path throws(Problem) in
            try .order(OrderCommand(path.order, .inspect))
        },

        Route(
            "removeOpenOrder", .delete, ["v1", "orders", .order], tag: .order, summary: "Removes an open order",
            notes: "Removing it again: 200, no further effect.", answer: .orderShown,
            problems: [.unknownOrder, .orderPaid, .orderCheckingOut, .orderReserved],
            body: RouteBody(takesTags: true) { path, _, context throws(Problem) in
                BodyRequest(request: .shown(.order(OrderCommand(try path.order, .remove, tags: context.tags))))
            }),

        Route(
            "replaceLines", .put, ["v1", "orders", .order, "lines"], tag: .order,
            summary: "Replaces the lines of an open order",
            notes: "At the prices of now. With If-Match only if nobody has changed the order since.", answer: .orderShown,
            problems: [.unknownOrder, .unknownItem, .orderPaid, .orderCheckingOut, .orderReserved, .orderRemoved, .overLimit],
            body: replaceLines),

        Route(
            "checkOutOrder", .post, ["v1", "orders", .order, "checkout"], tag: .order,
            summary: "Checks an order out: takes its items from the stock and its total from the user's credit, or nothing",
            notes: "200 once it is paid, and on a paid order again, without a further effect.", answer: .orderShown,
            problems: [
                .overLimit, .unknownOrder, .unknownItem, .unknownUser, .outOfStock, .outOfCredit, .contended, .orderEmpty,
                .orderRemoved, .orderRefunded, .paidDirectly, .anomaly,
            ],
            body: RouteBody { path, _, _ throws(Problem) in
                BodyRequest(request: .shown(.checkout(order: try path.order)))
            }),

        Route(
            "reserveOrder", .post, ["v1", "orders", .order, "reservation"], tag: .order,
            summary: "Holds what an order needs for some time",
            notes: "Nobody else gets it meanwhile, and a checkout takes it over. Again: holds it for longer, if the new time "
                + "ends later. The credit is not looked at before the checkout.", answer: .orderShown,
            problems: [
                .overLimit, .unknownOrder, .unknownItem, .outOfStock, .contended, .orderEmpty, .orderPaid, .orderRemoved,
                .orderRefunded, .anomaly,
            ], body: reserve),

        Route(
            "giveReservationBack", .delete, ["v1", "orders", .order, "reservation"], tag: .order,
            summary: "Gives back what is held for an order", notes: "Where nothing is held: 200, no effect.",
            answer: .orderShown, problems: [.unknownOrder, .orderPaid, .orderRemoved, .overLimit],
            body: RouteBody { path, _, _ throws(Problem) in
                BodyRequest(request: .shown(.giveBack(order: try path.order)))
            }),

        Route(
            "refundOrder", .post, ["v1", "orders", .order, "refunds"], tag: .order, access: .admin,
            summary: "Gives back what an order, or some of its lines, cost",
            notes: "The user is credited, and the units are in stock again unless restock is false. Without lines: all that "
                + "is not refunded yet. Exactly once: with an Idempotency-Key a repetition gets the same refund.",
            answer: .refundMade,
            problems: [
                .unknownOrder, .orderNotPaid, .orderRemoved, .orderCheckingOut, .nothingToRefund, .refundExceeds, .unknownItem,
                .unknownUser,
                .overLimit,
            ], body: refund),

        Route(
            "listRefunds", .get, ["v1", "orders", .order, "refunds"], tag: .order, effect: .read,
            summary: "Lists the refunds of an order, the oldest first", answer: .refundsListed, problems: [.unknownOrder]
        ) { path throws(Problem) in
            try .refunds(order: path.order)
        },

        Route(
            "orderTimeline", .get, ["v1", "orders", .order, "timeline"], tag: .order, effect: .read,
            summary: "Tells what happened to an order, step by step", answer: .timeline, problems: [.unknownOrder]
        ) { path throws(Problem) in
            try .explain(order: path.order)
        },
    ]

    private static let create = RouteBody(
        schema: (
            "NewOrder",
            OpenAPISchemas.strict(
                [
                    "user_id": OpenAPISchemas.reference("Id"), "lines": OpenAPISchemas.wantedLines,
                    "checkout": ["type": "boolean", "default": false],
                ], optional: ["checkout"]),
            ["user_id": "7", "lines": [["item_id": "3", "units": 2]], "checkout": false]
        )
    ) { _, fields, context throws(Problem) in
        let user = try fields.identifier("user_id")
        let lines = try fields.lines("lines")
        let checksOut = try fields.bool("checkout", default: false)
        if checksOut && !context.hasKey {
            throw .invalid(
                "A checkout with the order needs an Idempotency-Key, so that it can be repeated safely", at: "/checkout")
        }
        return BodyRequest(request: .shown(.newOrder(NewOrder(user: user, lines: lines, checksOut: checksOut))))
    }

    private static let reserve = RouteBody(
        schema: (
            "NewReservation",
            OpenAPISchemas.strict([
                "seconds": ["type": "integer", "minimum": 1, "maximum": .integer(Limits.reservationSeconds)]
            ]), ["seconds": 600]
        )
    ) { path, fields, _ throws(Problem) in
        let seconds = try fields.integer("seconds", in: 1...Limits.reservationSeconds)
        return BodyRequest(request: .shown(.reserve(order: try path.order, seconds: seconds)))
    }

    private static let refund = RouteBody(
        schema: (
            "NewRefund",
            OpenAPISchemas.strict(
                [
                    "lines": OpenAPISchemas.wantedLines.with(["minItems": 1]), "restock": ["type": "boolean", "default": true],
                    "reason": OpenAPISchemas.reason,
                ], optional: ["lines", "restock", "reason"]),
            ["lines": [["item_id": "3", "units": 1]], "reason": "broken on arrival"]
        ), isOptional: true
    ) { path, fields, _ throws(Problem) in
        let lines = try fields.linesOrNone("lines")
        if lines?.isEmpty == true { throw .invalid("There are no lines: leave them out to refund all", at: "/lines") }
        let restock = try fields.bool("restock", default: true)
        let reason = try fields.reason()
        return BodyRequest(
            request: .refund(order: try path.order, lines: lines, restock: restock, reason: reason), reason: reason)
    }

    private static let replaceLines = RouteBody(
        schema: (
            "Lines", OpenAPISchemas.strict(["lines": OpenAPISchemas.wantedLines]),
            ["lines": [["item_id": "3", "units": 2]]]
        ), takesTags: true
    ) { path, fields, context throws(Problem) in
        let lines = try fields.lines("lines")
        return BodyRequest(request: .shown(.setLines(order: try path.order, lines, tags: context.tags)))
    }
}
