// One request with its connection, and the sink through which the shop's answers return to their connections.

import KontorCore
import KontorService
import NIOCore
import NIOHTTP1

/// One request from its head to its answer. It is the shop's caller: a new object for each request, so that an answer
/// which comes late, or twice, is never taken for that of the connection's next request.
///
/// `@unchecked Sendable`: all of it is used on the connection's event loop.
final class Exchange: Caller, HeldRequest, @unchecked Sendable {
    private(set) var target: HTTPService.Target
    /// What a write is known by; nil: nothing.
    private(set) var name: WriteName?
    /// Whose key it is that may be kept, where callers may have a number of them; nil: nobody's.
    private(set) var keyHolder: CallerLimits.KeyHolder?
    /// How long the shop may take; of no meaning for other targets.
    let timeoutMilliseconds: Int64
    let persistence: Response.Persistence
    /// The origin of a page of another site that may read the answer; nil: there is none.
    var origin: String?
    /// The request is a HEAD: its answer has no body.
    let isHead: Bool
    let connection: NIOLoopBound<ConnectionHandler>

    init(
        _ target: HTTPService.Target, name: WriteName? = nil, keyHolder: CallerLimits.KeyHolder? = nil,
        timeoutMilliseconds: Int64 = 0,
        persistence: Response.Persistence, isHead: Bool, connection: NIOLoopBound<ConnectionHandler>
    ) {
        self.target = target
        self.name = name
        self.keyHolder = keyHolder
        self.timeoutMilliseconds = timeoutMilliseconds
        self.persistence = persistence
        self.isHead = isHead
        self.connection = connection
    }

    /// Says what is to be done, now that the body is there.
    func resolve(_ target: HTTPService.Target, name: WriteName?, keyHolder: CallerLimits.KeyHolder?) {
        self.target = target
        self.name = name
        self.keyHolder = keyHolder
    }

    var isLast: Bool { persistence == .closed }

    /// Answers the request if its connection still awaits that. To be called on the connection's event loop.
    func complete(_ answer: ShopAnswer) {
        guard case .shop(let call) = target else { return }
        let connection = connection.value
        // Also of those who have hung up: otherwise the limit would be for those who wait.
        if let keyHolder, answer.keepsKey { connection.didKeepKey(of: keyHolder.caller) }
        guard connection.awaits(self) else { return }
        connection.complete(self, with: OutcomeResponse.response(to: call, answer, isStamped: name?.stamp != nil))
    }
}

/// A request whose head was let in, while its body arrives.
final class ArrivingBody {
    let exchange: Exchange
    let call: BodyCall
    let head: HTTPRequestHead
    let headers: RequestHeaders
    /// What has arrived. The state machine bounds it.
    var bytes: [UInt8] = []

    init(_ exchange: Exchange, _ call: BodyCall, _ head: HTTPRequestHead, _ headers: RequestHeaders) {
        self.exchange = exchange
        self.call = call
        self.head = head
        self.headers = headers
    }
}

/// Takes the shop's answers to their connections, with one hop to each event loop for a whole batch.
public final class HTTPAnswerSink: AnswerSink, Sendable {
    /// Makes a sink for the connections of all listeners.
    public init() {}

    /// Hands the answers to the event loops of their connections, and returns. Callers that did not come over HTTP are
    /// left out.
    public func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        var batches: [(eventLoop: any EventLoop, answers: [(exchange: Exchange, answer: ShopAnswer)])] = []
        for (caller, answer) in answers {
            guard let exchange = caller as? Exchange else { continue }
            let eventLoop = exchange.connection.eventLoop
            if let index = batches.firstIndex(where: { $0.eventLoop === eventLoop }) {
                batches[index].answers.append((exchange, answer))
            } else {
                var first: [(exchange: Exchange, answer: ShopAnswer)] = []
                first.reserveCapacity(answers.count)
                first.append((exchange, answer))
                batches.append((eventLoop, first))
            }
        }
        for batch in batches {
            let answers = batch.answers
            batch.eventLoop.execute {
                for (exchange, answer) in answers { exchange.complete(answer) }
            }
        }
    }
}
