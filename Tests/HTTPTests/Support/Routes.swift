// What tests ask the table of routes for.

import KontorService
import NIOHTTP1

@testable import KontorHTTP

extension RouteTable {
    /// The route of this name.
    func entry(named name: String) -> Entry? { entries.first { $0.route.name == name } }

    /// The route that asks the shop for this.
    func entry(of request: ShopRequest) -> Entry? { name(of: request).flatMap(entry(named:)) }

    private func name(of request: ShopRequest) -> String? {
        switch request {
        case .createItem: return "createItem"
        case .createUser: return "createUser"
        case .ledger(let command):
            switch (command.operation, command.account.kind) {
            case (.read, .item): return "findItem"
            case (.read, .user): return "findUser"
            case (.deposit, .item): return "addStock"
            case (.deposit, .user): return "addFunds"
            case (.withdraw, .item): return "subtractStock"
            case (.withdraw, .user): return "pay"
            case (.payDirectly, .user): return "payForOrder"
            default: return nil
            }
        case .cancelPayment: return "cancelPayment"
        case .paymentStatus: return "paymentStatus"
        case .initItems: return "initItems"
        case .initUsers: return "initUsers"
        case .initOrders: return "initOrders"
        case .createOrder: return "createOrder"
        case .addItem: return "addItem"
        case .order(let command):
            switch command.operation {
            case .read: return "findOrder"
            case .removeItem: return "removeItem"
            case .remove: return "removeOrder"
            default: return nil
            }
        case .checkout: return "checkout"
        case .explain: return "explainOrder"
        }
    }
}

/// What a request line leads to, to be compared.
enum Lead: Equatable {
    case shop(ShopRequest)
    case listener
    case problem(Problem)

    init(_ method: HTTPMethod, _ uri: String, isAdminOpen: Bool = true) {
        switch Router.route(method: method, uri: uri, isAdminOpen: isAdminOpen) {
        case .shop(let request, _): self = .shop(request)
        case .listener: self = .listener
        case .problem(let problem): self = .problem(problem)
        }
    }
}

/// The response that the shop's answer to a request becomes.
func response(to request: ShopRequest, _ answer: ShopAnswer) -> Response {
    guard let entry = RouteTable.all.entry(of: request) else { return Response(status: 0, contentType: "", body: []) }
    return OutcomeResponse.response(to: request, at: entry, answer)
}
