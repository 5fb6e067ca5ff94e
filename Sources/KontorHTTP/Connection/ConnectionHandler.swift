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
    /// Who connected; nil: not known.
    private(set) var peer: NetworkAddress?
    /// Whether that is a trusted proxy.
    private(set) var isProxy = false
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

    init(_ table: ConnectionTable) { self.table = table }

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
        peer = NetworkAddress(context?.remoteAddress)
        isProxy = peer.map { table.service.access.proxies?.contains($0) == true } ?? false
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
            if let problem = machine.bodyArrived(bytes.readableBytes) { refuse(problem) }
        case .end:
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
            let headers = try RequestHeaders(of: head)
            if headers.contentLength > HTTPLimits.bodyBytes { throw .bodyTooLarge }
            let isKept =
                head.isKeepAlive && !headers.wantsClose && !headers.wantsUpgrade && head.method != .CONNECT
                && reservedUntil == nil
            let target = target(of: head, headers)
            let keyHolder = keyHolder(of: target, headers)
            let mayKeepKey = keyHolder.map { table.limits.hasRoomForKey(of: $0.caller, now: table.now) } ?? true
            let name = headers.name(of: target, note: note(of: target, head.uri, headers), mayKeepKey: mayKeepKey)
            let exchange = Exchange(
                target, name: name, keyHolder: keyHolder, timeoutMilliseconds: headers.timeoutMilliseconds,
                persistence: !isKept ? .closed : head.version.minor == 0 ? .keptExplicitly : .kept,
                isHead: isHead, connection: bound)
            let wantsContinue = headers.expectsContinue && headers.hasBody && head.version.minor > 0
            machine.headArrived(exchange, wantsContinue: wantsContinue, at: table.now)
            if wantsContinue { proceed() }
        } catch {
            refuse(error, isHead: isHead)
        }
    }

    /// What is to be done for a request. If a gateway sends it again, the first copy may be on its way to a process
    /// that lets it in, so nobody knows what becomes of a copy that is refused here.
    private func target(of head: HTTPRequestHead, _ headers: RequestHeaders) -> HTTPService.Target {
        let isRepeated = headers.stamp?.isRepeated == true
        do throws(Problem) {
            if let problem = headers.problem { throw problem }
            let access = table.service.access
            if headers.stamp != nil, !access.mayStamp(isProxy: isProxy) { throw .unknownGateway }
            let isHostKnown = isProxy || headers.host == table.knownHost
            if let refusal = access.browsers.refusal(of: head.method, headers, isHostKnown: isHostKnown) { throw refusal }
            if !isHostKnown { table.knownHost = headers.host }
            let target = try table.service.target(of: head.method, head.uri, by: access.isOpen ? nil : asker(headers))
            if !table.limits.isEmpty, !isRepeated, case .shop(let call) = target {
                try table.limits.take(call, from: client(headers), now: table.now)
            }
            return target
        } catch {
            let isOfAccess = [401, 403, 429].contains(error.kind.status)
            if isRepeated && isOfAccess { return .ready(Response(.unknownCopy)) }
            return .ready(headers.stamp == nil ? Response(error) : Response(toGateway: error))
        }
    }

    private func asker(_ headers: RequestHeaders) -> Asker {
        Asker(
            access: table.service.access, authorization: headers.authorization, address: client(headers),
            limits: table.limits, now: table.now, wallSeconds: table.wallSeconds, isGateway: headers.stamp != nil)
    }

    /// What the audit trail says of a request; nil: nothing.
    private func note(of target: HTTPService.Target, _ uri: String, _ headers: RequestHeaders) -> TrailNote? {
        guard case .shop(let call) = target, let principal = call.principal, call.isRecorded else { return nil }
        return TrailNote(call, by: principal, uri, from: address(headers))
    }

    /// Whose key a write bears, where callers may have a number of them; nil: nobody's.
    private func keyHolder(of target: HTTPService.Target, _ headers: RequestHeaders) -> CallerLimits.KeyHolder? {
        guard headers.key != nil, table.limits.areKeysLimited, case .shop(let call) = target else { return nil }
        return CallerLimits.KeyHolder(CallerLimits.Caller(call.principal, client(headers)))
    }

    /// The client's part of the limits: its address, or its network.
    private func client(_ headers: RequestHeaders) -> NetworkAddress? { address(headers)?.caller }

    /// The address of the client: what a trusted proxy says, else who connected.
    private func address(_ headers: RequestHeaders) -> NetworkAddress? {
        guard isProxy, let peer, let forwardedFor = headers.forwardedFor else { return peer }
        return table.service.access.proxies?.client(forwardedFor, peer: peer)
    }

    /// Answers what came before, then this, and takes nothing any more.
    private func refuse(_ problem: Problem, isHead: Bool = false) {
        guard machine.isOpen else { return }
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
            machine.awaitsAnswer(until: deadline)
            table.submit(exchange, call, deadline: deadline)
        }
    }

    private func answer(_ exchange: Exchange, with response: Response) {
        table.timers.answered(exchange.target, response.status, since: currentBegan)
        let isLast = machine.answered(at: table.now)
        let bytes = table.bytes(
            of: response, persistence: isLast ? .closed : exchange.persistence, isHead: exchange.isHead)
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
