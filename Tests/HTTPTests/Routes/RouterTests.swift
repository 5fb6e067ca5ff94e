// The table of routes, as the public clients of every year use it, and what is refused.

import KontorCore
import KontorService
import NIOHTTP1
import TestSupport
import Testing

@testable import KontorHTTP

@Suite struct RouterTests {
    static let routes: [(HTTPMethod, String, ShopRequest)] = [
        (.POST, "/stock/item/create/5", .createItem(price: Amount(500))),
        (.POST, "/stock/item/create/0", .createItem(price: .zero)),
        (.POST, "/stock/item/create/0.000", .createItem(price: .zero)),
        (.GET, "/stock/find/x", .ledger(LedgerCommand(GroupKey(.item, id("x")), .read))),
        (.POST, "/stock/add/x/3", .ledger(LedgerCommand(GroupKey(.item, id("x")), .deposit(Amount(3))))),
        (.POST, "/stock/subtract/x/3", .ledger(LedgerCommand(GroupKey(.item, id("x")), .withdraw(Amount(3))))),
        (.POST, "/stock/batch_init/10/0/7", .initItems(count: 10, stock: .zero, price: Amount(700))),
        (.POST, "/payment/create_user", .createUser),
        (.GET, "/payment/find_user/u", .ledger(LedgerCommand(GroupKey(.user, id("u")), .read))),
        (.POST, "/payment/add_funds/u/7.23", .ledger(LedgerCommand(GroupKey(.user, id("u")), .deposit(Amount(723))))),
        (.POST, "/payment/pay/u/2", .ledger(LedgerCommand(GroupKey(.user, id("u")), .withdraw(Amount(200))))),
        (
            .POST, "/payment/pay/u/o/2",
            .pay(user: id("u"), order: id("o"), Amount(200))
        ),
        (.POST, "/payment/cancel/u/o", .cancelPayment(user: id("u"), order: id("o"))),
        (.GET, "/payment/status/u/o", .paymentStatus(user: id("u"), order: id("o"))),
        (.POST, "/payment/status/u/o", .paymentStatus(user: id("u"), order: id("o"))),
        (.POST, "/payment/batch_init/10/0", .initUsers(count: 10, credit: .zero)),
        (.POST, "/orders/create/u", .createOrder(user: id("u"))),
        (.POST, "/orders/addItem/o/x/4", .addItem(order: id("o"), item: id("x"), units: Amount(4))),
        (.POST, "/orders/addItem/o/x", .addItem(order: id("o"), item: id("x"), units: Amount(1))),
        (.DELETE, "/orders/removeItem/o/x", .order(OrderCommand(id("o"), .removeItem(id("x"))))),
        (.DELETE, "/orders/remove/o", .order(OrderCommand(id("o"), .remove))),
        (.GET, "/orders/find/o", .order(OrderCommand(id("o"), .read))),
        (.HEAD, "/orders/find/o", .order(OrderCommand(id("o"), .read))),
        (.POST, "/orders/checkout/o", .checkout(order: id("o"))),
        (.GET, "/orders/explain/o", .explain(order: id("o"))),
        (.POST, "/orders/batch_init/100000/1/2/1", .initOrders(count: 100_000, items: 1, users: 2, price: Amount(100))),
        (.POST, "/orders/checkout/o?trace=1", .checkout(order: id("o"))),
        (.POST, "/orders/%63heckout/a%2Db", .checkout(order: id("a-b"))),
        (.POST, "http://shop.example/orders/checkout/o", .checkout(order: id("o"))),
    ]

    @Test(arguments: 0..<routes.count)
    func `each route asks the shop for what it says`(index: Int) {
        let (method, uri, request) = Self.routes[index]
        #expect(Lead(method, uri) == .shop(request))
    }

    @Test(arguments: 0..<routes.count)
    func `a known path with another method is refused with the right ones`(index: Int) {
        let uri = Self.routes[index].1
        guard case .problem(let problem) = Lead(.PUT, uri) else {
            Issue.record("\(uri) accepts PUT")
            return
        }
        #expect(problem.kind == .wrongMethod)
        #expect(!problem.allowed.isEmpty)
    }

