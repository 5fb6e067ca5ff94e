// What the value of a header field may be, by its bytes (RFC 9110, 5.5 and RFC 3986, 3.2.2). Which fields a request has
// is RequestHeaders' business.

/// Functions on the values of header fields. Each is called for some fields of every request, so each costs little
/// where nothing is unusual.
enum FieldValue {
    /// The value without the optional white space around it: spaces and tabs, which are no part of it.
    static func trimmed(_ value: String) -> String {
        let isTrimmed = value.utf8.withContiguousStorageIfAvailable { !isBlank($0.last) && !isBlank($0.first) }
        if isTrimmed == true { return value }
        // By bytes: a space may be one character with what is beside it.
        var rest = value.utf8[...]
        while isBlank(rest.last) { rest.removeLast() }
        while isBlank(rest.first) { rest.removeFirst() }
        return String(Substring(rest))
    }

    private static func isBlank(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Whether the value of a `Host` header is a host with or without a port, or empty (RFC 9112, 3.2).
    static func isHost(_ value: String) -> Bool {
        var host = value
        return host.withUTF8 { isHost(trimmed($0)) }
    }

    private static func trimmed(_ bytes: UnsafeBufferPointer<UInt8>) -> Slice<UnsafeBufferPointer<UInt8>> {
        var rest = bytes[...]
        while isBlank(rest.last) { rest.removeLast() }
        while isBlank(rest.first) { rest.removeFirst() }
        return rest
    }

    private static func isHost(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        var position = bytes.startIndex
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")), end > position + 1 else { return false }
            guard bytes[(position + 1)..<end].allSatisfy({ isOfName($0) || $0 == UInt8(ascii: ":") }) else { return false }
            position = end + 1
        } else {
            while position < bytes.endIndex, isOfName(bytes[position]) {
                if bytes[position] == UInt8(ascii: "%"), !isEscape(bytes[position...]) { return false }
                position += 1
            }
        }
        if position == bytes.endIndex { return true }
        return bytes[position] == UInt8(ascii: ":")
            && bytes[(position + 1)...].allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }

    /// Whether a byte may be in a registered name: unreserved, a sub-delimiter, or the beginning of an escape.
    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "$"),
            UInt8(ascii: "&")...UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="), UInt8(ascii: "%"):
            return true
        default: return false
        }
    }

    private static func isEscape(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let digits = bytes.dropFirst().prefix(2)
        return digits.count == 2 && digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
    }
}
