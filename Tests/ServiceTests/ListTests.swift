// Pages of lists: what they show, where they end, and how much work one of them is.

import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("Pages of lists")
struct ListTests {
    private func page(_ answer: ShopAnswer?) -> (ids: [Identifier], next: ListCursor?) {
        switch answer {
        case .listedOrders(let orders, let next)?: return (orders.map(\.id), next)
        case .listedAccounts(let accounts, let next)?: return (accounts.map(\.id), next)
        default:
            Issue.record("no page: \(String(describing: answer))")
            return ([], nil)
        }
    }

    /// All pages of a list of orders, and how many there were.
    private func all(
        _ world: World, user: String? = nil, state: OrderState? = nil, atMost bound: Int
    ) -> (ids: [Identifier], pages: Int) {
        var found: [Identifier] = []
        var next: ListCursor?
        var pages = 0
        repeat {
            let request = ShopRequest.listOrders(user: user.map(id), state: state, behind: next, atMost: bound)
            let page = page(world.run(request))
            #expect(page.ids.count <= bound)
            found += page.ids
            next = page.next
            pages += 1
        } while next != nil && pages < 1_000
        return (found, pages)
    }

    private func world() -> World {
        let world = World(seed: 4)
        world.item("a", stock: 1_000)
        world.user("u", credit: 1_000_000)
        world.user("v", credit: 1_000_000)
        return world
    }

    @Test("the newest orders come first, of a user or of all, and states are told apart")
    func states() {
        let world = world()
        var orders: [Identifier] = []
        for number in 0..<20 {
            orders.append(world.order(number % 2 == 0 ? "u" : "v", ["a"]))
            world.clock.monotonicMilliseconds += number % 3 == 0 ? 0 : 1
        }
        for order in orders.prefix(5) { world.run(.checkout(order: order)) }
        world.run(.order(OrderCommand(orders[19], .remove)))
        for bound in [1, 3, 200] {
            let found = all(world, atMost: bound)
            #expect(Set(found.ids) == Set(orders) && found.ids.count == orders.count)
            // Of one millisecond there are two, in the order of their ids.
            #expect(found.ids.first.map { orders.suffix(2).contains($0) } == true)
            #expect(found.ids.last.map { orders.prefix(2).contains($0) } == true)
            #expect(Set(all(world, user: "u", atMost: bound).ids) == Set(stride(from: 0, to: 20, by: 2).map { orders[$0] }))
            #expect(Set(all(world, state: .paid, atMost: bound).ids) == Set(orders.prefix(5)))
            #expect(Set(all(world, user: "v", state: .paid, atMost: bound).ids) == [orders[1], orders[3]])
            #expect(all(world, state: .removed, atMost: bound).ids == [orders[19]])
            #expect(all(world, state: .open, atMost: bound).ids.count == 14)
            #expect(all(world, state: .checkingOut, atMost: bound).ids == [])
            #expect(all(world, user: "nobody", atMost: bound).ids == [])
        }
    }

