// From the head of a request, and its body where one is needed, to what is to be done: who asks, whether he may, and
// what the shop is asked.

import KontorAccess
import KontorCore
import KontorService
import NIOHTTP1

/// What is asked for on one connection. It lives on the connection's event loop.
struct RequestReader {
    let table: ConnectionTable
    /// Who connected; nil: not known.
    let peer: NetworkAddress?
    /// Whether that is a trusted proxy.
    let isProxy: Bool

    init(_ table: ConnectionTable, peer: NetworkAddress?) {
        self.table = table
        self.peer = peer
        isProxy = peer.map { table.service.access.proxies?.contains($0) == true } ?? false
    }

    /// What is to be done for a request.
    func target(of head: HTTPRequestHead, _ headers: RequestHeaders) -> HTTPService.Target {
        let access = table.service.access
        let asker = table.asker
        asker?.begin(
            authorization: headers.authorization, address: client(headers), now: table.now, wallSeconds: table.wallSeconds)
        do throws(Problem) {
            if let problem = headers.problem { throw problem }
            if headers.stamp != nil, !access.mayStamp(isProxy: isProxy) { throw .unknownGateway }
            let isHostKnown = isProxy || headers.host == table.knownHost
            let isOpen = headers.origin != nil && openOrigin(head, headers) != nil
            if let refusal = access.browsers.refusal(of: head.method, headers, isOpen: isOpen, isHostKnown: isHostKnown) {
                throw refusal
            }
            if !isHostKnown { table.knownHost = headers.host }
            if isOpen, head.method == .OPTIONS { return .ready(.preflight) }
            let target = try table.service.target(of: head.method, head.uri, by: asker)
            if isCounted(headers) {
                switch target {
                case .shop(let call):
                    try table.limits.takeRequest(of: caller(call.principal, headers), now: table.now)
                    try table.limits.takeCreation(call, of: caller(call.principal, headers), now: table.now)
                case .body(let call): try table.limits.takeRequest(of: caller(call.principal, headers), now: table.now)
                case .page, .ready: break
                }
            }
            return target
        } catch {
            if error.kind == .forbidden { tell(error, to: asker?.found, head, headers) }
            var problem = error
            if isCounted(headers) {
                problem = table.limits.refusal(error, of: caller(asker?.found, headers), now: table.now)
            }
            return refusal(problem, headers)
        }
    }

    /// The origin of a page of another site that may ask for this; nil: no such page asks.
    func openOrigin(_ head: HTTPRequestHead, _ headers: RequestHeaders) -> String? {
        table.service.access.browsers.openOrigin(headers, head.uri)
    }

    /// What is to be done for a request whose body has arrived, and what its write is known by.
    func target(
        of waiting: BodyCall, _ body: [UInt8], _ head: HTTPRequestHead, _ headers: RequestHeaders
    ) -> (target: HTTPService.Target, name: WriteName?, keyHolder: CallerLimits.KeyHolder?) {
        do throws(Problem) {
            let (call, value, reason) = try waiting.call(body, headers)
            if isCounted(headers) {
                try table.limits.takeCreation(call, of: caller(call.principal, headers), now: table.now)
            }
            let (name, keyHolder) = marks(of: call, head.uri, headers, (value, reason))
            return (.shop(call), name, keyHolder)
        } catch {
            if error.kind == .forbidden { tell(error, to: waiting.principal, head, headers) }
            return (refusal(error, headers), nil, nil)
        }
    }

    /// What a write is known by, and whose key it bears, where callers may have a number of them.
    func marks(
        of call: ShopCall, _ uri: String, _ headers: RequestHeaders,
        _ body: (value: JSONInput, reason: String) = (.null, "")
    ) -> (name: WriteName?, keyHolder: CallerLimits.KeyHolder?) {
        let keyHolder =
            headers.key != nil && table.limits.areKeysLimited
            ? CallerLimits.KeyHolder(caller(call.principal, headers)) : nil
        let mayKeepKey = keyHolder.map { table.limits.hasRoomForKey(of: $0.caller, now: table.now) } ?? true
        var note: TrailNote?
        if let principal = call.principal, call.isRecorded {
            note = TrailNote(call, by: principal, uri, body, from: address(headers))
        }
        return (headers.name(of: call, note: note, mayKeepKey: mayKeepKey), keyHolder)
    }

    /// The answer to a request that is refused. If a gateway sends it again, the first copy may be on its way to a
    /// process that lets it in, so nobody knows what becomes of a copy that is refused here.
    private func refusal(_ problem: Problem, _ headers: RequestHeaders) -> HTTPService.Target {
        let isOfAccess = [401, 403, 429].contains(problem.kind.status)
        if headers.stamp?.isRepeated == true && isOfAccess { return .ready(Response(.unknownCopy)) }
        return .ready(headers.stamp == nil ? Response(problem) : Response(toGateway: problem))
    }

    private func tell(_ problem: Problem, to principal: Principal?, _ head: HTTPRequestHead, _ headers: RequestHeaders) {
        table.service.forbade(Forbidden(principal, address(headers), head, problem))
    }

    /// Whether a request counts. The second copy of a client's request is not a second request; only a proxy that is
    /// trusted can know.
    private func isCounted(_ headers: RequestHeaders) -> Bool {
        !table.limits.isEmpty && !(isProxy && headers.stamp?.isRepeated == true)
    }

    private func caller(_ principal: Principal?, _ headers: RequestHeaders) -> CallerLimits.Caller {
        CallerLimits.Caller(principal, client(headers))
    }

    /// The client's part of the limits: its address, or its network.
    private func client(_ headers: RequestHeaders) -> NetworkAddress? { address(headers)?.caller }

    /// The address of the client: what a trusted proxy says, else who connected.
    private func address(_ headers: RequestHeaders) -> NetworkAddress? {
        guard isProxy, let peer, let forwardedFor = headers.forwardedFor else { return peer }
        return table.service.access.proxies?.client(forwardedFor, peer: peer)
    }
}
