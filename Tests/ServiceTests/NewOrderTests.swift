import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("Orders that come with their lines")
struct NewOrderTests {
    private let world = World(seed: 20)
    private let lines = [ItemUnits(item: id("a"), units: Amount(2)), ItemUnits(item: id("b"), units: Amount(1))]

    init() {
        world.item("a", stock: 3, price: 250)
        world.item("b", stock: 9, price: 100)
        world.user("u", credit: 650)
    }

    private func new(_ lines: [ItemUnits]? = nil, user: String = "u", checksOut: Bool = false) -> ShopRequest {
        .shown(.newOrder(NewOrder(user: id(user), lines: lines ?? self.lines, checksOut: checksOut)))
    }

    private func run(_ request: ShopRequest, key: String? = nil) -> ShopAnswer? {
        let caller = world.ask(request, key: key)
        for _ in 0..<10_000 where caller.answer == nil {
            if world.store.isIdle { world.pass(Limits.tickMilliseconds) } else { world.step() }
        }
        return caller.answer
    }

    private func shown(_ answer: ShopAnswer?) throws -> (id: Identifier, order: Order, answer: ShopAnswer) {
        guard case .shown(let id, let order, let inner)? = answer else { throw TestFailure("\(String(describing: answer))") }
        return (id, order, inner)
    }

    @Test("an order has its lines at the prices of now, in one commit, and when it was created")
    func created() throws {
        let made = try shown(run(new()))
        #expect(made.answer == .created(made.id))
        #expect(made.order.total == Amount(600) && made.order.status == .open)
        #expect(made.order.created == world.clock.wallMilliseconds)
        #expect(made.order.lines.map(\.price) == [Amount(250), Amount(100)])
        #expect(try shown(run(new([]))).order.lines.isEmpty)
    }

    @Test("what is not there makes no order, and the answer names it")
    func missing() {
        var before = 0
        world.records.forEach { key, _ in before += key.group.kind == .order ? 1 : 0 }
        #expect(run(new([ItemUnits(item: id("x"), units: Amount(1))])) == .missing(GroupKey(.item, id("x"))))
        #expect(run(new(user: "v")) == .missing(GroupKey(.user, id("v"))))
        let dear = ItemUnits(item: id("a"), units: Amount(Limits.unitsPerRequest))
        world.item("a", stock: 1, price: Limits.moneyHundredths)
        #expect(run(new([dear])) == .order(.overLimit(.cost)))
        world.store.failingLoads = 100
        if case .unavailable? = run(new()) {} else { Issue.record("the items could not be read") }
        world.store.failingLoads = 0
        var after = 0
        world.records.forEach { key, _ in after += key.group.kind == .order ? 1 : 0 }
        #expect(after == before)
    }

    @Test(
        "it is checked out with its creation, under one key, also if that is repeated, after a crash, and while it is refused")
    func placed() throws {
        world.user("u", credit: 0)
        let refused = try shown(run(new(checksOut: true), key: "k"))
        guard case .placed(_, .checkout(.refused(.insufficient(let account, _, _)))) = refused.answer else {
            throw TestFailure("\(refused.answer)")
        }
        #expect(account == GroupKey(.user, id("u")) && refused.order.status == .open)
        #expect(try shown(run(new(checksOut: true), key: "k")).id == refused.id)
        world.user("u", credit: 650)
        let paid = try shown(run(new(checksOut: true), key: "k"))
        #expect(paid.id == refused.id && paid.answer == .placed(paid.id, .checkout(.paid)) && paid.order.status == .paid)
        #expect(paid.order.paidAt != nil)
        world.settle()
        for _ in 0..<2 {
            let again = try shown(run(new(checksOut: true), key: "k"))
            #expect(again.answer == .replayed(.placed(paid.id, .checkout(.paid))))
            world.crashAndRecover()
        }
        #expect(world.account(.user, "u")?.balance == Amount(50))
        world.settle()
        world.expectClean()
    }

    @Test("an order that is placed is never there without its checkout, and one without lines is there all the same")
    func inOneCommit() throws {
        let caller = world.ask(new(checksOut: true), key: "k")
        var statuses: [Order.Status] = []
        for _ in 0..<10_000 where caller.answer == nil {
            world.step()
            world.records.forEach { _, record in
                if case .order(let order) = record, order.status != statuses.last { statuses.append(order.status) }
            }
        }
        #expect(statuses == [.checkingOut, .paid])
        let empty = try shown(run(new([], checksOut: true), key: "l"))
        #expect(empty.order.status == .open && empty.answer == .placed(empty.id, .checkout(.notBegun(.isEmpty))))
        world.settle()
        world.expectClean()
    }

    @Test("a key that was used for other lines is no key for these", arguments: [true, false])
    func reused(checksOut: Bool) throws {
        world.item("b", stock: 0)
        let first = try shown(run(new(checksOut: checksOut), key: "k"))
        let other = new([ItemUnits(item: id("a"), units: Amount(1))], checksOut: checksOut)
        #expect(run(other, key: "k") == .keyed(.usedForAnother))
        #expect(run(new(checksOut: !checksOut), key: "k") != .created(first.id))
        #expect(try shown(run(new(checksOut: checksOut), key: "k")).id == first.id)
    }

    @Test("several at once under one key make one order and pay once")
    func atOnce() throws {
        let callers = (0..<8).map { _ in world.ask(new(checksOut: true), key: "k") }
        world.settle()
        for _ in 0..<40 { world.pass(Limits.tickMilliseconds) }
        world.settle()
        let ids = try callers.map { try shown($0.answer).id }
        #expect(Set(ids).count == 1)
        #expect(world.account(.user, "u")?.balance == Amount(50))
        world.expectClean()
    }

    @Test("lines are replaced if nobody has changed the order since, and never those of a paid one")
    func replaced() throws {
        let made = try shown(run(new()))
        func replace(_ lines: [ItemUnits], tags: [UInt64]?, owner: String? = nil) -> ShopAnswer? {
            run(.shown(.setLines(order: made.id, lines, tags: tags, owner: owner.map { id($0) })))
        }
        world.item("a", stock: 3, price: 300)
        let one = [ItemUnits(item: id("a"), units: Amount(1))]
        let changed = try shown(replace(one, tags: [made.order.tag]))
        #expect(changed.answer == .order(.done) && changed.order.total == Amount(300))
        #expect(replace(lines, tags: [made.order.tag]) == .order(.changedSince))
        #expect(replace(lines, tags: []) == .order(.changedSince))
        #expect(replace(one, tags: nil, owner: "v") == .order(.unknownOrder))
        #expect(replace([ItemUnits(item: id("x"), units: Amount(1))], tags: nil) == .missing(GroupKey(.item, id("x"))))
        #expect(run(.order(OrderCommand(made.id, .remove, tags: [made.order.tag]))) == .order(.changedSince))
        #expect(world.run(.checkout(order: made.id)) == .checkout(.paid))
        #expect(replace(one, tags: nil) == .order(.alreadyPaid))
        #expect(world.account(.user, "u")?.balance == Amount(350))
    }

    @Test("a write of an order that succeeds shows it, and one that is refused is refused as ever")
    func shows() throws {
        let made = try shown(run(new()))
        let paid = try shown(run(.shown(.checkout(order: made.id))))
        #expect(paid.answer == .checkout(.paid) && paid.order.status == .paid)
        #expect(run(.shown(.order(OrderCommand(made.id, .remove)))) == .order(.alreadyPaid))
        #expect(run(.shown(.checkout(order: id("none")))) == .checkout(.notBegun(.unknownOrder)))
    }
}
