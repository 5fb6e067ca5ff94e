// The description of each route. The switch is exhaustive, so a route cannot be added without one.

extension Endpoint {
    var description: RouteDescription {
        var description = ownDescription
        if isAdmin {
            description.problems.append(.unknownRoute)
            description.notes += description.notes.isEmpty ? "" : " "
            description.notes += "With --admin-api off it is served on the operators' port only."
        }
        return description
    }

    private var ownDescription: RouteDescription {
        switch self {
        case .createItem: return .createItem
        case .findItem: return .findItem
        case .addStock: return .addStock
        case .subtractStock: return .subtractStock
        case .initItems: return .initItems
        case .createUser: return .createUser
        case .findUser: return .findUser
        case .addFunds: return .addFunds
        case .pay: return .pay
        case .payForOrder: return .payForOrder
        case .cancelPayment: return .cancelPayment
        case .paymentStatus: return .paymentStatus
        case .initUsers: return .initUsers
        case .createOrder: return .createOrder
        case .addItem: return .addItem
        case .addOneItem: return .addOneItem
        case .removeItem: return .removeItem
        case .removeOrder: return .removeOrder
        case .findOrder: return .findOrder
        case .checkout: return .checkout
        case .explainOrder: return .explainOrder
        case .initOrders: return .initOrders
        case .live: return .live
        case .ready: return .ready
        case .openAPI: return .openAPI
        case .docs: return .docs
        }
    }
}

// MARK: Orders

extension RouteDescription {
    fileprivate static let createOrder = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "create", .user],
        summary: "Creates an empty order for a user", answer: .orderCreated, problems: [.unknownUser])

    fileprivate static let addItem = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "addItem", .order, .item, .units],
        summary: "Adds units of an item to an order",
        notes: "The price is taken now. Calls at the same time add up; none is lost.",
        answer: .done, problems: itemChange + [.unknownItem, .overLimit])

    fileprivate static let addOneItem = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "addItem", .order, .item],
        summary: "Adds one unit of an item to an order", notes: "The price is taken now.",
        answer: .done, problems: itemChange + [.unknownItem, .overLimit])

    fileprivate static let removeItem = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "removeItem", .order, .item],
        summary: "Removes one unit of an item from an order", answer: .done, problems: itemChange + [.itemNotInOrder])

    fileprivate static let removeOrder = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "remove", .order],
        summary: "Deletes an order that is not paid", notes: "Deleting it again: 200, no further effect.",
        answer: .done, problems: [.unknownOrder, .orderPaid, .orderCheckingOut])

    fileprivate static let findOrder = RouteDescription(
        tag: .order, effect: .read, path: ["orders", "find", .order],
        summary: "Shows an order", answer: .order, problems: [.unknownOrder])

    fileprivate static let checkout = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "checkout", .order],
        summary: "Checks an order out: takes its items from the stock and its cost from the user's credit, or nothing",
        notes: "200 once it is paid, and on a paid order again, without a further effect. While a checkout of this order "
            + "runs, the request joins it and gets its outcome. An order that was refused can be checked out again, "
            + "after stock or funds were added.",
        answer: .checkedOut,
        problems: [
            .overLimit, .unknownOrder, .unknownItem, .unknownUser, .outOfStock, .outOfCredit, .contended, .orderEmpty,
            .anomaly,
        ])

    fileprivate static let explainOrder = RouteDescription(
        tag: .order, effect: .read, path: ["orders", "explain", .order],
        summary: "Explains what happened to an order",
        notes: "Its state, each attempt to check it out, and each step of those: what, when, with which outcome, and why. "
            + "For a failed one, what would make it succeed.",
        answer: .explanation, problems: [.unknownOrder])

    fileprivate static let initOrders = RouteDescription(
        tag: .order, effect: .write, path: ["orders", "batch_init", .count, .items, .users, .price],
        summary: "Makes many orders of two random items each, for random users", notes: batchInitNotes,
        answer: .ordersInitialized, problems: [.overLimit, .openSaga])

    private static let itemChange: [Problem.Kind] = [.unknownOrder, .orderPaid, .orderCheckingOut, .orderRemoved]

    private static let batchInitNotes =
        "Those that exist are replaced, so this is for tests and demonstrations. It has no deadline. "
        + "Sent again, it completes what a crash left half done."
}

