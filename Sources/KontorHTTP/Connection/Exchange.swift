// One request and the way back to its connection, and the sink through which the shop's answers find that way.

import KontorCore
import KontorService
import NIOCore

/// One request on its way. It is the shop's caller: a new object for each request, so that an answer which comes late,
/// or twice, can never be taken for that of the connection's next request.
final class Exchange: Caller {
    let target: HTTPService.Target
    let key: IdempotencyKey?
    let timeoutMilliseconds: Int64
    let persistence: Response.Persistence
    let isHead: Bool
    let connection: NIOLoopBound<ConnectionHandler>

    init(
        _ target: HTTPService.Target, key: IdempotencyKey? = nil, timeoutMilliseconds: Int64 = 0,
        persistence: Response.Persistence, isHead: Bool, connection: NIOLoopBound<ConnectionHandler>
    ) {
        self.target = target
        self.key = key
        self.timeoutMilliseconds = timeoutMilliseconds
        self.persistence = persistence
        self.isHead = isHead
        self.connection = connection
    }

    /// To be called on the connection's event loop.
    func complete(_ answer: ShopAnswer) {
        guard case .shop(let request) = target else { return }
        let connection = connection.value
        guard connection.awaits(self) else { return }
        connection.complete(self, with: OutcomeResponse.response(to: request, answer))
    }
}

/// Takes the shop's answers to their connections: one hop to each event loop and batch.
public final class HTTPAnswerSink: AnswerSink, Sendable {
    public init() {}

    /// Callers that are not of this module are left out.
    public func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        var batches: [(eventLoop: any EventLoop, answers: [(exchange: Exchange, answer: ShopAnswer)])] = []
        for (caller, answer) in answers {
            guard let exchange = caller as? Exchange else { continue }
            let eventLoop = exchange.connection.eventLoop
            if let index = batches.firstIndex(where: { $0.eventLoop === eventLoop }) {
                batches[index].answers.append((exchange, answer))
            } else {
                batches.append((eventLoop, [(exchange, answer)]))
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
