import Foundation
import KontorSimulation
import TestSupport
import Testing

@testable import KontorHTTP

@Suite("JSON that clients send")
struct JSONParserTests {
    private func value(_ text: String) throws -> JSONInput { try JSONParser.value(of: Array(text.utf8)) }

    private static let good: [(String, JSONInput)] = [
        ("{}", .object([])), (" [ ] ", .array([])), ("\t\r\n null \n", .null), ("true", .bool(true)), ("false", .bool(false)),
        ("0", .number("0")), ("-0.50", .number("-0.50")), ("1e400", .number("1e400")), ("10E+2", .number("10E+2")),
        ("123456789012345678901234567890", .number("123456789012345678901234567890")), (#""""#, .string("")),
        (#""a\"\\\/\b\f\n\r\t""#, .string("a\"\\/\u{8}\u{C}\n\r\t")), (#""\u00e4\ud83d\ude00""#, .string("ä😀")),
        ("\"ä😀\u{2028}\"", .string("ä😀\u{2028}")),
        (
            #"{"a":[1,{"b":null}],"c":""}"#,
            .object([
                .init(name: "a", value: .array([.number("1"), .object([.init(name: "b", value: .null)])])),
                .init(name: "c", value: .string("")),
            ])
        ),
    ]

    @Test("what RFC 8259 allows is read, and numbers stay exact", arguments: good)
    func reads(text: String, expected: JSONInput) throws { #expect(try value(text) == expected) }

    private static let bad = [
        "", " ", "{", "}", "[", "]", "[1", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "01", "-", "+1", ".5", "5.", "1e", "1e+", "0x1", "NaN", "Infinity", "tru", "nul", "True", "\"", "\"a", "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\"a\nb\"",
        "\"a\u{0}b\"", "1 2", "{}{}",
        "\u{FEFF}{}", "//x\n{}", "[1]x", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
    ]

    @Test("all else is a mistake, and so is a name that stands twice", arguments: bad)
    func refuses(text: String) { #expect(throws: JSONMistake.self) { try value(text) } }

    @Test(
        "bytes that are no UTF-8 are a mistake",
        arguments: [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]])
    func refusesBytes(bytes: [UInt8]) {
        #expect(throws: JSONMistake.self) { try JSONParser.value(of: [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]) }
    }

    @Test("depth and members are bounded, however long a body is")
    func bounds() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        _ = try value(nested(JSONParser.depth))
        #expect(throws: JSONMistake.self) { try value(nested(JSONParser.depth + 1)) }
        #expect(throws: JSONMistake.self) { try value(String(repeating: "[", count: HTTPLimits.bodyBytes)) }
        func members(_ count: Int) -> String { "{" + (0..<count).map { "\"\($0)\":0" }.joined(separator: ",") + "}" }
        _ = try value(members(JSONParser.members))
        #expect(throws: JSONMistake.self) { try value(members(JSONParser.members + 1)) }
    }

    @Test(
        "a number is read exactly, however it is written",
        arguments: [
            ("0", "0"), ("-0", "0"), ("-0.0", "0"), ("7.250", "7.25"), ("3.0", "3"), ("1e2", "100"), ("1.25E1", "12.5"),
            ("30e-1", "3"), ("5e-3", "0.005"), ("-1.5e+1", "-15"), ("1e400", nil), (String(repeating: "9", count: 41), nil),
        ])
    func plain(number: String, expected: String?) { #expect(JSONInput.plain(number) == expected) }

    @Test("of bytes drawn by chance it takes none that Foundation refuses, and reads the others alike")
    func agreesWithFoundation() throws {
        let random = SeededRandom(seed: 8259)
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "1", "-2.5", "0", "true", "null", " ", "\"\\u00e4\"", "e3", "\"",
            "\\", "x",
        ]
        var taken = 0
        for _ in 0..<20_000 {
            let text = (0..<(1 + random.below(9))).map { _ in pieces[random.below(pieces.count)] }.joined()
            let theirs = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            guard let ours = try? value(text) else { continue }
            taken += 1
            #expect(theirs != nil, "\(text)")
            if let theirs { #expect(ours.isLike(theirs), "\(text)") }
        }
        #expect(taken > 1_000)
    }
}

extension JSONInput {
    fileprivate func isLike(_ other: Any) -> Bool {
        switch self {
        case .object(let members):
            guard let other = other as? [String: Any], other.count == members.count else { return false }
            return members.allSatisfy { member in other[member.name].map(member.value.isLike) ?? false }
        case .array(let elements):
            guard let other = other as? [Any], other.count == elements.count else { return false }
            return zip(elements, other).allSatisfy { $0.isLike($1) }
        case .string(let text): return other as? String == text
        case .number(let text): return (other as? NSNumber)?.doubleValue == Double(text)
        case .bool(let isTrue): return other as? Bool == isTrue
        case .null: return other is NSNull
        }
    }
}