    @Test("items and users are listed with what they have")
    func accounts() {
        let world = world()
        world.run(.initItems(count: 12, stock: Amount(3), price: Amount(4)))
        guard case .listedAccounts(let items, let next)? = world.run(.listItems(behind: nil, atMost: 10)) else {
            Issue.record("no page")
            return
        }
        // The shortest ids first.
        #expect(items.map(\.id.text) == (0..<10).map(String.init))
        #expect(
            items.filter { $0.id.text != "a" }.allSatisfy { $0.account.balance == Amount(3) && $0.account.price == Amount(4) })
        let rest = page(world.run(.listItems(behind: next, atMost: 10)))
        #expect((items.map(\.id) + rest.ids).map(\.text).sorted() == (["a"] + (0..<12).map(String.init)).sorted())
        #expect(rest.next == nil)
        #expect(page(world.run(.listUsers(behind: nil, atMost: 1))).ids == [id("u")])
    }

    @Test("what is checked out is found by its open work, the newest first")
    func checkingOut() {
        let world = world()
        world.item("rare", stock: 1)
        // Their holds wait for what another saga holds, so they stay open.
        let rare = GroupKey(.item, id("rare"))
        var loaded = world.records.load(ReadSet(rare))
        guard case .account(var account)? = loaded.head else { return }
        account.held = Amount(1)
        loaded.head = .account(account)
        let held = GroupChange(
            group: rare, expected: loaded.version, writes: [(.head, loaded.head), (.hold(saga(9)), hold(1))])
        world.records.commit([held]) { _ in }
        var orders: [Identifier] = []
        for number in 0..<7 {
            orders.append(world.order(number % 2 == 0 ? "u" : "v", ["rare"]))
            world.clock.monotonicMilliseconds += 2
        }
        let callers = orders.map { world.ask(.checkout(order: $0), within: 30_000) }
        for _ in 0..<2_000 where !world.store.isIdle { world.step() }
        #expect(callers.allSatisfy { $0.answer == nil })
        func list(_ user: String?, behind cursor: ListCursor?, _ bound: Int) -> (ids: [Identifier], next: ListCursor?) {
            let caller = world.ask(.listOrders(user: user.map(id), state: .checkingOut, behind: cursor, atMost: bound))
            for _ in 0..<2_000 where caller.answer == nil { world.step() }
            return page(caller.answer)
        }
        let first = list(nil, behind: nil, 3)
        #expect(first.ids == [orders[6], orders[5], orders[4]])
        let second = list(nil, behind: first.next, 3)
        #expect(second.ids == [orders[3], orders[2], orders[1]])
        let third = list(nil, behind: second.next, 3)
        #expect(third.ids == [orders[0]] && third.next == nil)
        #expect(list("v", behind: nil, 200).ids == [orders[5], orders[3], orders[1]])
    }

    @Test("a page looks at a bounded number of orders, and at a bounded number of lines")
    func bounds() {
        let world = world()
        let count = Limits.listPage * Limits.listReads + 50
        world.run(.initOrders(count: count, items: 1, users: 1, price: Amount(1)))
        let first = page(world.run(.listOrders(user: nil, state: .paid, behind: nil, atMost: 5)))
        #expect(first.ids.isEmpty && first.next != nil, "it is short, and goes on")
        let second = page(world.run(.listOrders(user: nil, state: .paid, behind: first.next, atMost: 5)))
        #expect(second.ids.isEmpty && second.next == nil)
        let found = all(world, atMost: 200)
        #expect(found.ids.count == count && Set(found.ids).count == count)
        #expect(found.pages == count / 200 + 1)
    }

    @Test("orders with many lines make a page short")
    func lines() {
        let world = world()
        let line = (0..<Limits.orderLines).map { OrderLine(item: Identifier(number: $0), units: Amount(1), price: .zero) }
        for number in 0..<40 {
            var order = Order(user: id("u"), incarnation: 1, created: Int64(number))
            order.lines = line
            let group = GroupKey(.order, Identifier(number: number))
            world.records.commit(
                [
                    GroupChange(
                        group: group, expected: .absent,
                        writes: [(.head, .order(order)), (.listed(order.listEntry), .listed)])
                ]
            ) { _ in }
        }
        let first = page(world.run(.listOrders(user: id("u"), state: nil, behind: nil, atMost: 200)))
        #expect(first.ids.count == (Limits.listLines + Limits.orderLines - 1) / Limits.orderLines && first.next != nil)
        #expect(all(world, atMost: 200).ids.count == 40)
    }

    @Test("what cannot be read is not left out: the page is refused")
    func refused() {
        let world = world()
        for _ in 0..<5 { _ = world.order("u", []) }
        world.store.failingLoads = 1
        let answer = world.run(.listOrders(user: id("u"), state: nil, behind: nil, atMost: 3))
        #expect(answer == .unavailable(.unreachable("the test")))
        #expect(page(world.run(.listOrders(user: id("u"), state: nil, behind: nil, atMost: 3))).ids.count == 3)
    }

    @Test("many pages that are asked for at once are read a few at a time, and all are answered")
    func crowd() {
        let world = world()
        for _ in 0..<30 { _ = world.order("u", []) }
        let callers = (0..<100).map { _ in world.ask(.listOrders(user: nil, state: nil, behind: nil, atMost: 7)) }
        #expect(callers.allSatisfy { $0.answer == nil })
        world.settle()
        for caller in callers { #expect(page(caller.answer).ids.count == 7) }
        let late = (0..<20).map { _ in world.ask(.listUsers(behind: nil, atMost: 1), within: 0) }
        world.settle()
        for caller in late {
            #expect(caller.answer == .unavailable(.unreachable("the list is not read in time")))
        }
    }
}
