// One connection to one node: connects, logs in, writes the commands of a turn of the event loop in one go, and hands
// out the replies in order. It never reconnects and never sends anything again: its owner does.

import NIOCore

/// Is told what happens on a ``RedisConnection``. Called on the event loop; may send and close from within.
protocol RedisConnectionOwner: AnyObject {
    func connectionIsReady(_ connection: RedisConnection)
    /// The request's replies are complete.
    func connection(_ connection: RedisConnection, finished request: RedisRequest)
    /// The connection was closed, lost or not made. It is the last call, but for requests that finished together with
    /// the one whose owner closed the connection.
    func connection(_ connection: RedisConnection, closedWith loss: ConnectionLoss)
}

/// The end of a connection, and the requests that were on it.
struct ConnectionLoss {
    let reason: String
    /// Whether the first of the sent requests got an answer that cannot be decoded or is too long. It would get the
    /// same again.
    let isGarbled: Bool
    /// Requests that may have arrived, at least in part, with the replies that came.
    let sent: [RedisRequest]
    /// Requests of which nothing was written.
    let unsent: [RedisRequest]
}

/// The handler of a channel, and its owner's handle of that channel. Lives on one event loop.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private enum State {
        case connecting
        case loggingIn(RedisHandshake)
        case ready
        case closed
    }

    let address: RedisAddress
    private let context: ClientContext
    private weak var owner: (any RedisConnectionOwner)?
    private var state = State.connecting
    private var channel: (any Channel)?
    private var stream: RESPStream
    private var pipeline = RedisPipeline()
    private var outgoing = ByteBuffer()
    private var isFlushScheduled = false
    private var connectTimer: Scheduled<Void>?
    private var commandTimer: Scheduled<Void>?

    init(to address: RedisAddress, _ context: ClientContext, owner: any RedisConnectionOwner) {
        self.address = address
        self.context = context
        self.owner = owner
        stream = RESPStream(maximumBytes: context.options.maximumReplyBytes)
    }

    /// How many requests lack replies.
    var heldRequests: Int { pipeline.count }
    /// The size of their commands.
    var heldBytes: Int { pipeline.byteCount }

    private var isClosed: Bool {
        if case .closed = state { return true }
        return false
    }

    /// Begins to connect. To be called once.
    func open() {
        let patience = context.options.connectMilliseconds
        connectTimer = context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(patience)) {
            self.close("it was not connected and logged in within \(patience) ms")
        }
        context.transport.connect(self).assumeIsolated().whenFailure {
            self.close("it cannot be connected to: \(RedisTransport.reason($0))")
        }
    }

    /// Sends a request behind those before it. It is written at the end of this turn of the event loop. If it follows
    /// an `ASK` redirection, `ASKING` goes before each of its commands.
    func send(_ request: RedisRequest) {
        guard case .ready = state else { preconditionFailure("a request is sent on a connection that is not ready") }
        let isAsking = request.askedNode != nil
        pipeline.append(request, isAsking: isAsking, now: .now())
        for command in request.commands {
            if isAsking { outgoing.writeImmutableBuffer(RedisConnection.asking.encoded) }
            outgoing.writeImmutableBuffer(command.encoded)
        }
        if isFlushScheduled { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { self.flush() }
    }

    private static let asking = RedisCommand("ASKING")

    /// Closes the connection, and tells the owner which requests were on it.
    func close(_ reason: String, isGarbled: Bool = false) {
        if isClosed { return }
        state = .closed
        connectTimer?.cancel()
        commandTimer?.cancel()
        channel?.close(promise: nil)
        let (sent, unsent) = pipeline.drain()
        outgoing.clear()
        owner?.connection(
            self, closedWith: ConnectionLoss(reason: reason, isGarbled: isGarbled, sent: sent, unsent: unsent))
    }

    private func flush() {
        isFlushScheduled = false
        guard case .ready = state, outgoing.readableBytes > 0 else { return }
        if let trailer = pipeline.endTurn(now: .now()) { outgoing.writeImmutableBuffer(trailer.encoded) }
        write(outgoing)
        outgoing = ByteBuffer()
        if commandTimer == nil { watchForTimeout() }
    }

    private func write(_ bytes: ByteBuffer) { channel?.writeAndFlush(bytes, promise: nil) }

    /// Closes the connection if it has timed out, else looks again when it would.
    private func watchForTimeout() {
        commandTimer = nil
        let timeout = context.options.commandMilliseconds
        guard !isClosed, let due = pipeline.timesOut(after: .milliseconds(timeout)) else { return }
        if due <= .now() { return close("a command was not answered within \(timeout) ms") }
        commandTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.watchForTimeout() }
    }
}

extension RedisConnection {
    func handlerAdded(context: ChannelHandlerContext) { channel = context.channel }

    func handlerRemoved(context: ChannelHandlerContext) {
        close("it was closed")
        channel = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        guard case .connecting = state else { return context.close(promise: nil) }
        let handshake = RedisHandshake(self.context.options)
        state = .loggingIn(handshake)
        write(handshake.opening.encoded)
    }

    func channelInactive(context: ChannelHandlerContext) { close("the server closed it") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("it failed: \(RedisTransport.reason(error))") }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isClosed { return }
        stream.append(RedisConnection.unwrapInboundIn(data))
        let now = NIODeadline.now()
        do throws(RESPDecodingError) {
            while !isClosed, let reply = try stream.next() { receive(reply, now: now) }
        } catch {
            close("the answer cannot be understood: \(error)", isGarbled: true)
        }
    }

    private func receive(_ reply: RESPValue, now: NIODeadline) {
        // The client subscribes to nothing, so a push concerns nobody.
        if case .push = reply { return }
        switch state {
        case .connecting, .closed: break
        case .loggingIn(var handshake):
            let step = handshake.receive(reply)
            state = .loggingIn(handshake)
            perform(step)
        case .ready:
            switch pipeline.receive(reply, now: now) {
            case .more: break
            case .finished(let requests):
                // Kept alive until all are told: the first completion may drop whatever else refers to the owner.
                let owner = owner
                for request in requests { owner?.connection(self, finished: request) }
            case .unasked: close("the server said something unasked: \(reply.errorText ?? "a reply")")
            }
        }
    }

    private func perform(_ step: RedisHandshake.Step) {
        switch step {
        case .send(let commands):
            for command in commands { write(command.encoded) }
        case .wait: break
        case .failed(let error): close("the login failed: \(error)")
        case .done:
            state = .ready
            connectTimer?.cancel()
            owner?.connectionIsReady(self)
        }
    }
}
