// One connection's shell: hands what NIO tells to the state machine, and does on the channel what that says. Parsing
// HTTP is the decoder's, routing the Router's, the shape of answers OutcomeResponse's.

import KontorCore
import KontorService
import NIOCore
import NIOHTTP1

/// The last handler of a connection's channel. It lives on the channel's event loop.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Where the table keeps this connection; nil while it does not.
    var place: Int?
    private let table: ConnectionTable
    private var reader: RequestReader
    /// Who connected; nil: not known.
    var peer: NetworkAddress? { reader.peer }
    /// Whether that is a trusted proxy.
    var isProxy: Bool { reader.isProxy }
    /// nil once the connection is gone.
    private var context: ChannelHandlerContext?
    private var machine = ConnectionStateMachine<Exchange>()
    /// When the current exchange began, on the clock of ``RequestTimers``.
    private var currentBegan: UInt64 = 0
    /// Until when it may ask for the process's health, which is all that it may; nil: it may ask for everything.
    private var reservedUntil: Int64?
    /// Whether the table counts it among those whose requests have arrived in part.
    private var isHalfSent = false {
        didSet { if isHalfSent != oldValue { table.isHalfSent(self, isHalfSent) } }
    }
    /// Whether the table counts it among those whose clients do not read.
    private var isUnread = false {
        didSet { if isUnread != oldValue { table.isUnread(self, isUnread) } }
    }

    /// The request whose body says what it asks for, while that arrives; nil: there is none.
    private var arriving: ArrivingBody?

    init(_ table: ConnectionTable) {
        self.table = table
        reader = RequestReader(table, peer: nil)
    }

    private var bound: NIOLoopBound<ConnectionHandler> { NIOLoopBound(self, eventLoop: table.eventLoop) }

    private func close() { context?.close(promise: nil) }
}

// MARK: Opening and closing

extension ConnectionHandler {
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Already active: a connection filter (HTTPListener.bind) looked at the connection first.
        if context.channel.isActive { enter() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelActive(context: ChannelHandlerContext) { enter() }

    private func enter() {
        if table.isDraining { return close() }
        reader = RequestReader(table, peer: NetworkAddress(context?.remoteAddress))
        if table.add(self) { reservedUntil = table.now + HTTPLimits.reservedMilliseconds }
        machine.opened(at: table.now)
    }

    /// Tells the client that there are too many connections, and closes this one.
    func turnAway() {
        leaveReserve()
        guard machine.isOpen else { return }
        table.service.metrics.refusedConnection()
        machine.turnedAway(at: table.now)
        writeLast(table.bytes(of: Response(.tooManyConnections), persistence: .closed, isHead: false))
    }

    private func leaveReserve() {
        guard reservedUntil != nil else { return }
        reservedUntil = nil
        table.leaveReserve(self)
    }

    /// Since when nobody waits for anything here; nil: somebody does.
    var restSince: Int64? { machine.restSince }

    /// Closes the connection at once: another one needs its place.
    func evict() {
        let context = context
        leave()
        context?.close(promise: nil)
    }

    /// Closes the connection of a client that does not read.
    func drop() {
        table.service.metrics.dropped.increment()
        close()
    }

    func channelInactive(context: ChannelHandlerContext) { leave() }

    /// Forgets all requests. Those that are with the shop go on there; their answers find nobody.
    private func leave() {
        leaveReserve()
        isHalfSent = false
        isUnread = false
        if let current = machine.current, case .shop = current.target { table.service.shop?.didGiveUp(current) }
        table.remove(self)
        machine.closed()
        context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent else { return }
        machine.inputClosed()
        if machine.isClosable { close() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError: refuse(.headersTooLarge)
        case is HTTPParserError, is ByteToMessageDecoderError: refuse(.malformedHTTP)
        default: close()
        }
    }

    /// A shutdown begins: closes the connection behind what is being written, if nobody waits for an answer. A page is
    /// not waited for.
    func drain() {
        if case .page? = machine.current?.target {
            machine.awaitsAnswer(until: table.now + HTTPLimits.shutdownPatienceMilliseconds)
        }
        if machine.drain(at: table.now) { writeLast(ByteBuffer()) }
    }

    /// The time of a shutdown is over: tells who still waits that the outcome is unknown, and closes the connection.
    func giveUp() {
        if let current = machine.current, case .shop = current.target { expire(current) } else { close() }
    }
}

// MARK: Arriving

extension ConnectionHandler {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard machine.partArrived() else { return }
        switch Self.unwrapInboundIn(data) {
        case .head(let head): receive(head)
        case .body(let bytes):
            if let problem = machine.bodyArrived(bytes.readableBytes) { return refuse(problem) }
            arriving?.bytes.append(contentsOf: bytes.readableBytesView)
        case .end:
            if let arriving { resolve(arriving) }
            if let problem = machine.endArrived() { refuse(problem) } else { proceed() }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        machine.readCompleted(at: table.now)
        isHalfSent = machine.isHalfSent
    }

