// One connection: takes requests from the decoder, has them answered one at a time and in order, and keeps a client to
// its bounds. Parsing HTTP is the decoder's, routing the Router's, the shape of answers OutcomeResponse's.

import NIOCore
import NIOHTTP1
import NIOPosix

/// Lives on its channel's event loop. Its state is what is arriving, what waits for its turn, and what is being
/// answered.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Intake {
        case open
        /// No further request is wanted or will come.
        case ended
        /// A request was refused half-way: what still arrives is read and thrown away, so that the refusal can be read.
        case discarding
    }

    /// Where the table keeps this connection.
    var place: Int?
    private let table: ConnectionTable
    private var context: ChannelHandlerContext?

    // Arriving.
    private var intake = Intake.open
    private var isInputClosed = false
    private var arriving: Exchange?
    private var bodyBytes = 0
    /// Since when a head or a body is incomplete.
    private var incompleteSince: Int64?
    private var sawPart = false
    private var owesContinue = false
    private var isReadHeld = false

    // Waiting, and being answered.
    private var waiting = CircularBuffer<Exchange>()
    private var current: Exchange?
    /// On the clock of ``RequestTimers``.
    private var currentBegan: UInt64 = 0
    private var deadline = Int64.max
    private var idleSince: Int64 = 0
    private var unwritableSince: Int64?
    private var lingersUntil: Int64?

    init(_ table: ConnectionTable) { self.table = table }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Somebody else looked at the connection first.
        if context.channel.isActive { enter() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelActive(context: ChannelHandlerContext) { enter() }

    private func enter() {
        if table.isDraining {
            abort()
        } else if table.add(self) {
            idleSince = table.now
        } else {
            finish(with: table.bytes(of: Response(.tooManyConnections), persistence: .closed, isHead: false))
        }
    }

    func channelInactive(context: ChannelHandlerContext) { leave() }

    /// What is still with the shop goes on; its answer finds nobody.
    private func leave() {
        table.remove(self)
        intake = .ended
        current = nil
        arriving = nil
        waiting.removeAll()
        context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent else { return }
        isInputClosed = true
        if intake == .open { intake = .ended }
        if isIdle || lingersUntil != nil { abort() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError: refuse(.headersTooLarge)
        case is HTTPParserError, is ByteToMessageDecoderError: refuse(.malformedHTTP)
        default: abort()
        }
    }

    func abort() { context?.close(promise: nil) }

    /// The time of a shutdown is over: whoever still waits is told that the outcome is not known.
    func giveUp() {
        if let current, case .shop(let request) = current.target {
            complete(current, with: OutcomeResponse.response(to: request, .unknown))
        } else {
            abort()
        }
    }

    func drain() {
        if isIdle || lingersUntil != nil { abort() }
    }

    private var isIdle: Bool { current == nil && waiting.isEmpty && arriving == nil }
}

extension ConnectionHandler {
    var isShopFull: Bool { table.isShopFull }

    /// Whether a request that arrives now could be answered at once: none is arriving, waiting or being answered.
    var isAtRest: Bool {
        isIdle && intake == .open && incompleteSince == nil && unwritableSince == nil && !table.isDraining
    }

    /// Refuses a request that nobody has parsed.
    func shed() {
        sawPart = true
        idleSince = table.now
        table.service.shop?.didShedCheckout()
        context?.writeAndFlush(Self.wrapOutboundOut(table.refusal), promise: nil)
    }
}

extension ConnectionHandler {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard intake == .open else { return }
        sawPart = true
        switch Self.unwrapInboundIn(data) {
        case .head(let head): receive(head)
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > HTTPLimits.bodyBytes { refuse(.bodyTooLarge) }
        case .end: receiveEnd()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Bytes that completed nothing: a head is on its way.
        if !sawPart && intake == .open && incompleteSince == nil { incompleteSince = table.now }
        sawPart = false
    }

    /// Reading stops while enough is held, or while the client does not read its answers.
    func read(context: ChannelHandlerContext) {
        switch intake {
        case .discarding: context.read()
        case .open where waiting.count < HTTPLimits.pipelinedRequests && unwritableSince == nil: context.read()
        case .open, .ended: isReadHeld = true
        }
    }

    private func receive(_ head: HTTPRequestHead) {
        let isHead = head.method == .HEAD
        do throws(Problem) {
            if head.uri.utf8.count > HTTPLimits.pathBytes { throw .pathTooLong }
            let headers = try RequestHeaders(of: head)
            if headers.contentLength > HTTPLimits.bodyBytes { throw .bodyTooLarge }
            let isKept = head.isKeepAlive && !headers.wantsUpgrade && head.method != .CONNECT
            arriving = Exchange(
                headers.problem.map { .ready(Response($0)) }
                    ?? table.service.target(method: head.method, uri: head.uri, authorization: headers.authorization),
                key: headers.key, timeoutMilliseconds: headers.timeoutMilliseconds,
                persistence: !isKept ? .closed : head.version.minor == 0 ? .keptExplicitly : .kept,
                isHead: isHead, connection: bound)
            bodyBytes = 0
            incompleteSince = table.now
            owesContinue = headers.expectsContinue && headers.hasBody && head.version.minor > 0
            if owesContinue { sendOwedContinue() }
        } catch {
            refuse(error, isHead: isHead)
        }
    }

