// Joins what one read from the socket left over with what the next read brings, and takes the replies out.

import NIOCore

/// The bytes that arrive on one connection, and the replies in them.
struct RESPStream {
    private var decoder: RESPDecoder
    private var unread = ByteBuffer()

    /// - Parameter maximumBytes: The size of the longest reply.
    init(maximumBytes: Int) { decoder = RESPDecoder(maximumBytes: maximumBytes) }

    mutating func append(_ bytes: ByteBuffer) {
        if unread.readableBytes == 0 {
            unread = bytes
        } else {
            // Moves the rest to the front of its buffer. The next reads of a long string find it there: it is copied
            // once.
            if unread.readerIndex > 0 { unread = ByteBuffer(bytes: unread.readableBytesView) }
            unread.writeImmutableBuffer(bytes)
        }
    }

    /// Takes out the next reply; nil if more must be read first.
    mutating func next() throws(RESPDecodingError) -> RESPValue? {
        let reply = try decoder.next(from: &unread)
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        return reply
    }
}
