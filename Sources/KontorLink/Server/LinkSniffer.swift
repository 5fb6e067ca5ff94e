// Decides by the first bytes of a new connection of an internal listener what it is: a link, or HTTP.

import NIOCore

/// The first handler of a connection. It keeps the first bytes until it knows what the connection is, adds the handlers
/// for that, passes the bytes on to them, and removes itself.
public final class LinkSniffer: ChannelInboundHandler, RemovableChannelHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer

    private let server: LinkServer
    private var addHTTP: (() throws -> Void)?
    private var context: ChannelHandlerContext?
    private var first = ByteBuffer()
    private let began = LinkClock.nowMilliseconds
    private var isDecided = false

    /// - Parameter addHTTP: see ``LinkServer/sniff(_:otherwise:)``.
    public init(_ server: LinkServer, addHTTP: @escaping () throws -> Void) {
        self.server = server
        self.addHTTP = addHTTP
    }

    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { enter(context) }
    }

    public func channelActive(context: ChannelHandlerContext) {
        enter(context)
        context.fireChannelActive()
    }

    private func enter(_ context: ChannelHandlerContext) {
        if !server.add(self) { context.close(promise: nil) }
    }

    public func handlerRemoved(context: ChannelHandlerContext) { forget() }

    public func channelInactive(context: ChannelHandlerContext) {
        forget()
        context.fireChannelInactive()
    }

    private func forget() {
        server.remove(self)
        addHTTP = nil
        context = nil
    }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDecided else { return context.fireChannelRead(data) }
        first.writeImmutableBuffer(Self.unwrapInboundIn(data))
        let wanted = LinkHandshake.firstBytes
        let common = min(first.readableBytes, wanted.count)
        if !first.readableBytesView.prefix(common).elementsEqual(wanted.prefix(common)) {
            decide(context, isLink: false)
        } else if common == wanted.count {
            decide(context, isLink: true)
        }
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The client has closed its side, and has sent too little for a link.
        if case .inputClosed? = event as? ChannelEvent, !isDecided {
            decide(context, isLink: false, event)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// - Parameter event: an event that came with the decision; it is passed on, too.
    private func decide(_ context: ChannelHandlerContext, isLink: Bool, _ event: Any? = nil) {
        isDecided = true
        do {
            if isLink {
                // The link takes the sniffer's place: otherwise both would count, and could reach the bound on
                // connections.
                server.remove(self)
                try context.pipeline.syncOperations.addHandler(ServerConnection(server), position: .after(self))
            } else {
                try addHTTP?()
            }
        } catch {
            context.close(promise: nil)
            return
        }
        if first.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(first)) }
        first = ByteBuffer()
        if let event { context.fireUserInboundEventTriggered(event) }
        // From here on the context leads nowhere.
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}

extension LinkSniffer: ServedConnection {
    func tick(now: Int64, wasAway: Bool) {
        if now - began >= LinkLimits.firstBytesMilliseconds { close() }
    }

    func close() { context?.close(promise: nil) }

    func leave() {}
}
