// Decodes the elements of a reply that are one line: numbers, booleans, short strings and errors.

import NIOCore

extension RESPDecoder {
    /// Decodes a line that is a whole element.
    func scalar(_ kind: UInt8, _ line: Range<Int>, in buffer: ByteBuffer) throws(RESPDecodingError) -> RESPValue {
        switch kind {
        case UInt8(ascii: "+"): return .simple(text(line, in: buffer))
        case UInt8(ascii: "-"): return .error(text(line, in: buffer))
        case UInt8(ascii: ":"): return .integer(try integer(line, in: buffer))
        case UInt8(ascii: "_"):
            guard line.isEmpty else { throw RESPDecodingError("a null has a value") }
            return .null
        case UInt8(ascii: "#"):
            switch text(line, in: buffer) {
            case "t": return .boolean(true)
            case "f": return .boolean(false)
            default: throw RESPDecodingError("a boolean is neither t nor f")
            }
        case UInt8(ascii: ","): return .double(try double(line, in: buffer))
        case UInt8(ascii: "("):
            let digits = text(line, in: buffer)
            let unsigned = digits.hasPrefix("-") || digits.hasPrefix("+") ? digits.dropFirst() : Substring(digits)
            guard !unsigned.isEmpty, unsigned.utf8.allSatisfy({ (48...57).contains($0) }) else {
                throw RESPDecodingError("a big number has characters that are no digits")
            }
            return .bigNumber(digits)
        default: throw RESPDecodingError("a reply begins with the unknown byte \(kind)")
        }
    }

    /// Decodes the count or length in a header.
    func count(_ line: Range<Int>, in buffer: ByteBuffer) throws(RESPDecodingError) -> Int {
        Int(try integer(line, in: buffer))
    }

    private func text(_ line: Range<Int>, in buffer: ByteBuffer) -> String {
        String(decoding: buffer.viewBytes(at: line.lowerBound, length: line.count) ?? ByteBufferView(), as: UTF8.self)
    }

    private func integer(_ line: Range<Int>, in buffer: ByteBuffer) throws(RESPDecodingError) -> Int64 {
        var digits = buffer.viewBytes(at: line.lowerBound, length: line.count) ?? ByteBufferView()
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard !digits.isEmpty else { throw RESPDecodingError("a number has no digits") }
        var number: Int64 = 0
        for byte in digits {
            // A byte below 48 wraps around, to more than 9.
            let digit = Int64(byte &- 48)
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (next, isOver) = isNegative ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
            guard digit <= 9, !overflow, !isOver else { throw RESPDecodingError("a number is malformed or too large") }
            number = next
        }
        return number
    }

    private func double(_ line: Range<Int>, in buffer: ByteBuffer) throws(RESPDecodingError) -> Double {
        let text = text(line, in: buffer)
        // Swift reads inf, -inf and nan as Redis writes them, and refuses spaces.
        guard line.count <= 64, let number = Double(text) else {
            throw RESPDecodingError("a floating-point number is malformed")
        }
        return number
    }
}
