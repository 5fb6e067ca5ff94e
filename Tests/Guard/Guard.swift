// Runs one hot path a number of times, on one thread, the same way each time, and says nothing but whether all went
// well. Somebody else counts its instructions: see guard.py.
//
//     kontor-guard PATH COUNT

import Foundation
import KontorAccess
import KontorHTTP

/// A path of the program that every request of a kind takes.
enum HotPath: String, CaseIterable {
    /// Bytes of a request in, bytes of its answer out: decoder, route, shop, embedded store with its journal, answer.
    case checkout
    /// Rules, saga, engine and coordinator over a store that is dictionaries.
    case saga
    /// A checkout of three services that are joined by links: `saga`, and all that a message and its reply go through.
    case services
    /// A ledger's part of that, for one account: bytes of a hold in, bytes of its reply out, and the same for its
    /// capture. Sixteen share a frame.
    case hold
    /// As `checkout`, for a read.
    case find
    /// As `checkout`, of a caller with a token.
    case known
    /// As `checkout`, of an order that the same request creates with two lines.
    case order
}

@main
enum Guard {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let path = HotPath(rawValue: arguments[1]), let count = Int(arguments[2]),
            (0...Goods.orders).contains(count), count % Goods.atOnce == 0
        else {
            let paths = HotPath.allCases.map(\.rawValue).joined(separator: " or ")
            complain("kontor-guard \(paths) COUNT, a multiple of \(Goods.atOnce) up to \(Goods.orders)")
            exit(64)
        }
        let good: Int
        switch path {
        case .checkout:
            good = try WholeShop().run(count) { "POST /orders/checkout/\($0) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" }
        case .saga: good = SagaShop().run(count)
        case .services: good = try LinkedShops().run(count)
        case .hold: good = try LinkedLedger().run(count)
        case .known:
            let caller = try KnownCaller()
            good = try WholeShop(access: caller.access).run(count) {
                "POST /orders/checkout/\($0) HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(caller.token)\r\n\r\n"
            }
        case .order: good = try WholeShop().run(count, request: NewOrders.request)
        case .find:
            good = try WholeShop().run(count) {
                "GET /stock/find/\($0 % Goods.items) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            }
        }
        guard good == count else {
            complain("\(good) of \(count) had the answer that they should have")
            exit(1)
        }
    }

    private static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}

/// A caller with a token, and the rules of a shop that knows it.
struct KnownCaller {
    let token: String
    let access: AccessControl

    init() throws {
        var random = SystemRandomNumberGenerator()
        let token = BearerToken(random: &random)
        self.token = token.text
        let file = try TokenFile("backend orders sha256:\(token.digest) never\n")
        access = AccessControl(hosts: AllowedHosts(), credentials: Credentials(Credentials.Rules(file)))
    }
}

/// Orders that are placed and checked out in one request of `/v1`, each under its own key.
enum NewOrders {
    static func request(_ number: Int) -> String {
        let first = number * 7 % Goods.items
        let second = (first + 1 + number % 50) % Goods.items
        let body = """
            {"user_id":"\(number % Goods.users)","lines":[{"item_id":"\(first)","units":1},{"item_id":"\(second)","units":1}],"checkout":true}
            """
        return """
            POST /v1/orders HTTP/1.1\r
            Host: 127.0.0.1\r
            Content-Type: application/json\r
            Idempotency-Key: guard-\(number)\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """
    }
}

/// What the shops have. The same for each count, so that the difference of two runs is what the requests cost.
enum Goods {
    static let items = 200
    static let users = 500
    static let orders = 4_000
    /// Requests that arrive together: what the shop's thread takes in one turn when it has much to do.
    static let atOnce = 16
}
