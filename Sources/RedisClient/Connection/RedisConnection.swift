// One connection to one node: connects, logs in, writes what a turn of the event loop brought in one go, and gives the
// replies back in order. Never reconnects and never repeats: that is its owner's.

import NIOCore

/// Who made a connection and is told what becomes of it. Called on the event loop, and free to send and to close.
protocol RedisConnectionOwner: AnyObject {
    func connectionIsReady(_ connection: RedisConnection)
    /// The unit's replies are complete.
    func connection(_ connection: RedisConnection, finished unit: RedisUnit)
    /// The last that is heard of it.
    func connection(_ connection: RedisConnection, closedWith loss: RedisLoss)
}

/// What a connection that closed leaves behind.
struct RedisLoss {
    let reason: String
    /// The first of the sent units got an answer that is no reply or too long: sending it again would end the same.
    let isGarbled: Bool
    /// Units of which bytes may have left, with the replies that came.
    let sent: [RedisUnit]
    /// Units of which nothing has left.
    let unsent: [RedisUnit]
}

/// A channel handler, and the handle of its channel. Lives on one event loop.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private enum State {
        case connecting
        case greeting(RedisHandshake)
        case ready
        case closed
    }

    let address: RedisAddress
    private let options: RedisOptions
    private let eventLoop: any EventLoop
    private weak var owner: (any RedisConnectionOwner)?
    private var state = State.connecting
    private var channel: (any Channel)?
    private var stream: RESPStream
    private var pipeline = RedisPipeline()
    private var outgoing = ByteBuffer()
    private var isFlushScheduled = false
    private var connectTimer: Scheduled<Void>?
    private var commandTimer: Scheduled<Void>?

    init(to address: RedisAddress, options: RedisOptions, on eventLoop: any EventLoop, owner: any RedisConnectionOwner) {
        self.address = address
        self.options = options
        self.eventLoop = eventLoop
        self.owner = owner
        stream = RESPStream(maximumBytes: options.maximumReplyBytes)
    }

    /// Units without their last reply, and the bytes of their commands.
    var heldUnits: Int { pipeline.count }
    var heldBytes: Int { pipeline.byteCount }

    private var isClosed: Bool {
        if case .closed = state { return true }
        return false
    }

    func open(with transport: RedisTransport) {
        connectTimer = eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(options.connectMilliseconds)) {
            self.close("it was not connected and logged in within \(self.options.connectMilliseconds) ms")
        }
        transport.connect(self).assumeIsolated().whenFailure {
            self.close("it cannot be connected to: \(RedisTransport.reason($0))")
        }
    }

    /// Sends a unit behind those before it. It is written at the end of this turn of the event loop.
    ///
    /// - Parameter isAsking: whether the node is to answer though the slot is still being moved to it.
    func send(_ unit: RedisUnit, isAsking: Bool) {
        guard case .ready = state else { preconditionFailure("a unit is sent on a connection that is not ready") }
        pipeline.append(unit, isAsking: isAsking, now: .now())
        for command in unit.commands {
            if isAsking { outgoing.writeImmutableBuffer(RedisConnection.asking.encoded) }
            outgoing.writeImmutableBuffer(command.encoded)
        }
        if isFlushScheduled { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { self.flush() }
    }

    private static let asking = RedisCommand("ASKING")

    /// Closes it, and tells the owner what was on it.
    func close(_ reason: String, isGarbled: Bool = false) {
        if isClosed { return }
        state = .closed
        connectTimer?.cancel()
        commandTimer?.cancel()
        channel?.close(promise: nil)
        let (sent, unsent) = pipeline.drain()
        outgoing.clear()
        owner?.connection(
            self, closedWith: RedisLoss(reason: reason, isGarbled: isGarbled, sent: sent, unsent: unsent))
    }

    private func flush() {
        isFlushScheduled = false
        guard case .ready = state, outgoing.readableBytes > 0 else { return }
        if let trailer = pipeline.endTurn(now: .now()) { outgoing.writeImmutableBuffer(trailer.encoded) }
        write(outgoing)
        outgoing = ByteBuffer()
        if commandTimer == nil { watchCommands() }
    }

    private func write(_ bytes: ByteBuffer) { channel?.writeAndFlush(bytes, promise: nil) }

    /// Comes back when the oldest unit will have waited too long, if it still waits then.
    private func watchCommands() {
        commandTimer = nil
        guard !isClosed, let due = pipeline.patienceEnds(.milliseconds(options.commandMilliseconds)) else { return }
        if due <= .now() { return close("a command was not answered within \(options.commandMilliseconds) ms") }
        commandTimer = eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.watchCommands() }
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
        let handshake = RedisHandshake(options)
        state = .greeting(handshake)
        write(handshake.opening.encoded)
    }

    func channelInactive(context: ChannelHandlerContext) { close("the server closed it") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("it failed: \(error)") }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isClosed { return }
        stream.append(RedisConnection.unwrapInboundIn(data))
        let now = NIODeadline.now()
        do throws(RESPError) {
            while !isClosed, let reply = try stream.next() { receive(reply, now: now) }
        } catch {
            close("the answer cannot be understood: \(error)", isGarbled: true)
        }
    }

    private func receive(_ reply: RESPValue, now: NIODeadline) {
        // Nobody subscribes to anything here.
        if case .push = reply { return }
        switch state {
        case .connecting, .closed: break
        case .greeting(var handshake):
            let step = handshake.receive(reply)
            state = .greeting(handshake)
            perform(step)
        case .ready:
            switch pipeline.receive(reply, now: now) {
            case .more: break
            case .finished(let units):
                // Held until all have been told: the first one may be what it was kept for.
                let owner = owner
                for unit in units { owner?.connection(self, finished: unit) }
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
