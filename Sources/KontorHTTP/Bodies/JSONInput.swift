// JSON that clients send, read strictly (RFC 8259): a name that stands twice, a number that is not exact, or bytes that
// are no UTF-8 are mistakes, where most decoders choose something. See docs/decisions/0028-bodies.md.

/// A value that a client sent. Numbers keep their text, so that they stay exact.
indirect enum JSONInput: Hashable, Sendable {
    struct Member: Hashable, Sendable {
        let name: String
        let value: JSONInput
    }

    case object([Member])
    case array([JSONInput])
    case string(String)
    case number(String)
    case bool(Bool)
    case null

    /// What the value is, for people.
    var kind: String {
        switch self {
        case .object: return "an object"
        case .array: return "an array"
        case .string: return "a string"
        case .number: return "a number"
        case .bool: return "true or false"
        case .null: return "null"
        }
    }

    /// The value in few words, for the audit trail: JSON without blanks, and a string as it is.
    var text: String { if case .string(let text) = self { text } else { String(decoding: json.bytes, as: UTF8.self) } }

    /// A number without exponent, and without zeros that say nothing: `3` for `3.0` and `30e-1`. nil: it has more
    /// digits than any number here.
    static func plain(_ number: String) -> String? {
        let isNegative = number.utf8.first == UInt8(ascii: "-")
        let parts = (isNegative ? number.dropFirst() : number[...]).split(maxSplits: 1) { $0 == "e" || $0 == "E" }
        guard let mantissa = parts.first, let exponent = parts.count == 2 ? Int(parts[1]) : 0, abs(exponent) <= digits,
            mantissa.utf8.count <= digits
        else { return nil }
        let point = mantissa.split(separator: ".", maxSplits: 1)
        var fraction = Array((point.count == 2 ? point[1] : "").utf8)
        var whole = Array(point[0].utf8)
        if exponent > 0 {
            for index in 0..<exponent { whole.append(index < fraction.count ? fraction[index] : UInt8(ascii: "0")) }
            fraction.removeFirst(min(exponent, fraction.count))
        } else {
            for _ in 0..<(-exponent) { fraction.insert(whole.popLast() ?? UInt8(ascii: "0"), at: 0) }
        }
        while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
        let first = whole.firstIndex { $0 != UInt8(ascii: "0") } ?? whole.endIndex
        let text = String(decoding: whole[first...], as: UTF8.self)
        let tail = fraction.isEmpty ? "" : "." + String(decoding: fraction, as: UTF8.self)
        return (isNegative && !(text.isEmpty && tail.isEmpty) ? "-" : "") + (text.isEmpty ? "0" : text) + tail
    }

    /// Digits of a number, and how far its exponent may move the point.
    private static let digits = 40

    private var json: JSONValue {
        switch self {
        case .object(let members): .object(members.map { JSONValue.Member(name: $0.name, value: $0.value.json) })
        case .array(let elements): .array(elements.map(\.json))
        case .string(let text): .string(text)
        case .number(let text): .decimal(text)
        case .bool(let isTrue): .bool(isTrue)
        case .null: .null
        }
    }
}

/// Why bytes are no JSON that is taken.
struct JSONMistake: Error, Hashable {
    /// What is wrong, as the end of a sentence.
    let reason: String
    /// Position of the byte, from 0.
    let position: Int
}

/// Reads one JSON text.
struct JSONParser {
    /// Arrays and objects within each other: more than any body here has.
    static let depth = 8
    /// Members of one object: more than any body here has. A name is compared with all before it.
    static let members = 32

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The value that the bytes are.
    static func value(of bytes: [UInt8]) throws(JSONMistake) -> JSONInput {
        let result: Result<JSONInput, JSONMistake> = bytes.withUnsafeBufferPointer { buffer in
            var parser = JSONParser(buffer)
            do throws(JSONMistake) {
                let value = try parser.value(depth: 0)
                parser.skipBlanks()
                guard parser.next == nil else { throw parser.mistake("something stands behind the value") }
                return .success(value)
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func mistake(_ reason: String) -> JSONMistake { JSONMistake(reason: reason, position: position) }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONMistake) -> JSONInput {
        skipBlanks()
        guard let first = next else { throw mistake("it ends where a value should stand") }
        switch first {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        default: throw mistake("no value begins like this")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONInput) throws(JSONMistake) -> JSONInput {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, (position..<end).allSatisfy({ bytes[$0] == word.utf8Start[$0 - position] }) else {
            throw mistake("no value begins like this")
        }
        position = end
        return value
    }

    // MARK: Objects and arrays

    private mutating func object(depth: Int) throws(JSONMistake) -> JSONInput {
        try descend(depth)
        var members: [JSONInput.Member] = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object([]) }
        repeat {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw mistake("a name in quotes should stand here") }
            let start = position
            let name = try string()
            if members.contains(where: { $0.name == name }) {
                throw JSONMistake(
                    reason: "the name \"\(name.prefix(HTTPLimits.echoedCharacters))\" stands twice", position: start)
            }
            if members.count >= Self.members { throw mistake("an object has more than \(Self.members) members") }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw mistake("a colon should stand here") }
            members.append(JSONInput.Member(name: name, value: try value(depth: depth + 1)))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw mistake("a comma or } should stand here") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONMistake) -> JSONInput {
        try descend(depth)
        var elements: [JSONInput] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array([]) }
        repeat {
            elements.append(try value(depth: depth + 1))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw mistake("a comma or ] should stand here") }
        return .array(elements)
    }

    private mutating func descend(_ depth: Int) throws(JSONMistake) {
        if depth >= Self.depth { throw mistake("it is nested deeper than \(Self.depth)") }
        position += 1
    }

    // MARK: Numbers and strings

    private mutating func number() throws(JSONMistake) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    }

    private mutating func digits() throws(JSONMistake) {
        let start = position
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        if position == start { throw mistake("a digit should stand here") }
    }

    private mutating func string() throws(JSONMistake) -> String {
        position += 1
        let start = position
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if next == UInt8(ascii: "\"") {
            position += 1
            return try text(UnsafeBufferPointer(rebasing: bytes[start..<(position - 1)]), at: start)
        }
        var text = Array(bytes[start..<position])
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return try text.withUnsafeBufferPointer { buffer throws(JSONMistake) in try self.text(buffer, at: start) }
            case UInt8(ascii: "\\"):
                position += 1
                text.append(contentsOf: String(try escaped()).utf8)
            case 0..<0x20: throw mistake("a control character stands in a string")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw mistake("a string does not end")
    }

    private func text(_ bytes: UnsafeBufferPointer<UInt8>, at position: Int) throws(JSONMistake) -> String {
        // The usual case, in a tenth of the time.
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw JSONMistake(reason: "a string is no UTF-8", position: position)
        }
        return text
    }

    private mutating func escaped() throws(JSONMistake) -> Unicode.Scalar {
        guard let byte = next else { throw mistake("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try escapedUnit()
        default: throw mistake("no escape looks like this")
        }
    }

    /// A code unit of UTF-16, or two that are one character.
    private mutating func escapedUnit() throws(JSONMistake) -> Unicode.Scalar {
        let high = try unit()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw mistake("half of a surrogate pair stands alone")
        }
        let low = try unit()
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw mistake("half of a surrogate pair stands alone") }
        return scalar
    }

    private mutating func unit() throws(JSONMistake) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw mistake("four hexadecimal digits should stand here")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }
}
