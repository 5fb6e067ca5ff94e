// "An order is paid once", as clients see it: direct payments beside checkouts, one process.

import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("An order is paid once")
struct PaymentTests {
    private func world(seed: UInt64 = 4, price: Int64 = 100) -> World {
        let world = World(seed: seed)
        world.item("a", stock: 5, price: price)
        world.user("u", credit: 1_000)
        world.user("v", credit: 1_000)
        return world
    }

    private func pay(_ order: Identifier, _ amount: Int64 = 100, by user: String = "u") -> ShopRequest {
        .pay(user: id(user), order: order, Amount(amount))
    }

    private func status(_ order: Identifier, _ user: String = "u") -> ShopRequest {
        .paymentStatus(user: id(user), order: order)
    }

    private func cancel(_ order: Identifier, _ user: String = "u") -> ShopRequest {
        .cancelPayment(user: id(user), order: order)
    }

    private func explain(_ world: World, _ order: Identifier) -> Explanation? {
        if case .explanation(let explanation)? = world.run(.explain(order: order)) { explanation } else { nil }
    }

    @Test("a checkout of an order that was paid directly is refused, until the payment is cancelled")
    func checkoutAfterPayment() {
        let world = world()
        let order = world.order("u", ["a"])
        #expect(world.run(pay(order)) == .ledger(.done))
        #expect(world.status(order) == .open)
        #expect(world.run(.checkout(order: order)) == .checkout(.refused(.paidDirectly(order: order))))
        #expect(world.account(.user, "u")?.balance == Amount(900))
        #expect(world.account(.item, "a")?.balance == Amount(5))
        #expect(world.run(cancel(order)) == .ledger(.done))
        #expect(world.run(.checkout(order: order)) == .checkout(.paid))
        #expect(world.account(.user, "u")?.balance == Amount(900))
        world.expectClean()
    }

    @Test("a payment for an order that a checkout paid is refused, also for want of credit, and so is its cancellation")
    func paymentAfterCheckout() {
        let world = world()
        let order = world.order("u", ["a"])
        world.run(.checkout(order: order))
        #expect(world.run(pay(order)) == .paidByCheckout)
        #expect(world.run(pay(order, 1_000_000)) == .paidByCheckout, "more credit would not help")
        #expect(world.run(status(order)) == .paymentStatus(isPaid: true))
        #expect(world.run(cancel(order)) == .paidByCheckout)
        #expect(world.account(.user, "u")?.balance == Amount(900))
        world.expectClean()
    }

    @Test("a checkout and a payment at once: one of them charges", arguments: 1...60)
    func race(seed: UInt64) {
        let world = world(seed: seed)
        let order = world.order("u", ["a"])
        let before = world.ask(.checkout(order: order))
        let payment = world.ask(pay(order))
        let after = world.ask(.checkout(order: order))
        world.settle()
        while !world.store.isIdle { world.step() }
        let isPaidDirectly = payment.answer == .ledger(.done)
        #expect((world.status(order) == .paid) != isPaidDirectly)
        #expect(before.answer != nil && after.answer != nil)
        #expect(world.account(.user, "u")?.balance == Amount(900))
        #expect(world.account(.item, "a")?.balance == Amount(isPaidDirectly ? 5 : 4))
        world.expectClean()
    }

    @Test("an order for nothing that was paid directly is not checked out either")
    func freeOrder() {
        let world = world(price: 0)
        let order = world.order("u", ["a"])
        #expect(world.run(pay(order)) == .ledger(.done))
        #expect(world.run(.checkout(order: order)) == .checkout(.refused(.paidDirectly(order: order))))
        world.run(cancel(order))
        #expect(world.run(.checkout(order: order)) == .checkout(.paid))
        #expect(world.account(.user, "u")?.balance == Amount(1_000))
        world.expectClean()
    }

    @Test("an order for nothing of a user who does not exist is not paid")
    func freeOrderOfNobody() {
        let world = world(price: 0)
        world.run(.initItems(count: 1, stock: Amount(5), price: .zero))
        world.run(.initOrders(count: 1, items: 1, users: 1, price: .zero))
        let user = GroupKey(.user, id("0"))
        #expect(world.run(.checkout(order: id("0"))) == .checkout(.refused(.unknownAccount(user))))
        #expect(world.account(.item, "0")?.balance == Amount(5))
        world.expectClean()
    }

