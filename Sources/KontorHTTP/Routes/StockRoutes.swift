// The routes of Stock: items, their stock and price.

import KontorCore
import KontorService

/// The table's routes about items.
enum StockRoutes {
    static let all: [Route] = [
        Route(
            "createItem", .post, ["stock", "item", "create", .price], tag: .stock, effect: .write, access: .admin,
            summary: "Creates an item with a price, and none of it in stock", answer: .itemCreated
        ) { path throws(Problem) in
            try .createItem(price: path.price)
        },

        Route(
            "findItem", .get, ["stock", "find", .item], tag: .stock, effect: .read,
            summary: "Shows an item's stock and price", answer: .item, problems: [.unknownItem]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.item, path.item), .read))
        },

        Route(
            "addStock", .post, ["stock", "add", .item, .units], tag: .stock, effect: .write, access: .admin,
            summary: "Adds units to an item's stock", answer: .accountChanged, problems: [.unknownItem, .overLimit]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.item, path.item), .deposit(path.units)))
        },

        Route(
            "subtractStock", .post, ["stock", "subtract", .item, .units], tag: .stock, effect: .write, access: .admin,
            summary: "Takes units from an item's stock", answer: .accountChanged,
            problems: [.unknownItem, .outOfStock, .contended]
        ) { path throws(Problem) in
            try .ledger(LedgerCommand(GroupKey(.item, path.item), .withdraw(path.units)))
        },

        Route(
            "initItems", .post, ["stock", "batch_init", .count, .stock, .price], tag: .stock, effect: .write,
            access: .admin, summary: "Makes many items with a stock and a price", notes: Route.batchInitNotes,
            answer: .itemsInitialized, problems: [.overLimit, .openSaga]
        ) { path throws(Problem) in
            try .initItems(count: path.count, stock: path.stock, price: path.price)
        },
    ]
}

extension Route {
    /// What the three `batch_init` have in common.
    static let batchInitNotes =
        "Those that exist are replaced, so this is for tests and demonstrations. It has no deadline. "
        + "Sent again, it completes what a crash left half done."
}
