// JSON as a value, for what is written once, such as the OpenAPI document. Answers are written by JSONWriter.

/// Any JSON. Members keep the order in which they were given.
indirect enum JSONValue: Hashable, Sendable {
    struct Member: Hashable, Sendable {
        let name: String
        var value: JSONValue
    }

    case object([Member])
    case array([JSONValue])
    case string(String)
    case integer(Int64)
    /// A number with a fraction, as text so that it stays exact.
    case decimal(String)
    case bool(Bool)
    case null

    /// The JSON as text, without spaces.
    var bytes: [UInt8] {
        var json = JSONWriter()
        write(to: &json)
        return json.bytes
    }

    private func write(to json: inout JSONWriter) {
        switch self {
        case .object(let members):
            json.raw("{")
            for (index, member) in members.enumerated() {
                if index > 0 { json.raw(",") }
                json.string(member.name)
                json.raw(":")
                member.value.write(to: &json)
            }
            json.raw("}")
        case .array(let elements):
            json.raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { json.raw(",") }
                element.write(to: &json)
            }
            json.raw("]")
        case .string(let text): json.string(text)
        case .integer(let number): json.number(number)
        case .decimal(let text): json.number(exactly: text)
        case .bool(let isTrue): json.raw(isTrue ? "true" : "false")
        case .null: json.raw("null")
        }
    }

    /// This object with further members behind its own; a value that is no object stays as it is.
    func with(_ added: JSONValue) -> JSONValue {
        guard case .object(let members) = self, case .object(let others) = added else { return self }
        return .object(members + others)
    }

    /// The member of this name; nil if there is none, or this is no object.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    init(dictionaryLiteral members: (String, JSONValue)...) {
        self = .object(members.map { Member(name: $0.0, value: $0.1) })
    }

    init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    init(stringLiteral text: String) { self = .string(text) }
    init(integerLiteral number: Int64) { self = .integer(number) }
    init(booleanLiteral isTrue: Bool) { self = .bool(isTrue) }
}
