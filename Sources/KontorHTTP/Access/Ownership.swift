// What a caller that is bound to a user may ask for: what is that user's, and what belongs to nobody.

import KontorCore
import KontorService

extension ShopRequest {
    /// The request as a caller that is bound to this user may make it. Whose an order is only its record tells, so such
    /// a request bears the name of the user, and is decided as if the orders of others were not there.
    func restricted(to user: Identifier) throws(Problem) -> ShopRequest {
        switch self {
        case .ledger(let command) where command.account.kind == .user: try Self.expect(command.account.id, user)
        case .shown(let request): return .shown(try request.restricted(to: user))
        case .newOrder(let new): try Self.expect(new.user, user)
        case .setLines(let order, let lines, let tags, _):
            return .setLines(order: order, lines, tags: tags, owner: user)
        case .createOrder(let named), .pay(let named, _, _), .cancelPayment(let named, _), .paymentStatus(let named, _):
            try Self.expect(named, user)
        case .order(let command): return .order(OrderCommand(command.order, command.operation, owner: user, tags: command.tags))
        case .addItem(let order, let item, let units, _): return .addItem(order: order, item: item, units: units, owner: user)
        case .checkout(let order, _): return .checkout(order: order, owner: user)
        case .reserve(let order, let seconds, _): return .reserve(order: order, seconds: seconds, owner: user)
        case .giveBack(let order, _): return .giveBack(order: order, owner: user)
        case .explain(let order, _): return .explain(order: order, owner: user)
        case .createUser, .newAccount(.user, _, _):
            throw Problem(.forbidden, "Your token is that of one user, and makes no others. Nothing was begun.")
        case .listOrders(let named, let state, let cursor, let bound):
            try Self.expect(named ?? user, user)
            return .listOrders(user: user, state: state, behind: cursor, atMost: bound)
        case .refunds(let order, _): return .refunds(order: order, owner: user)
        case .ledger, .listItems: break
        // They need a scope that no token of a user has, or tell of others.
        case .createItem, .newAccount, .initItems, .initUsers, .initOrders, .refund, .listUsers: throw .forbidden(.admin)
        }
        return self
    }

    private static func expect(_ named: Identifier, _ user: Identifier) throws(Problem) {
        if named != user { throw .unknownUser(named) }
    }
}
