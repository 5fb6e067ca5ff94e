// What was read from one socket, and the replies in it: joins the rest of one read with the next.

import NIOCore

/// The bytes of one connection as they arrive, and the replies as they complete.
struct RESPStream {
    private var decoder: RESPDecoder
    private var unread = ByteBuffer()

    init(maximumBytes: Int) { decoder = RESPDecoder(maximumBytes: maximumBytes) }

    mutating func append(_ bytes: ByteBuffer) {
        if unread.readableBytes == 0 {
            unread = bytes
        } else {
            // Copies what is left once, and not again for each read of a long string: then it begins at the front.
            if unread.readerIndex > 0 { unread = ByteBuffer(bytes: unread.readableBytesView) }
            unread.writeImmutableBuffer(bytes)
        }
    }

    /// The next reply; nil if more must be read first.
    mutating func next() throws(RESPError) -> RESPValue? {
        let reply = try decoder.next(from: &unread)
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        return reply
    }
}
