// Every answer of the shop, seen by a client: status, body, Retry-After.

import KontorCore
import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

private let item = GroupKey(.item, id("x"))
private let user = GroupKey(.user, id("u"))
private let order = id("o")
private let checkout = ShopRequest.checkout(order: order)
private let readItem = ShopRequest.ledger(LedgerCommand(item, .read))
private let readUser = ShopRequest.ledger(LedgerCommand(user, .read))
private let readOrder = ShopRequest.order(OrderCommand(order, .read))
private let add = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(3))))
private let subtract = ShopRequest.ledger(LedgerCommand(item, .withdraw(Amount(3))))
private let pay = ShopRequest.ledger(LedgerCommand(user, .withdraw(Amount(723))))
private let payForOrder = ShopRequest.pay(user: user.id, order: order, Amount(100))
private let cancel = ShopRequest.cancelPayment(user: user.id, order: order)
private let status = ShopRequest.paymentStatus(user: user.id, order: order)
private let addItem = ShopRequest.addItem(order: order, item: item.id, units: Amount(1))
private let removeItem = ShopRequest.order(OrderCommand(order, .removeItem(item.id)))
private let initUsers = ShopRequest.initUsers(count: 1, credit: .zero)

@Suite struct OutcomeTests {
    static let problems: [(ShopRequest, ShopAnswer, Problem.Kind)] = [
        (subtract, .ledger(.insufficient(balance: Amount(2))), .outOfStock),
        (pay, .ledger(.insufficient(balance: Amount(2))), .outOfCredit),
        (pay, .ledger(.contended(balance: Amount(2))), .contended),
        (readItem, .ledger(.unknownAccount), .unknownItem),
        (readUser, .ledger(.unknownAccount), .unknownUser),
        (.createOrder(user: user.id), .ledger(.unknownAccount), .unknownUser),
        (addItem, .ledger(.unknownAccount), .unknownItem),
        (payForOrder, .ledger(.alreadyPaidDirectly), .paidDirectly),
        (cancel, .ledger(.noDirectPayment), .noDirectPayment),
        (payForOrder, .ledger(.insufficient(balance: Amount(2))), .outOfCredit),
        (payForOrder, .order(.unknownOrder), .unknownOrder),
        (payForOrder, .order(.isRemoved), .unknownOrder),
        (payForOrder, .order(.isCheckingOut), .orderCheckingOut),
        (payForOrder, .paidByCheckout, .paidByCheckout),
        (payForOrder, .orderOfAnotherUser, .orderOfAnotherUser),
        (checkout, .checkout(.refused(.paidDirectly(order: order))), .paidDirectly),
        (cancel, .paidByCheckout, .paidByCheckout),
        (add, .ledger(.overLimit), .overLimit),
        (initUsers, .ledger(.overLimit), .overLimit),
        (initUsers, .hasOpenSaga(user), .openSaga),
        (readOrder, .order(.unknownOrder), .unknownOrder),
        (removeItem, .order(.unknownItem), .itemNotInOrder),
        (addItem, .order(.alreadyPaid), .orderPaid),
        (addItem, .order(.isCheckingOut), .orderCheckingOut),
        (addItem, .order(.isRemoved), .orderRemoved),
        (addItem, .order(.overLimit(.lines)), .overLimit),
        (checkout, .order(.isEmpty), .orderEmpty),
        (checkout, .checkout(.notBegun(.unknownOrder)), .unknownOrder),
        (checkout, .checkout(.notBegun(.isEmpty)), .orderEmpty),
        (checkout, .checkout(.refused(.insufficient(account: item, wanted: Amount(2), left: Amount(1)))), .outOfStock),
        (checkout, .checkout(.refused(.insufficient(account: user, wanted: Amount(2), left: Amount(1)))), .outOfCredit),
        (checkout, .checkout(.refused(.unknownAccount(item))), .unknownItem),
        (checkout, .checkout(.refused(.unknownAccount(user))), .unknownUser),
        (checkout, .checkout(.refused(.contended(account: item))), .contended),
        (checkout, .checkout(.refused(.unreachable(account: item))), .unavailable),
        (checkout, .checkout(.refused(.anomaly(account: item, .lateHold))), .anomaly),
        (checkout, .unavailable(.diskFull), .noRoom),
        (readItem, .unavailable(.unreachable("redis")), .readUnavailable),
        (checkout, .overloaded(.openCheckouts), .overloaded),
        (checkout, .checkout(.notBegun(.isRemoved)), .orderRemoved),
        (readOrder, .order(.isRemoved), .unknownOrder),
        (checkout, .keyed(.usedForAnother), .keyReused),
        (subtract, .keyed(.running), .keyInUse),
        (subtract, .keyed(.noRoom), .keysFull),
        (checkout, .unknown, .outcomeUnknown),
        (readItem, .unknown, .readUnavailable),
        (status, .unknown, .readUnavailable),
        // What cannot happen is a bug, and says so.
        (checkout, .initialized, .bug),
        (readItem, .ledger(.done), .bug),
        (add, .order(.done), .bug),
        (cancel, .order(.done), .bug),
        (addItem, .ledger(.done), .bug),
        (removeItem, .ledger(.done), .bug),
        (readItem, .checkout(.paid), .bug),
        (subtract, .ledger(.accountExists), .bug),
        (readOrder, .created(order), .bug),
    ]