    func read(context: ChannelHandlerContext) {
        if machine.readRequested() { context.read() }
    }

    private func receive(_ head: HTTPRequestHead) {
        let isHead = head.method == .HEAD
        do throws(Problem) {
            if reservedUntil != nil, !HTTPService.asksForHealth(head.uri) {
                table.service.metrics.refusedConnection()
                throw .tooManyConnections
            }
            if head.uri.utf8.count > HTTPLimits.pathBytes { throw .pathTooLong }
            let headers = try RequestHeaders(of: head, knownHost: table.knownHost)
            if headers.contentLength > HTTPLimits.bodyBytes { throw .bodyTooLarge }
            let isKept =
                head.isKeepAlive && !headers.wantsClose && !headers.wantsUpgrade && head.method != .CONNECT
                && reservedUntil == nil
            let target = reader.target(of: head, headers)
            var marks: (name: WriteName?, keyHolder: CallerLimits.KeyHolder?) = (nil, nil)
            if case .shop(let call) = target { marks = reader.marks(of: call, head.uri, headers) }
            let exchange = Exchange(
                target, name: marks.name, keyHolder: marks.keyHolder, timeoutMilliseconds: headers.timeoutMilliseconds,
                persistence: !isKept ? .closed : head.version.minor == 0 ? .keptExplicitly : .kept,
                isHead: isHead, connection: bound)
            if headers.origin != nil { exchange.origin = reader.openOrigin(head, headers) }
            if case .body(let call) = target { arriving = ArrivingBody(exchange, call, head, headers) }
            let wantsContinue = headers.expectsContinue && headers.hasBody && head.version.minor > 0
            machine.headArrived(exchange, wantsContinue: wantsContinue, at: table.now)
            if wantsContinue { proceed() }
        } catch {
            refuse(error, isHead: isHead)
        }
    }

    /// The body has arrived that says what its request asks for.
    private func resolve(_ arriving: ArrivingBody) {
        self.arriving = nil
        let (target, name, keyHolder) = reader.target(of: arriving.call, arriving.bytes, arriving.head, arriving.headers)
        arriving.exchange.resolve(target, name: name, keyHolder: keyHolder)
    }

    /// Answers what came before, then this, and takes nothing any more.
    private func refuse(_ problem: Problem, isHead: Bool = false) {
        guard machine.isOpen else { return }
        arriving = nil
        machine.refused(
            with: Exchange(.ready(Response(problem)), persistence: .closed, isHead: isHead, connection: bound))
        isHalfSent = false
        proceed()
    }

    /// Refuses the request that has arrived in part: there are too many such.
    func refuseHalfSent() { refuse(.tooManyHalfSent) }
}

// MARK: Refusing before parsing

extension ConnectionHandler {
    var isShopFull: Bool { table.isShopFull }

    /// Whether a request that arrives now could be answered at once.
    var isAtRest: Bool { machine.isAtRest && !table.isDraining && reservedUntil == nil }

