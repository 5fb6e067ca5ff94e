// Refuses checkouts before they are parsed, while the shop is full. A refusal must cost much less than a checkout, or
// an overload would leave no time for the checkouts that were begun: see docs/performance.md.

import KontorCore
import NIOCore

/// A handler in front of the decoder. It refuses one complete checkout without a body, on a connection that waits for
/// nothing else. Everything else goes on to the decoder, and is answered or refused behind it.
///
/// It also refuses a checkout that is running or paid already: nothing was begun, and the client asks again.
final class OverloadGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: ConnectionHandler
    /// Whether the bytes that the decoder got end with an empty line. If so the decoder holds no part of a head.
    /// (Whether it is inside a body is known to the connection: then it is not at rest.)
    private var endsWithEmptyLine = true

    init(before connection: ConnectionHandler) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        if connection.isShopFull, endsWithEmptyLine, connection.isAtRest,
            bytes.withUnsafeReadableBytes(Self.isWholeCheckout)
        {
            connection.shed()
        } else {
            endsWithEmptyLine = bytes.withUnsafeReadableBytes(Self.endsWithEmptyLine)
            context.fireChannelRead(data)
        }
    }
}

extension OverloadGate {
    /// Whether these bytes are exactly one whole checkout: the route's request line, header lines that change neither
    /// where the request ends nor what becomes of its connection, and the empty line.
    static func isWholeCheckout(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard var start = endOfRequestLine(bytes) else { return false }
        while start + 2 < bytes.count {
            guard let end = endOfLine(bytes, from: start), end > start,
                isHarmless(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            else { return false }
            start = end + 2
        }
        // Exactly the empty line is left.
        return start + 2 == bytes.count && bytes[start] == cr && bytes[start + 1] == lf
    }

    private static let cr = UInt8(ascii: "\r")
    private static let lf = UInt8(ascii: "\n")

    /// The position behind `POST /orders/checkout/{order} HTTP/1.1`; nil if the bytes do not begin with such a line.
    private static func endOfRequestLine(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let start: StaticString = "POST /orders/checkout/"
        let end: StaticString = " HTTP/1.1\r\n"
        guard has(start, at: 0, in: bytes) else { return nil }
        var position = start.utf8CodeUnitCount
        while position < bytes.count, Identifier.isAllowed(bytes[position]) { position += 1 }
        guard position > start.utf8CodeUnitCount, has(end, at: position, in: bytes) else { return nil }
        return position + end.utf8CodeUnitCount
    }

    /// The position of the CR that ends a line; nil if the line has no end, or a CR or LF of its own inside it.
    private static func endOfLine(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var position = start
        while position + 1 < bytes.count {
            if bytes[position] == lf { return nil }
            if bytes[position] == cr { return bytes[position + 1] == lf ? position : nil }
            position += 1
        }
        return nil
    }

    /// Whether a header line says nothing about framing, protocol or the connection's end. Names are told apart by
    /// their length first.
    private static func isHarmless(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return false }
        switch colon {
        case 0: return false
        case 6: return !hasName("expect", line)
        case 7: return !hasName("upgrade", line)
        case 10: return !hasName("connection", line) || saysKeepAlive(line[(colon + 1)...])
        case 14: return !hasName("content-length", line) || isZero(line[(colon + 1)...])
        case 17: return !hasName("transfer-encoding", line)
        // A name with a space, or a continued line, is for the decoder to refuse.
        default: return line[0] > UInt8(ascii: " ") && line[colon - 1] > UInt8(ascii: " ")
        }
    }

    /// Whether the value is `keep-alive`. Many clients send it, though HTTP/1.1 connections are kept anyway.
    private static func saysKeepAlive(_ value: Slice<UnsafeRawBufferPointer>) -> Bool {
        value.filter { $0 != UInt8(ascii: " ") }.map { $0 | 0x20 }.elementsEqual("keep-alive".utf8)
    }

    private static func isZero(_ value: Slice<UnsafeRawBufferPointer>) -> Bool {
        value.filter { $0 != UInt8(ascii: " ") }.elementsEqual(CollectionOfOne(UInt8(ascii: "0")))
    }

    private static func hasName(_ lowercase: StaticString, _ line: UnsafeRawBufferPointer) -> Bool {
        for offset in 0..<lowercase.utf8CodeUnitCount where line[offset] | 0x20 != lowercase.utf8Start[offset] {
            return false
        }
        return true
    }

    private static func endsWithEmptyLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        has("\r\n\r\n", at: bytes.count - 4, in: bytes)
    }

    private static func has(_ text: StaticString, at position: Int, in bytes: UnsafeRawBufferPointer) -> Bool {
        guard position >= 0, bytes.count >= position + text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount where bytes[position + offset] != text.utf8Start[offset] { return false }
        return true
    }
}