    private func receiveEnd() {
        guard let exchange = arriving else { return }
        arriving = nil
        incompleteSince = nil
        owesContinue = false
        if exchange.persistence == .closed { intake = .ended }
        enqueue(exchange)
    }

    private func enqueue(_ exchange: Exchange) {
        if waiting.count >= HTTPLimits.heldRequests {
            refuse(.notTaken)
            return
        }
        waiting.append(exchange)
        pump()
    }

    /// Answers what came before, then this, and takes nothing any more.
    private func refuse(_ problem: Problem, isHead: Bool = false) {
        guard intake == .open else { return }
        intake = .discarding
        arriving = nil
        waiting.append(Exchange(.ready(Response(problem)), persistence: .closed, isHead: isHead, connection: bound))
        pump()
    }

    private var bound: NIOLoopBound<ConnectionHandler> { NIOLoopBound(self, eventLoop: table.eventLoop) }
}

extension ConnectionHandler {
    /// Whether an answer to this exchange still matters.
    func awaits(_ exchange: Exchange) -> Bool { current === exchange }

    /// Answers the current exchange, and begins the next.
    func complete(_ exchange: Exchange, with response: Response) {
        guard awaits(exchange) else { return }
        answer(exchange, with: response)
        pump()
    }

    private func pump() {
        while current == nil, unwritableSince == nil, let next = waiting.popFirst() { begin(next) }
        if owesContinue { sendOwedContinue() }
        if isReadHeld, let context {
            isReadHeld = false
            read(context: context)
        }
    }

    private func begin(_ exchange: Exchange) {
        current = exchange
        currentBegan = RequestTimers.now
        switch exchange.target {
        case .ready(let response): answer(exchange, with: response)
        case .page(let compute):
            deadline = .max
            NIOThreadPool.singleton.runIfActive(eventLoop: table.eventLoop, compute).whenComplete { result in
                let response = (try? result.get()).map { Response($0) } ?? Response(.pageFailed)
                exchange.connection.value.complete(exchange, with: response)
            }
        case .shop(let request):
            let now = table.service.monotonicMilliseconds()
            deadline = request.hasDeadline ? now + exchange.timeoutMilliseconds : .max
            table.submit(exchange, request, deadline: deadline)
        }
    }

    private func answer(_ exchange: Exchange, with response: Response) {
        current = nil
        deadline = .max
        idleSince = table.now
        table.timers.answered(exchange.target, response.status, since: currentBegan)
        let isLast = exchange.persistence == .closed || table.isDraining || (isInputClosed && waiting.isEmpty)
        let bytes = table.bytes(
            of: response, persistence: isLast ? .closed : exchange.persistence, isHead: exchange.isHead)
        if isLast {
            finish(with: bytes)
        } else {
            context?.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil)
        }
    }

    /// Writes the connection's last bytes, and closes it when they are out.
    private func finish(with bytes: ByteBuffer) {
        guard let context else { return }
        if intake == .open { intake = .ended }
        arriving = nil
        owesContinue = false
        waiting.removeAll()
        lingersUntil = table.now + HTTPLimits.unreadAnswerMilliseconds
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = bound
        written.futureResult.whenComplete { _ in bound.value.closeWritten() }
        context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: written)
    }

    /// A connection that is closed with unread input is reset, and its client may never see the answer. So after a
    /// refusal only the output is closed, and the client's end awaited for a while.
    private func closeWritten() {
        guard let context else { return }
        if intake == .discarding && place != nil {
            lingersUntil = table.now + HTTPLimits.lingerMilliseconds
            context.close(mode: .output, promise: nil)
        } else {
            context.close(promise: nil)
        }
    }

    /// `100 Continue`, once everything before it is answered.
    private func sendOwedContinue() {
        guard current == nil, waiting.isEmpty, arriving != nil else { return }
        owesContinue = false
        context?.writeAndFlush(
            Self.wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }
}

extension ConnectionHandler {
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        unwritableSince = context.channel.isWritable ? nil : table.now
        if unwritableSince == nil { pump() }
    }

    /// Looks at the clock: for the deadline of the request being answered, and for clients that keep the connection
    /// waiting.
    func sweep(now: Int64) {
        if let unwritableSince, now - unwritableSince > HTTPLimits.unreadAnswerMilliseconds {
            table.service.metrics.dropped.increment()
            return abort()
        }
        if let lingersUntil {
            if now >= lingersUntil { abort() }
        } else if let current {
            if now >= deadline, case .shop(let request) = current.target {
                complete(current, with: OutcomeResponse.response(to: request, .unknown))
            }
        } else if let incompleteSince {
            let bound = arriving == nil ? HTTPLimits.headMilliseconds : HTTPLimits.bodyMilliseconds
            if now - max(incompleteSince, idleSince) > bound { refuse(.slowRequest) }
        } else if waiting.isEmpty, now - idleSince > HTTPLimits.idleMilliseconds {
            abort()
        }
    }
}
