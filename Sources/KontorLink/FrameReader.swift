// Cuts a stream of bytes into frames, whatever pieces it arrives in.

import KontorCore
import NIOCore

/// Takes bytes as they arrive, and gives whole frames. It holds at most a frame and one read.
struct FrameReader {
    private var buffer = ByteBuffer()

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next frame; nil: it is not complete yet.
    mutating func next() throws(LinkError) -> Frame? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self) else { return nil }
        guard length >= Frame.headBytes, length <= Limits.frameBytes else {
            throw LinkError("a frame of \(length) bytes")
        }
        guard buffer.readableBytes >= Frame.lengthBytes + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: Frame.lengthBytes)
        guard let bytes = buffer.readBytes(length: Int(length)) else { return nil }
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        do { return try Frame(bytes[...]) } catch { throw LinkError(error) }
    }
}

/// Why a connection must be closed.
struct LinkError: Error, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    init(_ failure: FormatError) {
        switch failure {
        case .truncated: reason = "a frame ends within an item"
        case .invalid(let what): reason = "a frame has \(what) that cannot be read"
        case .newerFormat(let version): reason = "a frame has the unknown format \(version)"
        }
    }
}

extension Frame {
    func readStatus() throws(LinkError) -> PeerStatus {
        do { return try status() } catch { throw LinkError(error) }
    }

    /// Decodes all messages; throws if one of them cannot be read.
    func readMessages() throws(LinkError) -> [NumberedMessage] {
        do { return try messages() } catch { throw LinkError(error) }
    }
}
