// What an order's sagas are asked for. A caller is told only of a saga that does what he wants.

import KontorCore

/// What a caller wants of an order.
enum Wish: Hashable {
    case checkout
    /// To hold the stock for so long, milliseconds.
    case reservation(milliseconds: Int64)
    /// To have nothing held.
    case noReservation
}

/// A wish of a request.
struct WishedOrder {
    let order: Identifier
    /// Whose the order must be; nil: whoever's.
    let owner: Identifier?
    let wish: Wish
}

extension ShopRequest {
    /// What the request wants of which order, if a saga does it; a new order has no id yet.
    var wishedOrder: WishedOrder? {
        switch self {
        case .checkout(let order, let owner): WishedOrder(order: order, owner: owner, wish: .checkout)
        case .reserve(let order, let seconds, let owner):
            WishedOrder(order: order, owner: owner, wish: .reservation(milliseconds: seconds * 1_000))
        case .giveBack(let order, let owner): WishedOrder(order: order, owner: owner, wish: .noReservation)
        default: nil
        }
    }

    /// Whether it asks for a checkout: the order tells for good that it had its effect.
    var isKnownByItsOrder: Bool {
        switch self {
        case .checkout: return true
        case .newOrder(let new): return new.checksOut
        default: return false
        }
    }
}
