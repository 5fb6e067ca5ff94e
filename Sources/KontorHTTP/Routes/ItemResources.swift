// The routes of /v1 about items.

import KontorCore
import KontorService

/// The table's routes about items as resources.
enum ItemResources {
    static let all: [Route] = [
        Route(
            "newItem", .post, ["v1", "items"], tag: .stock, access: .admin, summary: "Creates an item",
            answer: .itemMade, body: create),

        Route(
            "listItems", ["v1", "items"], tag: .stock, summary: "Lists items", answer: .itemsListed,
            query: [.limit, .cursor]
        ) { _, query throws(Problem) in
            try .listItems(behind: query.cursor(), atMost: query.limit())
        },

        Route(
            "getItem", .get, ["v1", "items", .item], tag: .stock, effect: .read, summary: "Shows an item",
            answer: .itemShown, problems: [.unknownItem]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.item, path.item), .read))
        },

        Route(
            "adjustItem", .post, ["v1", "items", .item, "adjustments"], tag: .stock, access: .admin,
            summary: "Adds units to an item's stock, or takes some away", answer: .stockAdjusted,
            problems: [.unknownItem, .outOfStock, .contended, .overLimit], body: adjust),
    ]

    private static let create = RouteBody(
        schema: (
            "NewItem",
            OpenAPISchemas.strict(
                [
                    "price": OpenAPISchemas.reference("MoneyInput"),
                    "stock": ["type": "integer", "minimum": 0, "maximum": .integer(Limits.unitsPerRequest)],
                ], optional: ["stock"]), ["price": "7.25", "stock": 100]
        )
    ) { _, fields, _ throws(Problem) in
        let price = try fields.money("price")
        let stock = try fields.integer("stock", in: 0...Limits.unitsPerRequest, default: 0)
        return BodyRequest(request: .newAccount(.item, price: price, balance: Amount(stock)))
    }

    private static let adjust = RouteBody(
        schema: (
            "StockAdjustment",
            OpenAPISchemas.strict(
                [
                    "units": [
                        "description": "What is added, or with a minus taken away; not 0.",
                        "anyOf": [
                            ["type": "integer", "minimum": 1, "maximum": .integer(Limits.unitsPerRequest)],
                            ["type": "integer", "minimum": .integer(-Limits.unitsPerRequest), "maximum": -1],
                        ],
                    ], "reason": OpenAPISchemas.reason,
                ], optional: ["reason"]), ["units": -3, "reason": "broken on arrival"]
        )
    ) { path, fields, _ throws(Problem) in
        let units = try fields.integer("units", in: -Limits.unitsPerRequest...Limits.unitsPerRequest)
        if units == 0 { throw .invalid("The number of units is zero, which changes nothing", at: "/units") }
        return BodyRequest(
            request: .ledger(.adjustment(of: GroupKey(.item, try path.item), by: Amount(units))), reason: try fields.reason())
    }
}

extension LedgerCommand {
    /// Puts an amount in, or takes it out if it is negative.
    static func adjustment(of account: GroupKey, by amount: Amount) -> LedgerCommand {
        LedgerCommand(account, amount > .zero ? .deposit(amount) : .withdraw(Amount(-amount.raw)))
    }
}