// MARK: Payment

extension RouteDescription {
    fileprivate static let createUser = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "create_user"],
        summary: "Creates a user without credit", answer: .userCreated)

    fileprivate static let findUser = RouteDescription(
        tag: .payment, effect: .read, path: ["payment", "find_user", .user],
        summary: "Shows a user's credit", answer: .user, problems: [.unknownUser])

    fileprivate static let addFunds = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "add_funds", .user, .amount],
        summary: "Adds to a user's credit", answer: .done, problems: [.unknownUser, .overLimit])

    fileprivate static let pay = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "pay", .user, .amount],
        summary: "Takes an amount from a user's credit", answer: .done,
        problems: [.unknownUser, .outOfCredit, .contended])

    fileprivate static let payForOrder = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "pay", .user, .order, .amount],
        summary: "Takes an amount from a user's credit, and records it for an order",
        notes: "Such a direct payment does not pay the order: the checkout does that. It can be cancelled.",
        answer: .done, problems: [.unknownUser, .outOfCredit, .contended, .paidDirectly])

    fileprivate static let cancelPayment = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "cancel", .user, .order],
        summary: "Gives a direct payment for an order back, once",
        notes: "Cancelling it again: 200, no further effect. What a checkout paid cannot be cancelled.",
        answer: .done, problems: [.unknownUser, .noDirectPayment, .paidByCheckout, .overLimit])

    fileprivate static let paymentStatus = RouteDescription(
        tag: .payment, effect: .read, path: ["payment", "status", .user, .order],
        summary: "Tells whether a user paid for an order",
        notes: "By a checkout, or by a direct payment that was not cancelled. GET and POST do the same.",
        answer: .paymentStatus, problems: [.unknownUser])

    fileprivate static let initUsers = RouteDescription(
        tag: .payment, effect: .write, path: ["payment", "batch_init", .count, .credit],
        summary: "Makes many users with a credit", notes: batchInitNotes,
        answer: .usersInitialized, problems: [.overLimit, .openSaga])
}

// MARK: Stock

extension RouteDescription {
    fileprivate static let createItem = RouteDescription(
        tag: .stock, effect: .write, path: ["stock", "item", "create", .price],
        summary: "Creates an item with a price, and none of it in stock", answer: .itemCreated)

    fileprivate static let findItem = RouteDescription(
        tag: .stock, effect: .read, path: ["stock", "find", .item],
        summary: "Shows an item's stock and price", answer: .item, problems: [.unknownItem])

    fileprivate static let addStock = RouteDescription(
        tag: .stock, effect: .write, path: ["stock", "add", .item, .units],
        summary: "Adds units to an item's stock", answer: .done, problems: [.unknownItem, .overLimit])

    fileprivate static let subtractStock = RouteDescription(
        tag: .stock, effect: .write, path: ["stock", "subtract", .item, .units],
        summary: "Takes units from an item's stock", answer: .done,
        problems: [.unknownItem, .outOfStock, .contended])

    fileprivate static let initItems = RouteDescription(
        tag: .stock, effect: .write, path: ["stock", "batch_init", .count, .stock, .price],
        summary: "Makes many items with a stock and a price", notes: batchInitNotes,
        answer: .itemsInitialized, problems: [.overLimit, .openSaga])
}

// MARK: Operations

extension RouteDescription {
    fileprivate static let live = RouteDescription(
        tag: .operations, effect: .none, path: ["health", "live"],
        summary: "Tells that the process lives", answer: .live)

    fileprivate static let ready = RouteDescription(
        tag: .operations, effect: .none, path: ["health", "ready"],
        summary: "Tells whether requests can be served now", answer: .ready, problems: [.notReady])

    fileprivate static let openAPI = RouteDescription(
        tag: .operations, effect: .none, path: ["openapi.json"],
        summary: "This description of the API", answer: .openAPI)

    fileprivate static let docs = RouteDescription(
        tag: .operations, effect: .none, path: ["docs"],
        summary: "The same as a page for people", answer: .page)
}
