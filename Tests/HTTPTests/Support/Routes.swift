// What tests ask the table of routes for.

import KontorService
import NIOHTTP1

@testable import KontorHTTP

extension RouteTable {
    /// The route of this name.
    func entry(named name: String) -> Entry? { entries.first { $0.route.name == name } }

    /// The route that asks the shop for such a request: the first whose example asks for one of the same kind.
    func entry(of request: ShopRequest) -> Entry? {
        entries.first { entry in
            guard let method = entry.route.methods.names.first,
                case .shop(let example) = Lead(HTTPMethod(rawValue: method), entry.route.examplePath)
            else { return false }
            return kind(example) == kind(request)
        }
    }

    private func kind(_ request: ShopRequest) -> String {
        switch request {
        case .ledger(let command): return "\(command.account.kind) \(caseName(command.operation))"
        case .order(let command): return "order \(caseName(command.operation))"
        default: return caseName(request)
        }
    }

    private func caseName(_ value: some Sendable) -> String { String("\(value)".prefix { $0 != "(" }) }
}

/// What a request line leads to, to be compared.
enum Lead: Equatable {
    case shop(ShopRequest)
    /// To the shop, once the body is there.
    case body
    case listener
    case problem(Problem)

    init(_ method: HTTPMethod, _ uri: String, isAdminOpen: Bool = true) {
        switch Router.route(method: method, uri: uri, isAdminOpen: isAdminOpen) {
        case .shop(let call): self = .shop(call.request)
        case .body: self = .body
        case .listener: self = .listener
        case .problem(let problem): self = .problem(problem)
        }
    }
}

/// The response that the shop's answer to a request becomes.
func response(to request: ShopRequest, _ answer: ShopAnswer) -> Response {
    guard let entry = RouteTable.all.entry(of: request) else { return Response(status: 0, contentType: "", body: []) }
    return OutcomeResponse.response(to: ShopCall(request, at: entry), answer)
}
