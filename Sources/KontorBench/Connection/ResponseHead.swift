// Reads what a load generator must know of a response, and no more: its status, where it ends, and whether the
// connection goes on. It trusts that the server writes HTTP; what it cannot read it calls malformed.

/// The head of a response.
public struct ResponseHead: Equatable, Sendable {
    /// The HTTP status.
    public var status = 0
    /// Bytes of the head, with the empty line behind it.
    public var headBytes = 0
    /// Bytes of the body, by `Content-Length`.
    public var bodyBytes = 0
    /// What `Retry-After` says; nil if it is not there, or is a date.
    public var retryAfterSeconds: Int?
    /// The server closes the connection behind this response.
    public var closes = false

    /// Bytes of the whole response.
    public var bytes: Int { headBytes + bodyBytes }

    /// What was found in bytes that should begin with a response.
    public enum Reading: Equatable, Sendable {
        /// The head is not complete: more bytes are needed.
        case incomplete
        /// The head is complete; the body may not be.
        case head(ResponseHead)
        case malformed
    }

    /// Reads the head at the beginning of some bytes.
    public static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        var head = ResponseHead()
        guard let first = endOfLine(bytes, from: 0) else { return .incomplete }
        // "HTTP/1.1 200 OK"
        guard first >= 12, let status = number(bytes, 9..<12), bytes[8] == space else { return .malformed }
        head.status = status
        var start = first + 2
        var hasLength = false
        while let end = endOfLine(bytes, from: start) {
            if end == start {
                head.headBytes = end + 2
                return hasLength ? .head(head) : .malformed
            }
            // The fields that matter differ in their first letter.
            switch bytes[start] | 0x20 {
            case UInt8(ascii: "c"):
                if let value = value(of: "content-length", bytes, start..<end) {
                    guard let length = number(bytes, value) else { return .malformed }
                    head.bodyBytes = length
                    hasLength = true
                } else if let value = value(of: "connection", bytes, start..<end) {
                    head.closes = bytes[value.lowerBound] | 0x20 == UInt8(ascii: "c")
                }
            case UInt8(ascii: "r"):
                if let value = value(of: "retry-after", bytes, start..<end) {
                    head.retryAfterSeconds = number(bytes, value)
                }
            default: break
            }
            start = end + 2
        }
        return .incomplete
    }

    private static let space = UInt8(ascii: " ")

    /// Where the CR of the line's end is.
    private static func endOfLine(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var position = start
        while position + 1 < bytes.count {
            if bytes[position] == UInt8(ascii: "\r") && bytes[position + 1] == UInt8(ascii: "\n") { return position }
            position += 1
        }
        return nil
    }

    /// The value's place, if the line has this (lowercase) name and a value.
    private static func value(
        of name: StaticString, _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>
    ) -> Range<Int>? {
        let length = name.utf8CodeUnitCount
        guard line.count > length + 1, bytes[line.lowerBound + length] == UInt8(ascii: ":") else { return nil }
        for offset in 0..<length where bytes[line.lowerBound + offset] | 0x20 != name.utf8Start[offset] {
            // A hyphen keeps its value under `| 0x20`.
            return nil
        }
        var start = line.lowerBound + length + 1
        while start < line.upperBound, bytes[start] == space { start += 1 }
        return start < line.upperBound ? start..<line.upperBound : nil
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, range.count <= 9 else { return nil }
        var value = 0
        for position in range {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }
}
