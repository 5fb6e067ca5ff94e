// One connection of a client to one replica: opens the link, says what is to be said, finds whom replies are for, and notices when
// nobody is there any more. Which replica it is, and when it is tried again, is Replica's.

import KontorCore
import KontorService
import NIOCore

/// Learns what becomes of a connection. Each is called once at most, `didClose` last.
protocol ConnectionObserver: AnyObject {
    func didOpen(_ connection: ClientConnection)
    /// The other side lives: it has answered on the link.
    func didHear(_ connection: ClientConnection)
    /// The server wants no more messages.
    func isLeaving(_ connection: ClientConnection)
    func didClose(_ connection: ClientConnection, reason: String)
}

/// Lives on its channel's event loop and is used only there.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// The request is sent, and the answer not whole.
        case greeting
        case open
        case closed
    }

    private let greeting: [UInt8]
    private weak var observer: (any ConnectionObserver)?
    private var state = State.greeting
    private var context: ChannelHandlerContext?
    private var outbox: LinkOutbox?
    private var answer: [UInt8] = []
    private var frames = FrameReader()
    private var pending = PendingReplies()
    /// Why it was closed, if it is known.
    private var reason: String?
    private let began = LinkClock.nowMilliseconds
    private var hasHeard = false
    /// Of the last ping; nil: there was none.
    private var pinged: Int64?
    private var isPongDue = false

    /// - Parameter greeting: what it says first.
    init(greeting: [UInt8], observer: any ConnectionObserver) {
        self.greeting = greeting
        self.observer = observer
    }

    // MARK: What is said

    /// - Returns: false if it was dropped: the other side does not take what it was sent before.
    func send(_ message: ParticipantMessage, now: Int64) -> Bool {
        guard let outbox, state == .open, !outbox.isFull else { return false }
        let number = pending.add(.ledger(mayComeTwice: message.command.mayWait, message.reply), now: now)
        let item = NumberedMessage(number: number, deadline: message.deadline, command: message.command)
        return outbox.add(.messages, item.encode)
    }

    /// Like ``send(_:now:)``.
    func ask(_ question: OrderQuestion, now: Int64) -> Bool {
        guard let outbox, state == .open, !outbox.isFull else { return false }
        let item = NumberedQuestion(number: pending.add(.order(question.reply), now: now), command: question.command)
        return outbox.add(.questions, item.encode)
    }

    /// Looks at the time. `wasAway`: this process did not run for a while, so it cannot judge others.
    func tick(now: Int64, wasAway: Bool) {
        switch state {
        case .greeting:
            if now - began >= 2 * LinkLimits.openMilliseconds { close("the link was not opened in time") }
        case .open:
            pending.forget(before: now - LinkLimits.pendingMilliseconds)
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
        isPongDue = true
        outbox?.add(.ping)
    }

    /// Gives up what it waits for, and closes.
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
        do throws(LinkFailure) {
            while state == .open, let frame = try frames.next() { try take(frame) }
        } catch {
            close(error.reason)
        }
    }

    private func take(_ frame: Frame) throws(LinkFailure) {
        if !hasHeard {
            hasHeard = true
            observer?.didHear(self)
        }
        switch frame.kind {
        case .ledgerReplies:
            for item in try frame.read(NumberedReply<LedgerOutcome>.init(from:)) {
                try pending.takeLedger(item.number, item.reply)?(item.reply)
            }
        case .orderReplies:
            for item in try frame.read(NumberedReply<OrderOutcome>.init(from:)) {
                try pending.takeOrder(item.number)?(item.reply)
            }
        case .pong: break
        case .leaving: observer?.isLeaving(self)
        case .messages, .questions, .ping: throw LinkFailure("a server says what only clients say")
        }
    }
}

extension LedgerCommand {
    fileprivate var mayWait: Bool {
        if case .hold(_, _, let mayWait, _) = operation { mayWait } else { false }
    }
}
