// The items, users and orders that clients have made. All clients share them, so that they meet.

/// The ids that clients choose among.
final class Market {
    struct KnownOrder {
        let id: String
        let user: String
        /// The items that were put in.
        var items: [String] = []
    }

    private(set) var items: [String] = []
    private(set) var users: [String] = []
    private(set) var orders: [KnownOrder] = []
    /// The number of orders that `batch_init` made; it replaces them now and then.
    private(set) var batchOrders = 0

    /// - Parameter placed: the order that was placed; nil: none was.
    func learn(_ wish: Wish, _ told: Told, placed: String?) {
        if case .place(let user, let basket) = wish, let id = placed, !orders.contains(where: { $0.id == id }) {
            orders.append(KnownOrder(id: id, user: user, items: basket.units.keys.sorted()))
        }
        switch (wish, told) {
        case (.createItem, .created(let id)): if !items.contains(id) { items.append(id) }
        case (.createUser, .created(let id)): if !users.contains(id) { users.append(id) }
        case (.createOrder(let user), .created(let id)):
            if !orders.contains(where: { $0.id == id }) { orders.append(KnownOrder(id: id, user: user)) }
        case (.addItem(let order, let item, _), .done):
            if let place = orders.firstIndex(where: { $0.id == order }), orders[place].items.count < 10 {
                orders[place].items.append(item)
            }
        case (.initItems(let count, _, _), .done): for number in 0..<count { learn(item: String(number)) }
        case (.initUsers(let count, _), .done): for number in 0..<count { learn(user: String(number)) }
        case (.initOrders(let count, _, _, _), .done): batchOrders = max(batchOrders, count)
        default: break
        }
    }

    private func learn(item: String) { if !items.contains(item) { items.append(item) } }
    private func learn(user: String) { if !users.contains(user) { users.append(user) } }
}

/// Draws the next request of a client.
struct Workload {
    let swarm: Swarm
    let market: Market
    private let total: Int

    init(_ swarm: Swarm, _ market: Market) {
        self.swarm = swarm
        self.market = market
        total = swarm.weights.reduce(0) { $0 + $1.weight }
    }

    func draw(_ random: SeededRandom) -> Wish {
        var place = random.below(total)
        for (kind, weight) in swarm.weights {
            place -= weight
            if place < 0, let wish = wish(kind, random) { return wish }
            if place < 0 { break }
        }
        return .createOrder(user: user(random))
    }

    private func wish(_ kind: WishKind, _ random: SeededRandom) -> Wish? {
        switch kind {
        case .createItem: return .createItem(price: random.within(0...500))
        case .createUser: return .createUser
        case .createOrder: return .createOrder(user: user(random))
        case .place: return place(random)
        case .addStock: return .addStock(item: item(random), amount(random, swarm.stock))
        case .takeStock: return .takeStock(item: item(random), amount(random, swarm.stock))
        case .addCredit: return .addCredit(user: user(random), amount(random, swarm.credit))
        case .initItems:
            let price: Int64 = swarm.price == 0 ? 0 : random.pick([100, 90, 110])
            return .initItems(count: swarm.items, stock: swarm.stock, price: price)
        case .initUsers: return .initUsers(count: swarm.users, credit: swarm.credit)
        case .initOrders:
            guard swarm.batchOrders > 0 else { return nil }
            return .initOrders(
                count: swarm.batchOrders, items: swarm.items, users: swarm.users + swarm.strangers, price: swarm.price)
        case .readItem: return .readItem(item(random))
        case .readUser: return .readUser(user(random))
        default: return wish(kind, aboutOrder: order(random), random)
        }
    }

    private func wish(_ kind: WishKind, aboutOrder order: Market.KnownOrder?, _ random: SeededRandom) -> Wish? {
        guard let order else { return nil }
        switch kind {
        case .payDirectly:
            // Whoever means somebody else's order is refused.
            let payer = random.happens(80) ? order.user : user(random)
            return .payDirectly(user: payer, order: order.id, amount(random, swarm.credit))
        case .cancelPayment:
            return .cancelPayment(user: random.happens(80) ? order.user : user(random), order: order.id)
        case .paymentStatus: return .paymentStatus(user: order.user, order: order.id)
        case .addItem: return .addItem(order: order.id, item: item(random), random.within(1...3))
        case .removeItem: return .removeItem(order: order.id, item: item(random))
        case .removeOrder: return .removeOrder(order.id)
        case .checkout: return .checkout(order.id)
        case .reserve: return .reserve(order: order.id, seconds: random.pick([1, 2, 5]))
        case .giveBack: return .giveBack(order: order.id)
        case .readOrder: return .readOrder(order.id)
        case .refund: return refund(order, random)
        case .listRefunds: return .listRefunds(order.id)
        default: return .explain(order.id)
        }
    }

    private func place(_ random: SeededRandom) -> Wish {
        var basket = Basket()
        for _ in 0...random.below(3) { basket.units[item(random)] = random.within(1...2) }
        return .place(user: user(random), basket)
    }

    /// Draws a refund of all that is left, or of some units, which may be more than that.
    private func refund(_ order: Market.KnownOrder, _ random: SeededRandom) -> Wish {
        let restock = random.happens(80)
        guard random.happens(60) else { return .refund(order: order.id, units: nil, restock: restock) }
        var basket = Basket()
        for _ in 0...random.below(2) {
            let item = order.items.isEmpty || random.happens(10) ? item(random) : random.pick(order.items)
            basket.units[item] = random.within(1...2)
        }
        return .refund(order: order.id, units: basket, restock: restock)
    }

    /// Draws an item, the first one most often.
    private func item(_ random: SeededRandom) -> String {
        market.items[random.happens(50) ? 0 : random.below(market.items.count)]
    }

    private func user(_ random: SeededRandom) -> String { random.pick(market.users) }

    /// Draws an order, the latest ones most often, so that several clients check the same one out.
    private func order(_ random: SeededRandom) -> Market.KnownOrder? {
        if market.batchOrders > 0, market.orders.isEmpty || random.happens(30) {
            return Market.KnownOrder(id: String(random.below(market.batchOrders)), user: user(random))
        }
        guard !market.orders.isEmpty else { return nil }
        let young = min(market.orders.count, random.happens(70) ? 4 : 1_000)
        return market.orders[market.orders.count - 1 - random.below(young)]
    }

    private func amount(_ random: SeededRandom, _ scale: Int64) -> Int64 {
        random.within(1...max(2, scale / random.pick([1, 4, 10])))
    }
}