    @Test(arguments: [
        "", "*", "/orders", "/orders/", "/nothing/find/x", "/stock/find/x/", "/stock//find/x", "/stock/find",
        "/stock/find/", "/stock/item/make/3", "/payment/create_user/x", "/orders/checkout/a/b", "/orders/addItem/o",
        "/orders/batch_init/1/1/1/1/1", "/Stock/find/x", "/health", "/health/live/x", "/a/b/c/d/e/f/g/h", "//",
        "http://x/y",
        "/pay/u/2", "/orders/%2Fcheckout/o",
    ])
    func `an unknown path is a 404`(uri: String) {
        #expect(Lead(.POST, uri) == .problem(.unknownRoute))
    }

    @Test(arguments: [
        "/stock/item/create/0.004", "/stock/item/create/.0", "/payment/batch_init/1/0.0049",
        "/stock/item/create/-1", "/stock/item/create/x", "/stock/item/create/1.", "/stock/item/create/100000000001",
        "/stock/item/create/99999999999999999999999", "/stock/add/x/0", "/stock/add/x/-1", "/stock/add/x/1.5",
        "/stock/add/x/1000000001", "/stock/add/x/+1", "/stock/add/x/99999999999999999999999", "/stock/add/a%2Fb/1",
        "/stock/add/x%20y/1", "/stock/add/%zz/1", "/stock/add/%2/1", "/stock/add/%/1", "/stock/add/x;y/1",
        "/stock/add/é/1",
        "/stock/add/\(String(repeating: "x", count: 65))/1", "/payment/add_funds/u/0", "/payment/add_funds/u/0.001",
        "/payment/pay/u/0", "/payment/pay/u/o/0", "/payment/pay/u/o/-3", "/payment/pay/u/1e3", "/payment/pay/u/NaN",
        "/payment/batch_init/0/1", "/payment/batch_init/1000001/1", "/payment/batch_init/-1/1",
        "/payment/batch_init/1/x",
        "/stock/batch_init/1/-1/1", "/stock/batch_init/+1/1/1", "/orders/batch_init/1/0/1/1",
        "/orders/batch_init/1/1/0/1",
        "/orders/batch_init/0/1/1/1", "/orders/addItem/o/x/0", "/orders/addItem/o!/x/1", "/orders/checkout/%00",
    ])
    func `a malformed id, number or amount is a 400`(uri: String) {
        guard case .problem(let problem) = Lead(.POST, uri) else {
            Issue.record("\(uri) was accepted")
            return
        }
        #expect(problem.kind == .malformedRequest)
    }

    @Test func `amounts with more digits are rounded half to even`() {
        let request = ShopRequest.ledger(LedgerCommand(GroupKey(.user, id("u")), .deposit(Amount(723))))
        #expect(Lead(.POST, "/payment/add_funds/u/7.2334981") == .shop(request))
    }

    @Test func `a malformed value is repeated only in part, and safely`() {
        let problem = Problem.malformed("It is not good", echoing: "\"\u{1}\\" + String(repeating: "x", count: 500))
        #expect(problem.detail.count < 120)
        let json = String(decoding: problem.json, as: UTF8.self)
        #expect(json.contains(#": \"\u0001\\xxx"#))
    }

    @Test func `with the admin API off, what makes money or stock is unknown, and everything else as before`() {
        for (method, uri, request) in Self.routes {
            let isHidden: Bool
            switch request {
            case .createItem, .initItems, .initUsers, .initOrders: isHidden = true
            case .ledger(let command):
                switch command.operation {
                case .deposit: isHidden = true
                case .withdraw: isHidden = command.account.kind == .item
                default: isHidden = false
                }
            default: isHidden = false
            }
            let expected: Lead = isHidden ? .problem(.adminRoute) : .shop(request)
            #expect(Lead(method, uri, isAdminOpen: false) == expected, "\(uri)")
        }
        #expect(Lead(.GET, "/stock/add/x/3", isAdminOpen: false) == .problem(.adminRoute))
        #expect(Lead(.POST, "/stock/add/x/-3", isAdminOpen: false) == .problem(.adminRoute))
        #expect(Problem.adminRoute.kind.status == 404)
    }
}