    @Test(arguments: 0..<problems.count)
    func `each failed outcome has its problem`(index: Int) {
        let (request, answer, kind) = Self.problems[index]
        let response = response(to: request, answer)
        let body = String(decoding: response.body, as: UTF8.self)
        #expect(body.contains(#""type":"/problems/\#(kind.rawValue)""#))
        #expect(response.status == kind.status)
        #expect(response.contentType == "application/problem+json")
        #expect(response.retryAfterSeconds == kind.retryAfterSeconds)
    }

    @Test func `all failures of writes without effect are 4xx, and only what may come back has Retry-After`() {
        let withoutEffect = Self.problems.filter { !$0.0.isRead && $0.2 != .outcomeUnknown && $0.2 != .bug }
        #expect(withoutEffect.allSatisfy { (400...499).contains($0.2.status) })
        let retried = Problem.Kind.allCases.filter { $0.retryAfterSeconds != nil }
        #expect(
            retried == [
                .contended, .openSaga, .keyInUse, .unavailable, .noRoom, .overloaded, .notServing, .keysFull, .callerLimit,
                .readUnavailable, .notReady,
            ])
    }

    @Test func `who is refused for a full disk is told that somebody must make room, and to come back later than soon`() {
        let response = response(to: checkout, .unavailable(.diskFull))
        let body = String(decoding: response.body, as: UTF8.self)
        #expect(response.status == 424)
        #expect(body.contains("must make room") && !body.contains("in a moment"), "\(body)")
        #expect((response.retryAfterSeconds ?? 0) >= 30)
    }

    private func detail(_ request: ShopRequest, _ answer: ShopAnswer) -> String {
        String(decoding: response(to: request, answer).body, as: UTF8.self)
    }

    @Test func `an order that was removed is said to be removed, whatever is asked of it`() {
        for request in [checkout, addItem, removeItem] {
            let told = response(to: request, request == checkout ? .checkout(.notBegun(.isRemoved)) : .order(.isRemoved))
            #expect(told.status == 409 && String(decoding: told.body, as: UTF8.self).contains("Order o was removed"))
        }
        for request in [readOrder, payForOrder] {
            #expect(response(to: request, .order(.isRemoved)).status == 404)
            #expect(detail(request, .order(.isRemoved)).contains("Order o was removed"))
        }
        for request in [checkout, addItem, removeItem, readOrder, payForOrder] {
            #expect(!detail(request, .order(.isRemoved)).contains("Create it first"))
        }
    }

    @Test func `a payment that batch_init has replaced is not said never to have been made`() {
        let told = detail(cancel, .ledger(.noDirectPayment))
        #expect(told.contains("batch_init") && !told.contains("never"), "\(told)")
    }

    @Test func `who is over a bound is told which one`() {
        let order = OrderBound.allCases.map { detail(addItem, .order(.overLimit($0))) }
        let expected = ["256 lines", "units of one item", "cost more than 100000000000", "checkouts that failed", "refunds"]
        for (told, words) in zip(order, expected) { #expect(told.contains(words), "\(told)") }
        let work = WorkBound.allCases.map { detail(checkout, .overloaded($0)) }
        let ofWork = [
            "requests are in flight", "checkouts are open", "batch_inits are running", "number of idempotency keys",
            "refunds are open", "items are reserved",
        ]
        for (told, words) in zip(work, ofWork) {
            #expect(told.contains(words), "\(told)")
        }
        #expect(Set(order + work).count == 11)
        #expect(Set([Problem.slowRequest, .tooManyHalfSent, .tooManyPipelined, .tooManyConnections]).count == 4)
    }

    @Test func `successes have the bodies that the public clients read`() {
        var account = Account()
        account.balance = Amount(5)
        account.price = Amount(100)
        var paidFor = Order(user: user.id, incarnation: 1)
        paidFor.lines = [
            OrderLine(item: id("x"), units: Amount(1), price: Amount(100)),
            OrderLine(item: id("y"), units: Amount(1), price: Amount(100)),
            OrderLine(item: id("x"), units: Amount(1), price: Amount(101)),
        ]
        paidFor.total = Amount(301)
        paidFor.status = .paid
        let expected: [(ShopRequest, ShopAnswer, String)] = [
            (.createItem(price: .zero), .created(id("x")), #"{"item_id":"x"}"#),
            (.createUser, .created(id("u")), #"{"user_id":"u"}"#),
            (.createOrder(user: user.id), .created(id("o")), #"{"order_id":"o"}"#),
            (readItem, .ledger(.account(account)), #"{"stock":5,"price":1}"#),
            (readUser, .ledger(.account(account)), #"{"user_id":"u","credit":0.05}"#),
            (subtract, .ledger(.done), #"{"done":true}"#),
            (cancel, .ledger(.done), #"{"done":true}"#),
            (status, .paymentStatus(isPaid: true), #"{"paid":true}"#),
            (status, .paymentStatus(isPaid: false), #"{"paid":false}"#),
            (addItem, .order(.done), #"{"done":true}"#),
            (
                readOrder, .order(.order(paidFor)),
                #"{"order_id":"o","paid":true,"items":[["x",2],["y",1]],"user_id":"u","total_cost":3.01}"#
            ),
            (
                readOrder, .order(.order(Order(user: user.id, incarnation: 1))),
                #"{"order_id":"o","paid":false,"items":[],"user_id":"u","total_cost":0}"#
            ),
            (checkout, .checkout(.paid), #"{"order_id":"o","status":"paid"}"#),
            (checkout, .order(.alreadyPaid), #"{"order_id":"o","status":"paid"}"#),
            (checkout, .checkout(.notBegun(.alreadyPaid)), #"{"order_id":"o","status":"paid"}"#),
            (
                .initItems(count: 1, stock: .zero, price: .zero), .initialized,
                #"{"msg": "Batch init for stock successful"}"#
            ),
            (initUsers, .initialized, #"{"msg": "Batch init for users successful"}"#),
            (
                .initOrders(count: 1, items: 1, users: 1, price: .zero), .initialized,
                #"{"msg": "Batch init for orders successful"}"#
            ),
        ]
        for (request, answer, body) in expected {
            let response = response(to: request, answer)
            #expect(response.status == 200)
            #expect(String(decoding: response.body, as: UTF8.self) == body)
        }
    }

    @Test(arguments: ["0", "5", "7.2", "7.23", "0.01", "0.1", "100000000000"])
    func `money that is read prints the same again`(text: String) throws {
        var account = Account()
        account.balance = try #require(Amount.money(text))
        let response = response(to: readUser, .ledger(.account(account)))
        #expect(String(decoding: response.body, as: UTF8.self) == #"{"user_id":"u","credit":\#(text)}"#)
    }

    @Test func `a refusal says what was wanted, what is left, and whose it is`() {
        let reason = AbortReason.insufficient(account: user, wanted: Amount(723), left: Amount(500))
        let body = String(
            decoding: response(to: checkout, .checkout(.refused(reason))).body, as: UTF8.self)
        #expect(body.contains("7.23 is wanted of user u and its credit is 5."))
        #expect(body.hasSuffix(#""order_id":"o","user_id":"u"}"#))
    }
}