    @Test("there is nothing to pay for an order that is not there, that was removed, or that is another user's")
    func noOrder() {
        let world = world()
        let order = world.order("u", ["a"])
        #expect(world.run(pay(id("nothing"))) == .order(.unknownOrder))
        #expect(world.run(status(id("nothing"))) == .paymentStatus(isPaid: false))
        #expect(world.run(pay(order, by: "v")) == .orderOfAnotherUser)
        #expect(world.run(pay(order, by: "nobody")) == .ledger(.unknownAccount))
        world.run(.order(OrderCommand(order, .remove)))
        #expect(world.run(pay(order)) == .order(.isRemoved))
        #expect(world.run(.checkout(order: order)) == .checkout(.notBegun(.isRemoved)))
        #expect(world.account(.user, "u")?.balance == Amount(1_000))
        world.expectClean()
    }

    @Test("a removed order leaves its payment cancellable, and counts as not paid")
    func removedOrder() {
        let world = world()
        let order = world.order("u", ["a"])
        world.run(pay(order))
        #expect(world.run(.order(OrderCommand(order, .remove))) == .order(.done))
        #expect(world.run(status(order)) == .paymentStatus(isPaid: false))
        #expect(explain(world, order).flatMap { $0.payment.standing(for: $0.order) }?.amount == Amount(100))
        #expect(world.run(cancel(order)) == .ledger(.done))
        #expect(world.account(.user, "u")?.balance == Amount(1_000))
        world.expectClean()
    }

    @Test("status and explain say the same: a payment pays the order if it is worth its total")
    func sameTruth() {
        let world = world()
        let order = world.order("u", ["a"])
        #expect(world.run(pay(order, 1)) == .ledger(.done), "in any amount")
        #expect(world.run(status(order)) == .paymentStatus(isPaid: false))
        let part = explain(world, order)
        #expect(part?.payment.standing(for: part?.order ?? Order(user: id("u"), incarnation: 0))?.amount == Amount(1))
        #expect(part?.obstacles == [.paidDirectly(order: order)], "nobody is asked to add credit or stock")
        #expect(world.run(pay(order, 99)) == .ledger(.alreadyPaidDirectly))
        world.run(cancel(order))
        #expect(explain(world, order)?.payment.standing(for: Order(user: id("u"), incarnation: 0)) == nil)
        world.run(pay(order, 100))
        #expect(world.run(status(order)) == .paymentStatus(isPaid: true))
        #expect(world.run(status(order, "v")) == .paymentStatus(isPaid: false))
        world.run(.addItem(order: order, item: id("a"), units: Amount(1)))
        #expect(world.run(status(order)) == .paymentStatus(isPaid: false), "it costs more now")
        world.expectClean()
    }

    @Test("an order that batch_init gives a used id inherits no payment")
    func reusedID() {
        let world = world()
        world.run(.initItems(count: 1, stock: Amount(5), price: Amount(100)))
        world.run(.initUsers(count: 1, credit: Amount(1_000)))
        world.run(.initOrders(count: 1, items: 1, users: 1, price: Amount(100)))
        #expect(world.run(pay(id("0"), 500, by: "0")) == .ledger(.done))
        world.run(.initOrders(count: 1, items: 1, users: 1, price: Amount(100)))
        #expect(world.run(status(id("0"), "0")) == .paymentStatus(isPaid: false))
        #expect(world.run(.checkout(order: id("0"))) == .checkout(.paid))
        #expect(world.account(.user, "0")?.balance == Amount(300))
        world.expectClean()
    }

    @Test("a payment that waits for credit is made when the credit is free, and not if its order was paid meanwhile")
    func waiting() {
        let world = world()
        let order = world.order("u", ["a"])
        let checkout = world.ask(.checkout(order: order))
        let payment = world.ask(pay(order, 950))
        world.settle()
        while !world.store.isIdle { world.step() }
        if checkout.answer == .checkout(.paid) {
            #expect(payment.answer == .paidByCheckout || payment.answer == .order(.isCheckingOut))
        } else {
            #expect(payment.answer == .ledger(.done))
        }
        world.expectClean()
    }

    @Test("a crash in the midst of a payment leaves no lock, whichever step it meets", arguments: 0..<40)
    func crash(step: Int) {
        let world = world(seed: UInt64(step) + 1)
        let order = world.order("u", ["a"])
        let payment = world.ask(pay(order))
        for _ in 0..<step where payment.answer == nil { world.step() }
        world.crashAndRecover()
        world.settle()
        while !world.store.isIdle { world.step() }
        let balance = world.account(.user, "u")?.balance
        #expect(balance == Amount(900) || balance == Amount(1_000))
        if payment.answer == .ledger(.done) { #expect(balance == Amount(900)) }
        let isPaid = balance == Amount(900)
        #expect(world.run(status(order)) == .paymentStatus(isPaid: isPaid))
        #expect((world.run(.checkout(order: order)) == .checkout(.paid)) == !isPaid)
        world.expectClean()
    }
}
