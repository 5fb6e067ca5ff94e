// One link of a server: opens it if the client may have it, hands requests to the service, and sends the replies back.

import KontorCore
import KontorService
import NIOCore

/// The server's side of one link. Used on its channel's event loop only. It reads nothing while the client does not
/// take its replies.
final class ServerConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State: Equatable {
        /// The client's request for a link is not complete yet.
        case greeting
        /// The link is open, under its name in the origins of requests.
        case open(UInt64)
        case closed
    }

    private let server: LinkServer
    private var state = State.greeting
    private var context: ChannelHandlerContext?
    private var outbox: LinkOutbox?
    private var request: [UInt8] = []
    private var frames = FrameReader()
    private var isReadHeld = false
    /// Whether the client takes this process's status.
    private var takesStatus = false
    /// What the client was told last.
    private var toldAdmission: StoreError?
    /// The client's address, for the log: once the connection is gone, the channel does not know it.
    private var client: SocketAddress?
    private let began = LinkClock.nowMilliseconds
    private var heard = LinkClock.nowMilliseconds

    init(_ server: LinkServer) { self.server = server }

    private var isOpen: Bool { if case .open = state { true } else { false } }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        client = context.remoteAddress
        if !server.add(self) { close() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        let wasOpen = isOpen
        end()
        if wasOpen { server.closed(because: "the client closed the connection", from: client) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(because: "\(error)") }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { close(because: "the client says nothing more") }
    }

    // MARK: What comes

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        heard = LinkClock.nowMilliseconds
        switch state {
        case .greeting: readRequest(bytes, context)
        case .open: read(bytes)
        case .closed: break
        }
    }

    private func readRequest(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        request += bytes.readableBytesView
        let end = LinkHandshake.endOfHead(in: request)
        if end == nil, request.count <= LinkLimits.greetingBytes { return }
        let verdict =
            end.map {
                LinkHandshake.judge(
                    request[..<$0], secrets: server.secrets, epoch: server.epoch, services: server.services,
                    isProven: server.isProven?(context.channel) ?? true)
            } ?? .malformed
        let answer = context.channel.allocator.buffer(
            string: LinkHandshake.response(verdict, services: server.services))
        let offer = verdict == .opened || verdict == .otherService ? end.map { LinkHandshake.offer(in: request[..<$0]) } : nil
        guard verdict == .opened, let end else { return refuse(verdict, offer, answer, context) }
        takesStatus = offer?.takesStatus == true && server.status != nil
        let rest = ByteBuffer(bytes: request[end...])
        request = []
        open(context)
        context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        read(rest)
    }

    private func refuse(
        _ verdict: LinkHandshake.Verdict, _ offer: LinkHandshake.Offer?, _ answer: ByteBuffer, _ context: ChannelHandlerContext
    ) {
        state = .closed
        var reason = verdict.reason ?? ""
        if verdict == .otherService, let wanted = offer?.service {
            reason = "\(wanted) is wanted here, and this is \(server.services.joined(separator: ", "))"
        }
        server.refused(because: reason, from: client)
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(answer), promise: written)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in close() }
    }

    private func open(_ context: ChannelHandlerContext) {
        state = .open(server.opened(self, from: client))
        outbox = LinkOutbox(context)
        let options = context.channel.syncOptions
        try? options?.setOption(.recvAllocator, value: LinkLimits.receiveAllocator)
        try? options?.setOption(.writeBufferWaterMark, value: LinkLimits.waterMark)
    }

    private func read(_ bytes: ByteBuffer) {
        frames.append(bytes)
        do throws(LinkError) {
            while case .open(let link) = state, let frame = try frames.next() { try take(frame, link) }
        } catch {
            close(because: error.reason)
        }
    }

    private func take(_ frame: Frame, _ link: UInt64) throws(LinkError) {
        switch frame.kind {
        case .commands, .questions:
            let requests = try frame.readMessages().map { Message(.link(link, number: $0.number), $0.body) }
            if !requests.isEmpty { server.receiver.receive(requests) }
        case .ping:
            outbox?.add(.pong)
            tellStatus()
        case .pong, .ledgerReplies, .orderReplies, .leaving, .status: throw LinkError("a client says what only servers say")
        }
    }

    // MARK: What is said

    private func tellStatus() {
        guard takesStatus, let status = server.status?() else { return }
        toldAdmission = status.admission
        outbox?.add(status)
    }

    /// Sends a reply, or closes the link of a client that does not take its replies.
    func send(_ reply: NumberedMessage) {
        guard let outbox else { return }
        if outbox.isFull { return close(because: "the client does not take its replies") }
        if !outbox.add(reply) { server.refused(because: "a reply is too large", from: client) }
    }

    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable { context.read() } else { isReadHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, isReadHeld else { return }
        isReadHeld = false
        context.read()
    }

    // MARK: The end

    private func close(because reason: String) {
        let wasOpen = isOpen
        close()
        if wasOpen { server.closed(because: reason, from: client) }
    }

    /// Ends the link, and removes the connection from the server.
    private func end() {
        if case .open(let link) = state { server.forget(link) }
        state = .closed
        outbox?.close()
        outbox = nil
        context = nil
        server.remove(self)
    }
}

extension ServerConnection: ServedConnection {
    func tick(now: Int64, wasAway: Bool) {
        if wasAway {
            heard = now
        } else if isOpen {
            if now - heard >= LinkLimits.silentClientMilliseconds { return close(because: "the client is silent") }
            if takesStatus, server.status?().admission != toldAdmission { tellStatus() }
        } else if now - began >= LinkLimits.firstBytesMilliseconds {
            close()
        }
    }

    func close() {
        guard let context else { return }
        outbox?.flush()
        end()
        context.close(promise: nil)
    }

    func leave() { outbox?.add(.leaving) }
}
