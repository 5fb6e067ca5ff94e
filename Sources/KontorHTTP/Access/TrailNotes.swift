// What the audit trail says of a request.

import KontorAccess
import KontorCore
import KontorService

extension ShopCall {
    /// Whether the audit trail tells of it: what admins and operators change.
    var isRecorded: Bool {
        !request.isRead && (!entry.scopes.isDisjoint(with: [.admin, .operate]) || request.makesMoney)
    }
}

extension TrailNote {
    /// Makes the note of a call. Which record it is about is not among the arguments: the entry lies with that.
    ///
    /// - Parameters:
    ///   - body: the body's value, whose members are arguments, too, and why.
    convenience init(
        _ call: ShopCall, by principal: Principal, _ uri: String, _ body: (value: JSONInput, reason: String),
        from address: NetworkAddress?
    ) {
        let route = call.entry.route
        var arguments: [Argument] = []
        if let segments = try? PathSegments(of: uri) {
            for (index, part) in route.path.enumerated() {
                guard let parameter = part.parameter, !parameter.isOfRecord else { continue }
                arguments.append(Argument(name: parameter.rawValue, value: segments[index]))
            }
        }
        if case .object(let members) = body.value {
            for member in members where member.name != "reason" {
                arguments.append(Argument(name: member.name, value: member.value.text))
            }
        }
        self.init(
            principal: principal.name, address: address?.text ?? "", operation: route.name, arguments: arguments,
            reason: body.reason)
    }
}

extension PathParameter {
    /// Whether it names a record.
    fileprivate var isOfRecord: Bool {
        switch self {
        case .order, .item, .user: true
        case .units, .amount, .price, .credit, .stock, .count, .items, .users: false
        }
    }
}
