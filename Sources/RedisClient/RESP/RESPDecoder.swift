// Decodes bytes into replies: incrementally, within bounds, RESP2 and RESP3
// (https://redis.io/docs/latest/develop/reference/protocol-spec/). Pure: it gets what was read, and keeps only the
// aggregates that are not complete yet.

import NIOCore

/// The reason why bytes are no reply. Nothing that comes after them on the same connection can be decoded.
struct RESPDecodingError: Error, Hashable, Sendable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Decodes the replies of one connection, in order.
struct RESPDecoder: Sendable {
    private let maximumBytes: Int
    private let maximumElements: Int
    private var stack: [RESPFrame] = []
    /// The bytes and elements of the reply that is being decoded, so far.
    private var bytes = 0
    private var elements = 0

    /// - Parameters:
    ///   - maximumBytes: The longest reply, headers included.
    ///   - maximumElements: All elements of one reply, nested ones included.
    init(
        maximumBytes: Int = RedisClientLimits.replyBytes, maximumElements: Int = RedisClientLimits.replyElements
    ) {
        self.maximumBytes = maximumBytes
        self.maximumElements = maximumElements
    }

    /// Decodes the next reply.
    ///
    /// - Parameter buffer: What was read. Complete elements are taken off its front, even if their reply is incomplete.
    ///   What is left must be at the front of the next call's buffer.
    /// - Returns: nil if more must be read first.
    mutating func next(from buffer: inout ByteBuffer) throws(RESPDecodingError) -> RESPValue? {
        while let item = try item(from: &buffer) {
            switch item {
            case .opened(let frame): stack.append(frame)
            case .value(let value):
                guard let reply = complete(value) else { continue }
                bytes = 0
                elements = 0
                return reply
            case .nothing: continue
            }
        }
        return nil
    }

    /// For each byte whether it begins an element.
    private static let isKind: [Bool] = {
        let kinds = Array("+-:$*_#,(!=%~>|".utf8)
        return (0...255).map { kinds.contains($0) }
    }()

    private enum Item {
        case value(RESPValue)
        case opened(RESPFrame)
        /// An empty attribute.
        case nothing
    }

    /// Appends a value to the innermost open aggregate, and closes all that it completes.
    ///
    /// - Returns: The reply, if the value was its last missing element.
    private mutating func complete(_ value: RESPValue) -> RESPValue? {
        var value = value
        while !stack.isEmpty {
            let top = stack.count - 1
            stack[top].append(value)
            if stack[top].missing > 0 { return nil }
            guard let whole = stack.removeLast().value else { return nil }
            value = whole
        }
        return value
    }

    /// Takes one element, or the header of an aggregate, off the buffer. If it is incomplete, takes nothing and returns
    /// nil.
    private mutating func item(from buffer: inout ByteBuffer) throws(RESPDecodingError) -> Item? {
        guard let (kind, line) = try line(in: buffer) else { return nil }
        switch kind {
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            let count = try count(line, in: buffer)
            if count >= 0 { return try bulk(kind, header: line.count + 3, count: count, from: &buffer) }
            guard count == -1, kind == UInt8(ascii: "$") else { throw RESPDecodingError("a string has a negative length") }
            try take(line.count + 3, from: &buffer)
            return .value(.null)
        case UInt8(ascii: "*"), UInt8(ascii: "~"): return try open(.array, line, from: &buffer)
        case UInt8(ascii: "%"): return try open(.map, line, from: &buffer)
        case UInt8(ascii: ">"): return try open(.push, line, from: &buffer)
        case UInt8(ascii: "|"): return try open(.attribute, line, from: &buffer)
        default:
            let value = try scalar(kind, line, in: buffer)
            try take(line.count + 3, from: &buffer)
            return .value(value)
        }
    }

    /// Finds the next element's kind, and the rest of its first line without CR LF; nil if the line is incomplete.
    private func line(in buffer: ByteBuffer) throws(RESPDecodingError) -> (kind: UInt8, Range<Int>)? {
        let view = buffer.readableBytesView
        guard let kind = view.first else { return nil }
        guard RESPDecoder.isKind[Int(kind)] else { throw RESPDecodingError("a reply begins with the unknown byte \(kind)") }
        let scanned = view.dropFirst().prefix(RedisClientLimits.replyLineBytes + 1)
        guard let end = scanned.firstIndex(of: UInt8(ascii: "\r")) else {
            guard scanned.count <= RedisClientLimits.replyLineBytes else { throw RESPDecodingError("a line is too long") }
            return nil
        }
        guard end + 1 < view.endIndex else { return nil }
        guard view[end + 1] == UInt8(ascii: "\n") else { throw RESPDecodingError("a line does not end in CR LF") }
        return (kind, view.startIndex + 1..<end)
    }

    /// Takes bytes off the buffer, and counts them as the reply's.
    private mutating func take(_ count: Int, from buffer: inout ByteBuffer) throws(RESPDecodingError) {
        bytes += count
        guard bytes <= maximumBytes else { throw RESPDecodingError("a reply is longer than \(maximumBytes) bytes") }
        buffer.moveReaderIndex(forwardBy: count)
    }

    /// Takes the header of an aggregate off the buffer.
    private mutating func open(
        _ kind: RESPAggregate, _ line: Range<Int>, from buffer: inout ByteBuffer
    ) throws(RESPDecodingError) -> Item {
        let announced = try count(line, in: buffer)
        try take(line.count + 3, from: &buffer)
        if announced == -1, kind == .array { return .value(.null) }
        guard announced >= 0 else { throw RESPDecodingError("an aggregate has a negative count") }
        guard announced <= maximumElements else { throw RESPDecodingError("a reply has more than \(maximumElements) elements") }
        let count = kind == .map || kind == .attribute ? announced * 2 : announced
        elements += max(count, 1)
        guard elements <= maximumElements else { throw RESPDecodingError("a reply has more than \(maximumElements) elements") }
        if count == 0 { return RESPFrame.value(kind, []).map { .value($0) } ?? .nothing }
        guard stack.count < RedisClientLimits.replyDepth else {
            throw RESPDecodingError("a reply nests more than \(RedisClientLimits.replyDepth) deep")
        }
        return .opened(RESPFrame(kind, count: count))
    }

    /// Takes a string that says its length: bulk, verbatim, or a long error. Takes nothing and returns nil if it is
    /// incomplete.
    private mutating func bulk(
        _ kind: UInt8, header: Int, count: Int, from buffer: inout ByteBuffer
    ) throws(RESPDecodingError) -> Item? {
        guard count <= maximumBytes - bytes - header - 2 else {
            throw RESPDecodingError("a reply is longer than \(maximumBytes) bytes")
        }
        guard buffer.readableBytes >= header + count + 2 else { return nil }
        let start = buffer.readerIndex + header
        guard let payload = buffer.getSlice(at: start, length: count),
            buffer.getInteger(at: start + count, as: UInt16.self) == 0x0D0A
        else { throw RESPDecodingError("a string is not as long as it says") }
        try take(header + count + 2, from: &buffer)
        switch kind {
        case UInt8(ascii: "$"): return .value(.bulk(payload))
        case UInt8(ascii: "!"): return .value(.error(String(buffer: payload)))
        default:
            var payload = payload
            guard let format = payload.readString(length: 3), payload.readInteger(as: UInt8.self) == UInt8(ascii: ":") else {
                throw RESPDecodingError("a verbatim string has no format")
            }
            return .value(.verbatim(format: format, payload))
        }
    }
}