    /// Refuses a request that nobody has parsed.
    func shed() {
        machine.shed(at: table.now)
        table.service.shop?.didShedCheckout()
        context?.writeAndFlush(Self.wrapOutboundOut(table.refusal), promise: nil)
    }
}

// MARK: Answering

extension ConnectionHandler {
    /// A key was kept with the write that is answered now.
    func didKeepKey(of caller: CallerLimits.Caller) { table.limits.didKeepKey(of: caller, now: table.now) }

    /// Whether an answer to this exchange still matters.
    func awaits(_ exchange: Exchange) -> Bool { machine.awaits(exchange) }

    /// Answers the current exchange, and goes on with the next. Does nothing for one that is not awaited any more.
    func complete(_ exchange: Exchange, with response: Response) {
        guard machine.awaits(exchange) else { return }
        answer(exchange, with: response)
        proceed()
    }

    /// Does what has become possible.
    private func proceed() {
        while let step = machine.next() {
            switch step {
            case .begin(let exchange): begin(exchange)
            case .sendContinue:
                let bytes = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
                context?.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil)
            case .read: context?.read()
            }
        }
    }

    private func begin(_ exchange: Exchange) {
        currentBegan = RequestTimers.now
        switch exchange.target {
        case .ready(let response): answer(exchange, with: response)
        // It is resolved before its turn comes.
        case .body: answer(exchange, with: Response(.pageFailed))
        case .page(let compute):
            let connection = exchange.connection
            compute { page in
                connection.eventLoop.execute {
                    connection.value.complete(exchange, with: page.map { Response($0) } ?? Response(.pageFailed))
                }
            }
        case .shop(let call):
            let now = table.service.monotonicMilliseconds()
            let deadline = call.request.isBatchInit ? .max : now + exchange.timeoutMilliseconds
            // Who creates an order is told by the shop which one it may be, also when nobody knows what became of it.
            let grace = call.request.isPlacement ? HTTPLimits.placementGraceMilliseconds : 0
            machine.awaitsAnswer(until: call.request.isBatchInit ? .max : deadline + grace)
            table.submit(exchange, call, deadline: deadline)
        }
    }

    private func answer(_ exchange: Exchange, with response: Response) {
        table.timers.answered(exchange.target, response.status, since: currentBegan)
        let isLast = machine.answered(at: table.now)
        let bytes = table.bytes(
            of: exchange.origin.map { response.readable(by: $0) } ?? response,
            persistence: isLast ? .closed : exchange.persistence, isHead: exchange.isHead)
        if isLast {
            writeLast(bytes)
        } else {
            context?.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil)
        }
    }

    /// Writes the connection's last bytes, and closes it when they are out.
    private func writeLast(_ bytes: ByteBuffer) {
        guard let context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = bound
        written.futureResult.whenComplete { _ in bound.value.closeWritten() }
        context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: written)
    }

    private func closeWritten() {
        guard let context else { return }
        switch machine.lastAnswerWritten(at: table.now) {
        case .close: context.close(promise: nil)
        case .closeOutput: context.close(mode: .output, promise: nil)
        }
    }

    /// Tells the client that the outcome of its request is unknown. A page has no outcome.
    private func expire(_ exchange: Exchange) {
        if case .page = exchange.target { return close() }
        exchange.complete(.unknown)
        table.service.shop?.didGiveUp(exchange)
    }
}

// MARK: Time

extension ConnectionHandler {
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        machine.writabilityChanged(isWritable, at: table.now)
        isUnread = !isWritable
        if isWritable { proceed() }
    }

    /// Looks at the clock: for the deadline of the request being answered, and for clients that keep the connection
    /// waiting.
    func sweep(now: Int64) {
        if let reservedUntil, now > reservedUntil { return turnAway() }
        switch machine.sweep(at: now) {
        case .none: break
        case .close: close()
        case .drop: drop()
        case .expire(let exchange): expire(exchange)
        case .refuse(let problem): refuse(problem)
        }
    }
}
