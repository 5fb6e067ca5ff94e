// What stands in files that are not Swift: values of keys, times and sizes, as YAML, nginx, Docker, shell and Python
// write them.

import Foundation
import Testing

/// A file of settings, or one block of it.
struct Settings {
    let path: String
    let lines: [String]

    /// - Parameter block: the beginning of the line that opens the block. What is indented further belongs to it.
    ///   Empty: the file.
    /// - Throws: if there is no such file or block.
    init(_ path: String, _ block: String = "") throws {
        let all = try SourceTree.file(path).lines
        self.path = path
        guard !block.isEmpty else {
            lines = all
            return
        }
        let start = try #require(all.firstIndex { $0.trimmed.hasPrefix(block) }, "\(path) has no block \(block)")
        let rest = all[(start + 1)...]
        lines = Array(rest.prefix { $0.trimmed.isEmpty || Self.indentation($0) > Self.indentation(all[start]) })
    }

    private init(_ path: String, lines: [String]) {
        self.path = path
        self.lines = lines
    }

    /// The one line that begins with the key.
    func line(_ key: String) throws -> Settings {
        let found = lines.filter { $0.trimmed.hasPrefix(key) }
        try #require(found.count == 1, "\(path): \(found.count) lines begin with \(key)")
        return Settings(path, lines: found)
    }

    /// All values of a key: what follows it, up to a space or a sign that ends a value. Comments are not looked at.
    func values(_ key: String) throws -> [String] {
        let pattern = "(?<![\\w$.-])(?:--)?" + NSRegularExpression.escapedPattern(for: key) + "\"?[:=, ]+\"?([\\w.]+)"
        let expression = try NSRegularExpression(pattern: pattern)
        return lines.compactMap { line in
            let code = line.trimmed.hasPrefix("#") ? "" : line.components(separatedBy: " #")[0]
            let match = expression.firstMatch(in: code, range: NSRange(code.startIndex..., in: code))
            return match.flatMap { Range($0.range(at: 1), in: code) }.map { String(code[$0]) }
        }
    }

    /// - Throws: if the key stands there never, or more than once.
    private func value(_ key: String) throws -> String {
        let found = try values(key)
        try #require(found.count == 1, "\(path): \(key) is \(found)")
        return found[0]
    }

    func number(_ key: String) throws -> Int64 { try #require(Int64(try value(key)), "\(path): \(key)") }
    func milliseconds(_ key: String) throws -> Int64 { try Self.milliseconds(try value(key)) }
    func bytes(_ key: String) throws -> Int { try Self.bytes(try value(key)) }

    /// A time: `2600ms`, `45s`, `1h`; without a unit in seconds.
    static func milliseconds(_ text: String) throws -> Int64 {
        try quantity(text, ["ms": 1, "": 1_000, "s": 1_000, "m": 60_000, "h": 3_600_000])
    }

    /// A size: `64k`, `384m`, `768M`, `1Gi`.
    static func bytes(_ text: String) throws -> Int {
        Int(try quantity(text.lowercased(), ["": 1, "k": 1 << 10, "m": 1 << 20, "mi": 1 << 20, "g": 1 << 30, "gi": 1 << 30]))
    }

    private static func quantity(_ text: String, _ units: [String: Int64]) throws -> Int64 {
        let digits = text.prefix { $0.isNumber }
        let unit = units[String(text.dropFirst(digits.count))]
        return try #require(Int64(digits), "\(text) is no number") * #require(unit, "\(text) has no unit that is known")
    }

    private static func indentation(_ line: String) -> Int { line.prefix { $0 == " " }.count }
}
