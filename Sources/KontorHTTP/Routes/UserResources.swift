// The routes of /v1 about users.

import KontorCore
import KontorService

/// The table's routes about users as resources.
enum UserResources {
    static let all: [Route] = [
        Route(
            "newUser", .post, ["v1", "users"], tag: .payment, summary: "Creates a user",
            notes: "Credit from the start makes money of nothing: it is for those with the scope admin, or refused.",
            answer: .userMade,
            body: create),

        Route(
            "listUsers", ["v1", "users"], tag: .payment, summary: "Lists users",
            notes: "A token that is bound to a user lists none.", answer: .usersListed, query: [.limit, .cursor]
        ) { _, query throws(Problem) in
            try .listUsers(behind: query.cursor(), atMost: query.limit())
        },

        Route(
            "getUser", .get, ["v1", "users", .user], tag: .payment, effect: .read, summary: "Shows a user",
            answer: .userShown, problems: [.unknownUser]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.user, path.user), .read))
        },

        Route(
            "adjustUser", .post, ["v1", "users", .user, "adjustments"], tag: .payment, access: .admin,
            summary: "Adds to a user's credit, or takes something away", answer: .creditAdjusted,
            problems: [.unknownUser, .outOfCredit, .contended, .overLimit], body: adjust),
    ]

    private static let create = RouteBody(
        schema: (
            "NewUser",
            OpenAPISchemas.strict(["credit": OpenAPISchemas.reference("MoneyInput")], optional: ["credit"]),
            ["credit": "100.00"]
        ), isOptional: true
    ) { _, fields, _ throws(Problem) in
        BodyRequest(request: .newAccount(.user, price: .zero, balance: try fields.moneyOrNone("credit")))
    }

    private static let adjust = RouteBody(
        schema: (
            "CreditAdjustment",
            OpenAPISchemas.strict(
                ["amount": OpenAPISchemas.reference("MoneyChange"), "reason": OpenAPISchemas.reason], optional: ["reason"]),
            ["amount": "-7.25", "reason": "paid twice"]
        )
    ) { path, fields, _ throws(Problem) in
        let amount = try fields.change("amount")
        return BodyRequest(
            request: .ledger(.adjustment(of: GroupKey(.user, try path.user), by: amount)), reason: try fields.reason())
    }
}
