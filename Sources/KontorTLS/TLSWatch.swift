// Watches one connection's TLS: ends handshakes that take too long, and says in words what failed.

import NIOCore
import NIOSSL
import NIOTLS

/// The handler behind that of TLS. It lives on the channel's event loop.
final class TLSWatch: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let tls: NIOSSLHandler
    private let host: String?
    private let authorities: String?
    private let failed: TLSCredentials.FailureLog
    private var deadline: Scheduled<Void>?
    private var peer: SocketAddress?
    /// Whether the handshake is over, or its failure told.
    private var isDecided = false

    /// - Parameters:
    ///   - host: what the server's certificate must be for; nil: this side is the server.
    ///   - authorities: the file of who must have signed the other side's certificate, for the sentence.
    init(_ tls: NIOSSLHandler, host: String?, authorities: String?, failed: @escaping TLSCredentials.FailureLog) {
        self.tls = tls
        self.host = host
        self.authorities = authorities
        self.failed = failed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: .milliseconds(TLSLimits.handshakeMilliseconds)) {
            bound.value.tell(.tooSlow)
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelActive(context: ChannelHandlerContext) {
        peer = context.remoteAddress
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            isDecided = true
            deadline?.cancel()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let failure = TLSFailure(error, peer: tls.peerCertificate, host: host, authorities: authorities)
        if let failure { tell(failure) }
        context.fireErrorCaught(failure ?? error)
    }

    private func tell(_ failure: TLSFailure) {
        guard !isDecided else { return }
        isDecided = true
        deadline?.cancel()
        failed(failure, peer)
    }
}
