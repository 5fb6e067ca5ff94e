// Orders that come with their lines: the prices are read, the order is created in one commit, and checked out if that
// was asked for.

import KontorCore

/// Performs requests that give an order all of its lines.
final class NewOrders {
    private let parts: ShopParts

    init(_ parts: ShopParts) { self.parts = parts }

    /// Creates an order, or finds the one that this request created before, and checks it out if that is asked for.
    /// The request's key is kept with the order if that is all; else with the checkout.
    ///
    /// - Parameters:
    ///   - id: the order's, derived from the key.
    ///   - deadline: monotonic milliseconds.
    func create(
        _ id: Identifier, _ new: NewOrder, _ keyed: KeyedRequest?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        readPrices(of: new.lines, and: new.user, deadline: deadline, answer: answer) { [self] lines in
            var order = Order(
                user: new.user, incarnation: parts.environment.random.next(), created: parts.clock.wallMilliseconds)
            for line in lines {
                if let bound = order.add(line) { return answer(.order(.overLimit(bound))) }
            }
            if new.checksOut { return place(order, as: id, new, keyed?.write, deadline: deadline, answer: answer) }
            parts.orders.submit(OrderCommand(id, .create(order)), keyed: keyed?.write) { [self] reply in
                switch reply {
                case .decided(.done): answer(.created(id))
                case .decided(.orderExists): compare(id, new, answer: answer) { answer(reply.answer) }
                default: answer(reply.answer)
                }
            }
        }
    }

    /// Creates an order and checks it out, or checks out the one that is there.
    private func place(
        _ order: Order, as id: Identifier, _ new: NewOrder, _ keyed: KeyedWrite?, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        let coordinator = parts.orders.coordinator
        let placed: (ShopAnswer) -> Void = { answer(.placed(id, $0)) }
        coordinator.place(order, as: id, keyed: keyed, deadline: deadline) { [self] reply in
            guard case .decided(.orderExists) = reply else { return answer(reply.answer) }
            compare(id, new, answer: answer) {
                coordinator.run(id, .checkout, owner: nil, keyed: keyed, deadline: deadline, callback: placed)
            }
        } callback: {
            placed($0)
        }
    }

    /// Goes on if an order that exists is the one that this request made: others may have used its key.
    private func compare(
        _ id: Identifier, _ new: NewOrder, answer: @escaping (ShopAnswer) -> Void, then: @escaping () -> Void
    ) {
        parts.orders.submit(OrderCommand(id, .inspect)) { reply in
            // It may be this request's: who cannot look knows nothing.
            guard case .decided(.inspected(let order, _)) = reply else { return answer(.unknown) }
            new.makes(order) ? then() : answer(.keyed(.usedForAnother))
        }
    }

    /// Replaces the lines of an order, at the prices of now.
    ///
    /// - Parameter deadline: monotonic milliseconds.
    func setLines(
        of order: Identifier, to lines: [ItemUnits], tags: [UInt64]?, owner: Identifier?, _ keyed: KeyedWrite?,
        deadline: Int64, answer: @escaping (ShopAnswer) -> Void
    ) {
        readPrices(of: lines, and: nil, deadline: deadline, answer: answer) { [self] lines in
            let command = OrderCommand(order, .setLines(lines), owner: owner, tags: tags)
            parts.orders.submit(command, keyed: keyed) { answer($0.answer) }
        }
    }

    /// Reads the items at once, and the user if one is named. Goes on if all are there.
    private func readPrices(
        of lines: [ItemUnits], and user: Identifier?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void,
        then: @escaping ([OrderLine]) -> Void
    ) {
        var found = lines.map { OrderLine(item: $0.item, units: $0.units, price: .zero) }
        var failure: ShopAnswer?
        var pending = lines.count + (user == nil ? 0 : 1)
        if pending == 0 { return then([]) }
        func read(_ account: GroupKey, _ use: @escaping (Account) -> Void) {
            parts.reads.read(account, deadline: deadline) { reply in
                switch reply {
                case .decided(.account(let account)): use(account)
                case .decided: failure = failure ?? .missing(account)
                case .refused(let error): failure = failure ?? .unavailable(error)
                case .unknown, .keyed: failure = failure ?? .unavailable(.unreachable("\(account.kind) ledger"))
                }
                pending -= 1
                guard pending == 0 else { return }
                if let failure { answer(failure) } else { then(found) }
            }
        }
        if let user { read(GroupKey(.user, user)) { _ in } }
        for (index, line) in lines.enumerated() { read(GroupKey(.item, line.item)) { found[index].price = $0.price } }
    }
}

extension NewOrder {
    /// Whether this request made the order: their units are the same. Prices may have changed since.
    func makes(_ order: Order) -> Bool {
        var wanted: [Identifier: Int64] = [:]
        for line in lines { wanted[line.item, default: 0] += line.units.raw }
        for line in order.itemUnits { wanted[line.item, default: 0] -= line.units.raw }
        return order.user == user && wanted.values.allSatisfy { $0 == 0 }
    }
}

extension OrderService {
    /// Adds the order as it is now to the answer of a write that succeeded.
    func show(_ answer: ShopAnswer, of request: ShopRequest, completion: @escaping (ShopAnswer) -> Void) {
        guard let id = answer.orderToShow(of: request) else { return completion(answer) }
        submit(OrderCommand(id, .inspect)) { reply in
            // The write is done; who repeats it is told so, and shown the order then.
            guard case .decided(.inspected(let order, _)) = reply else { return completion(.unknown) }
            completion(.shown(id, order, answer))
        }
    }
}

extension ShopAnswer {
    /// The order to show behind this answer; nil: the write did not succeed.
    fileprivate func orderToShow(of request: ShopRequest) -> Identifier? {
        switch self {
        case .replayed(let first): first.orderToShow(of: request)
        case .created(let id): id
        // Nobody knows what became of its checkout.
        case .placed(_, .unknown): nil
        case .placed(let id, _): id
        case .order(.done): request.ids.first { $0.kind == .order }?.id
        case .checkout(let result) where result.isSuccess: request.ids.first { $0.kind == .order }?.id
        default: nil
        }
    }
}
