// A client's connection to one replica: opens the link, sends requests, finds the origins of replies, and notices when
// the server is gone. Replica decides when a connection is made.

import KontorCore
import KontorService
import NIOCore

/// Observes a connection. Each method is called at most once, `didClose` last.
protocol ConnectionObserver: AnyObject {
    func didOpen(_ connection: ClientConnection)
    /// The server lives: it has answered on the link.
    func didHear(_ connection: ClientConnection)
    /// The server takes no more requests.
    func isLeaving(_ connection: ClientConnection)
    func didClose(_ connection: ClientConnection, reason: String)
}

/// The client's side of one link. Used on its channel's event loop only.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// The request for a link is sent; its answer is not complete.
        case greeting
        case open
        case closed
    }

    private let greeting: [UInt8]
    /// The name of the service that the server must be.
    private let service: String
    private weak var observer: (any ConnectionObserver)?
    private weak var receiver: (any MessageReceiver)?
    private var state = State.greeting
    private var context: ChannelHandlerContext?
    private var outbox: LinkOutbox?
    private var answer: [UInt8] = []
    private var frames = FrameReader()
    private var pending = PendingReplies()
    /// Why it was closed; nil: not known.
    private var reason: String?
    private let began = LinkClock.nowMilliseconds
    private var hasHeard = false
    /// When the last ping was sent, monotonic milliseconds; nil: none was.
    private var pinged: Int64?
    private var isPongDue = false
    /// When the ping was sent whose answer brings the server's clock; nil: that has come.
    private var clockAsked: Int64?
    /// Why the server takes no new work; nil: it takes it, or does not say.
    private(set) var admission: StoreError?
    /// By how much the server's clock is ahead of this process's, milliseconds; nil: not known.
    private(set) var clockSkewMilliseconds: Int64?

    /// - Parameters:
    ///   - greeting: the bytes that it sends first.
    ///   - service: the name of the service that the server must be; a server of the first release does not say it.
    ///   - receiver: takes the replies.
    init(greeting: [UInt8], service: String, observer: any ConnectionObserver, receiver: (any MessageReceiver)?) {
        self.greeting = greeting
        self.service = service
        self.observer = observer
        self.receiver = receiver
    }

    // MARK: What is said

    /// Sends a request.
    ///
    /// - Returns: false if the request was dropped: the server does not read what it was sent before, too many replies
    ///   are waited for, or the link is not open.
    func send(_ request: Message, now: Int64) -> Bool {
        guard let outbox, state == .open, !outbox.isFull, let numbered = pending.number(request, now: now) else { return false }
        return outbox.add(numbered)
    }

    /// Forgets the requests that were sent: their replies find nobody.
    func forgetReplies() { pending.forgetAll() }

    /// Pings, and closes a connection that is silent for too long. `wasAway`: this process did not run for a while, so
    /// it cannot tell who is silent.
    func tick(now: Int64, wasAway: Bool) {
        switch state {
        case .greeting:
            if now - began >= 2 * LinkLimits.openMilliseconds { close("the link was not opened in time") }
        case .open:
            // After a pause replies may be there that nobody has read.
            if !wasAway { pending.forget(before: now - Limits.pendingReplyMilliseconds) }
            guard let pinged, !wasAway else { return ping(now) }
            if isPongDue {
                if now - pinged >= LinkLimits.pongMilliseconds { close("the server is silent") }
            } else if now - pinged >= (pending.count > 0 ? LinkLimits.pingMilliseconds : LinkLimits.idlePingMilliseconds) {
                ping(now)
            }
        case .closed: break
        }
    }

    private func ping(_ now: Int64) {
        pinged = now
        clockAsked = now
        isPongDue = true
        outbox?.add(.ping)
    }

    /// Forgets the replies that it waits for, and closes.
    func close(_ reason: String) {
        if self.reason == nil { self.reason = reason }
        guard let context else { return }
        end()
        context.close(promise: nil)
    }

    private func end() {
        guard state != .closed else { return }
        state = .closed
        outbox?.close()
        outbox = nil
        context = nil
        pending = PendingReplies()
        observer?.didClose(self, reason: reason ?? "the server closed the connection")
    }

    // MARK: What comes

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        if reason != nil {
            end()
            return context.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: greeting)), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("\(error)") }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        switch state {
        case .greeting: readAnswer(bytes, context)
        case .open: read(bytes)
        case .closed: break
        }
    }

    private func readAnswer(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        answer += bytes.readableBytesView
        guard let end = LinkHandshake.endOfHead(in: answer) else {
            if answer.count > LinkLimits.greetingBytes { close("the answer to the link's request is too long") }
            return
        }
        guard let verdict = LinkHandshake.verdict(in: answer[..<end]) else { return close("the answer is none of a link") }
        let services = LinkHandshake.services(in: answer[..<end])
        let isOther = services.map { !service.isEmpty && !LinkHandshake.names(in: $0).contains(service) } ?? false
        if verdict == .otherService || isOther {
            return close("\(service) is wanted there, and the server is \(services ?? "another service")")
        }
        if let reason = verdict.reason { return close(reason) }
        let rest = ByteBuffer(bytes: answer[end...])
        answer = []
        state = .open
        outbox = LinkOutbox(context)
        ping(LinkClock.nowMilliseconds)
        observer?.didOpen(self)
        read(rest)
    }

    private func read(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        isPongDue = false
        frames.append(bytes)
        do throws(LinkError) {
            while state == .open, let frame = try frames.next() { try take(frame) }
        } catch {
            close(error.reason)
        }
    }

    private func take(_ frame: Frame) throws(LinkError) {
        if !hasHeard {
            hasHeard = true
            observer?.didHear(self)
        }
        switch frame.kind {
        case .ledgerReplies, .orderReplies: try receive(frame.readMessages())
        case .pong: break
        case .leaving: observer?.isLeaving(self)
        case .status: learn(try frame.readStatus())
        case .commands, .questions, .ping: throw LinkError("a server says what only clients say")
        }
    }

    private func learn(_ status: PeerStatus) {
        admission = status.admission
        guard let asked = clockAsked else { return }
        clockAsked = nil
        let halfway = (LinkClock.nowMilliseconds - asked) / 2
        // A slow answer tells too little, and a clock that is off beyond all measure must not overflow.
        guard halfway < LinkLimits.pongMilliseconds / 2 else { return }
        let (skew, overflow) = status.wallMilliseconds.subtractingReportingOverflow(LinkClock.wallMilliseconds - halfway)
        clockSkewMilliseconds = overflow ? .max / 2 : max(-.max / 2, min(.max / 2, skew))
    }

    private func receive(_ items: [NumberedMessage]) throws(LinkError) {
        var replies: [Message] = []
        replies.reserveCapacity(items.count)
        // Also those before a reply that cannot be: they are true.
        defer { if !replies.isEmpty { receiver?.receive(replies) } }
        for item in items {
            do throws(PendingReplies.WrongKind) {
                if let reply = try pending.reply(item) { replies.append(reply) }
            } catch {
                throw LinkError(error.reason)
            }
        }
    }
}
