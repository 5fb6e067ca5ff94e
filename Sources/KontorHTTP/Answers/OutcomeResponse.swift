// The edge: from what the shop was asked and what it answered to a response. How success is written is in RouteAnswer,
// which problem a failure is in OutcomeProblems.

import KontorService

/// Decides what a request's outcome looks like to its client.
enum OutcomeResponse {
    /// The response to a request of a route. An answer that the request cannot have is a bug: 500.
    ///
    /// - Parameter isStamped: whether a gateway sent it.
    static func response(to call: ShopCall, _ answer: ShopAnswer, isStamped: Bool = false) -> Response {
        if let success = call.entry.route.answer.success(call.request, answer) { return success }
        switch answer {
        case .replayed(let first):
            var response = response(to: call, first)
            response.isReplay = true
            return response
        case .overloaded(.requestsInFlight): return .notTaken
        case .overloaded(.callerKeys) where isStamped: return Response(toGateway: .notTaken(.callerKeys))
        // Who is bound to a user learns nothing of others.
        case .orderOfAnotherUser where call.principal?.user != nil: return response(to: call, .order(.unknownOrder))
        default: return Response(OutcomeProblems.problem(answer, of: call.request))
        }
    }
}
