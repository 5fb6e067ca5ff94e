// The outbox of one connection: everything of one turn of the event loop leaves together, with one write and one flush.

import KontorCore
import NIOCore

/// Belongs to a channel handler and writes through its context. Used on its event loop only.
final class LinkOutbox {
    private let context: ChannelHandlerContext
    private var frames = FrameWriter()
    private var isFlushDue = false
    private var isClosed = false
    /// Bytes that were written and that the socket has not taken.
    private var unsentBytes: Int {
        guard !context.channel.isWritable else { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    init(_ context: ChannelHandlerContext) { self.context = context }

    /// Whether the other side has left so much unread that nothing more may be sent.
    var isFull: Bool { frames.byteCount + unsentBytes > LinkLimits.unsentBytes }

    /// Adds a message to what leaves at the end of this turn.
    ///
    /// - Returns: false if the message is too large, and was not added.
    func add(_ message: NumberedMessage) -> Bool {
        guard !isClosed else { return true }
        let isAdded = frames.add(message)
        scheduleFlush()
        return isAdded
    }

    /// Adds a frame without messages.
    func add(_ kind: FrameKind) {
        guard !isClosed else { return }
        frames.add(kind)
        scheduleFlush()
    }

    /// Adds what this process says about itself.
    func add(_ status: PeerStatus) {
        guard !isClosed else { return }
        frames.add(status)
        scheduleFlush()
    }

    private func scheduleFlush() {
        guard !isFlushDue else { return }
        isFlushDue = true
        context.eventLoop.assumeIsolated().execute { self.flush() }
    }

    /// Writes what was added so far.
    func flush() {
        isFlushDue = false
        guard !isClosed, !frames.isEmpty else { return }
        let buffer = context.channel.allocator.buffer(bytes: frames.take())
        context.writeAndFlush(NIOAny(buffer), promise: nil)
    }

    /// Drops everything that is added from now on.
    func close() { isClosed = true }
}
