// Reads the arguments of a route: ids, units, money and counts. Every refusal says which value it is about, and what is
// accepted.

import KontorCore
import KontorService

extension Endpoint {
    /// What the shop is asked. Health and documentation ask the shop nothing.
    func request(_ path: PathSegments) throws(Problem) -> ShopRequest {
        switch self {
        case .createItem: return .createItem(price: try path.money(3))
        case .findItem: return .ledger(LedgerCommand(try path.group(.item, 2), .read))
        case .addStock: return .ledger(LedgerCommand(try path.group(.item, 2), .deposit(try path.units(3))))
        case .subtractStock: return .ledger(LedgerCommand(try path.group(.item, 2), .withdraw(try path.units(3))))
        case .initItems:
            return .initItems(count: try path.records(2), stock: try path.unitsOrNone(3), price: try path.money(4))
        case .createUser: return .createUser
        case .findUser: return .ledger(LedgerCommand(try path.group(.user, 2), .read))
        case .addFunds: return .ledger(LedgerCommand(try path.group(.user, 2), .deposit(try path.positiveMoney(3))))
        case .pay: return .ledger(LedgerCommand(try path.group(.user, 2), .withdraw(try path.positiveMoney(3))))
        case .payForOrder:
            let user = try path.group(.user, 2)
            let order = try path.identifier(.order, 3)
            return .ledger(LedgerCommand(user, .payDirectly(order: order, try path.positiveMoney(4))))
        case .cancelPayment:
            return .cancelPayment(user: try path.identifier(.user, 2), order: try path.identifier(.order, 3))
        case .paymentStatus:
            return .paymentStatus(user: try path.identifier(.user, 2), order: try path.identifier(.order, 3))
        case .initUsers: return .initUsers(count: try path.records(2), credit: try path.money(3))
        case .createOrder: return .createOrder(user: try path.identifier(.user, 2))
        case .addItem, .addOneItem:
            let order = try path.identifier(.order, 2)
            let item = try path.identifier(.item, 3)
            return .addItem(order: order, item: item, units: self == .addItem ? try path.units(4) : Amount(1))
        case .removeItem:
            let order = try path.identifier(.order, 2)
            return .order(OrderCommand(order, .removeItem(try path.identifier(.item, 3))))
        case .removeOrder: return .order(OrderCommand(try path.identifier(.order, 2), .remove))
        case .findOrder: return .order(OrderCommand(try path.identifier(.order, 2), .read))
        case .checkout: return .checkout(order: try path.identifier(.order, 2))
        case .explainOrder: return .explain(order: try path.identifier(.order, 2))
        case .initOrders:
            return .initOrders(
                count: try path.records(2), items: try path.candidates("items", 3),
                users: try path.candidates("users", 4), price: try path.money(5))
        case .live, .ready, .openAPI, .docs: throw .unknownRoute
        }
    }
}

extension PathSegments {
    func identifier(_ kind: GroupKey.Kind, _ index: Int) throws(Problem) -> Identifier {
        if let id = Identifier(self[index]) { return id }
        throw .malformed(
            "The \(kind) id is not 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -",
            echoing: self[index])
    }

    func group(_ kind: GroupKey.Kind, _ index: Int) throws(Problem) -> GroupKey {
        GroupKey(kind, try identifier(kind, index))
    }

    func units(_ index: Int) throws(Problem) -> Amount {
        if let amount = Amount.units(self[index]) { return amount }
        throw .malformed(
            "The number of units is not an integer from 1 to \(Limits.unitsPerRequest)", echoing: self[index])
    }

    func unitsOrNone(_ index: Int) throws(Problem) -> Amount {
        if let count = wholeNumber(index, in: 0...Limits.unitsPerRequest) { return Amount(count) }
        throw .malformed("The stock is not an integer from 0 to \(Limits.unitsPerRequest)", echoing: self[index])
    }

    /// Zero is accepted: something may cost nothing.
    func money(_ index: Int) throws(Problem) -> Amount {
        if let amount = Amount.money(self[index]) { return amount }
        throw .malformed(
            "The amount of money is not a number from 0 to \(Limits.moneyHundredths / 100)", echoing: self[index])
    }

    func positiveMoney(_ index: Int) throws(Problem) -> Amount {
        let amount = try money(index)
        if amount > .zero { return amount }
        throw .malformed("The amount of money, rounded to hundredths, is zero; it must be more", echoing: self[index])
    }

    /// How many records a `batch_init` makes.
    func records(_ index: Int) throws(Problem) -> Int {
        if let count = wholeNumber(index, in: 1...Int64(Limits.batchInitRecords)) { return Int(count) }
        throw .malformed("The count is not an integer from 1 to \(Limits.batchInitRecords)", echoing: self[index])
    }

    /// How many items or users a `batch_init` of orders picks from.
    func candidates(_ name: String, _ index: Int) throws(Problem) -> Int {
        if let count = wholeNumber(index, in: 1...Limits.unitsPerRequest) { return Int(count) }
        throw .malformed(
            "The number of \(name) is not an integer from 1 to \(Limits.unitsPerRequest)", echoing: self[index])
    }

    private func wholeNumber(_ index: Int, in bounds: ClosedRange<Int64>) -> Int64? {
        let isPlain = self[index].utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard isPlain, let value = Int64(self[index]), bounds.contains(value) else { return nil }
        return value
    }
}
