// The edge: from what the shop was asked and what it answered to a response. Success is written here, failure in
// OutcomeProblems.

import KontorCore
import KontorService

enum OutcomeResponse {
    /// The only place that decides what an answer looks like. An answer that its request cannot have is a bug: 500.
    static func response(to request: ShopRequest, _ answer: ShopAnswer) -> Response {
        switch answer {
        case .created(let id): return created(id, by: request)
        case .initialized: return initialized(by: request)
        case .ledger(let outcome): return ledger(outcome, of: request)
        case .order(let outcome): return order(outcome, of: request)
        case .checkout(.paid): return paid(request)
        case .checkout(.notBegun(let outcome)): return order(outcome, of: request)
        case .checkout(.refused(let reason)): return Response(OutcomeProblems.problem(reason, of: request))
        case .explanation(let explanation): return .json(ExplainPage(explanation).json)
        case .replayed(let answer):
            var response = response(to: request, answer)
            response.isReplay = true
            return response
        case .keyed(let verdict): return Response(OutcomeProblems.problem(verdict, of: request))
        case .paidByCheckout: return Response(OutcomeProblems.paidByCheckout(request))
        case .hasOpenSaga(let key): return Response(OutcomeProblems.openSaga(key))
        case .unavailable(let trouble): return Response(OutcomeProblems.unavailable(trouble, request))
        case .overloaded: return .notTaken
        case .unknown: return Response(OutcomeProblems.unknown(request))
        }
    }

    private static let done = Response.json(#"{"done":true}"#)

    private static func bug(_ request: ShopRequest) -> Response { Response(OutcomeProblems.bug(request)) }

    private static func created(_ id: Identifier, by request: ShopRequest) -> Response {
        var json = JSONWriter()
        switch request {
        case .createItem: json.raw(#"{"item_id":"#)
        case .createUser: json.raw(#"{"user_id":"#)
        case .createOrder: json.raw(#"{"order_id":"#)
        default: return bug(request)
        }
        json.id(id)
        json.raw("}")
        return .json(json.bytes)
    }

    private static func initialized(by request: ShopRequest) -> Response {
        switch request {
        case .initItems: return .json(#"{"msg": "Batch init for stock successful"}"#)
        case .initUsers: return .json(#"{"msg": "Batch init for users successful"}"#)
        case .initOrders: return .json(#"{"msg": "Batch init for orders successful"}"#)
        default: return bug(request)
        }
    }

    private static func paid(_ request: ShopRequest) -> Response {
        guard case .checkout(let order) = request else { return bug(request) }
        var json = JSONWriter()
        json.raw(#"{"order_id":"#)
        json.id(order)
        json.raw(#","status":"paid"}"#)
        return .json(json.bytes)
    }

    private static func ledger(_ outcome: LedgerOutcome, of request: ShopRequest) -> Response {
        switch (outcome, request) {
        case (.done, .cancelPayment): return done
        case (.done, .ledger(let command)) where command.operation != .read: return done
        case (.account(let account), .ledger(let command)) where command.operation == .read:
            return .json(json(account, command.account))
        case (.payment(let isPaid), .paymentStatus): return .json(isPaid ? #"{"paid":true}"# : #"{"paid":false}"#)
        default: return Response(OutcomeProblems.problem(outcome, of: request))
        }
    }

    private static func order(_ outcome: OrderOutcome, of request: ShopRequest) -> Response {
        switch (outcome, request) {
        case (.alreadyPaid, .checkout): return paid(request)
        case (.done, .addItem): return done
        case (.done, .order(let command)) where command.operation != .read: return done
        case (.order(let order), .order(let command)) where command.operation == .read:
            return .json(json(order, command.order))
        default: return Response(OutcomeProblems.problem(outcome, of: request))
        }
    }

    private static func json(_ account: Account, _ key: GroupKey) -> [UInt8] {
        var json = JSONWriter()
        switch key.kind {
        case .item:
            json.raw(#"{"stock":"#)
            json.number(account.balance.raw)
            json.raw(#","price":"#)
            json.money(account.price)
        case .user, .order:
            json.raw(#"{"user_id":"#)
            json.id(key.id)
            json.raw(#","credit":"#)
            json.money(account.balance)
        }
        json.raw("}")
        return json.bytes
    }

    private static func json(_ order: Order, _ id: Identifier) -> [UInt8] {
        var json = JSONWriter(capacity: 192 + order.lines.count * 48)
        json.raw(#"{"order_id":"#)
        json.id(id)
        json.raw(order.status == .paid ? #","paid":true,"items":["# : #","paid":false,"items":["#)
        var isFirst = true
        for (item, units) in order.itemUnits {
            json.raw(isFirst ? "[" : ",[")
            isFirst = false
            json.id(item)
            json.raw(",")
            json.number(units.raw)
            json.raw("]")
        }
        json.raw(#"],"user_id":"#)
        json.id(order.user)
        json.raw(#","total_cost":"#)
        json.money(order.total)
        json.raw("}")
        return json.bytes
    }
}
