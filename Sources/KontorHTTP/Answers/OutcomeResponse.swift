// The edge: from what the shop was asked and what it answered to a response. How success is written is in RouteAnswer,
// which problem a failure is in OutcomeProblems.

import KontorService

/// Decides what a request's outcome looks like to its client.
enum OutcomeResponse {
    /// The response to a request of a route. An answer that the request cannot have is a bug: 500.
    ///
    /// - Parameter isStamped: whether a gateway sent it.
    static func response(to call: ShopCall, _ answer: ShopAnswer, isStamped: Bool = false) -> Response {
        if var success = call.entry.route.answer.success(call.request, answer) {
            success.isReplay = answer.isReplay
            return success
        }
        switch answer {
        case .replayed(let first):
            var response = response(to: call, first)
            response.isReplay = true
            return response
        // The order is there, and nobody knows whether it is paid.
        case .placed(let id, .unknown):
            var response = Response(OutcomeProblems.problem(.unknown, of: call.request))
            response.location = "/v1/orders/\(id)"
            return response
        case .overloaded(.requestsInFlight): return .notTaken
        case .overloaded(.callerKeys) where isStamped: return Response(toGateway: .notTaken(.callerKeys))
        // Who is bound to a user learns nothing of others.
        case .orderOfAnotherUser where call.principal?.user != nil: return response(to: call, .order(.unknownOrder))
        default: return Response(OutcomeProblems.problem(answer, of: call.request))
        }
    }
}

extension ShopAnswer {
    /// Whether the request had its effect earlier, under its key.
    fileprivate var isReplay: Bool {
        switch self {
        case .replayed: true
        case .shown(_, _, let answer), .placed(_, let answer): answer.isReplay
        default: false
        }
    }
}
