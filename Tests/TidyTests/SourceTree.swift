// The files of the repository, as the tidy tests read them.

import Foundation
import Testing

/// One file, line by line.
struct SourceFile {
    /// From the repository's root.
    let path: String
    let lines: [String]

    /// `path:line: text` of each line for which `isBad`, which gets the line's index and text.
    func findings(_ isBad: (Int, String) -> Bool) -> [String] {
        lines.enumerated().filter { isBad($0.offset, $0.element) }.map { "\(path):\($0.offset + 1): \($0.element)" }
    }

    /// Whether a comment stands on the line or directly above it.
    func hasReason(at line: Int) -> Bool {
        lines[line].contains("//") || (line > 0 && lines[line - 1].trimmed.hasPrefix("//"))
    }

    /// Whether a doc comment stands above the line, with attributes between them at most.
    func hasDocComment(at line: Int) -> Bool {
        var above = line - 1
        while above >= 0, lines[above].trimmed.hasPrefix("@") { above -= 1 }
        return above >= 0 && lines[above].trimmed.hasPrefix("///")
    }
}

extension String {
    var trimmed: String { trimmingCharacters(in: .whitespaces) }

    /// Its words, as Swift has them. (On bytes: a regular expression for each line of the sources takes seconds.)
    var words: [String] {
        utf8.split { byte in
            !(byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || byte == UInt8(ascii: "_"))
        }.map { String(decoding: $0, as: UTF8.self) }
    }
}

/// The repository that the tests were built from.
enum SourceTree {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The Swift files below a directory, in the order of their paths. Fails if there are none.
    static func swiftFiles(in directory: String) throws -> [SourceFile] {
        let base = root.appending(path: directory)
        let names = try FileManager.default.subpathsOfDirectory(atPath: base.path)
        let files = try names.filter { $0.hasSuffix(".swift") }.sorted().map { try file("\(directory)/\($0)") }
        try #require(!files.isEmpty, "there are no Swift files in \(directory)")
        return files
    }

    static func file(_ path: String) throws -> SourceFile {
        let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        return SourceFile(path: path, lines: text.components(separatedBy: "\n"))
    }

    /// All that is text, without what a build or a run makes, and without `excluded` at the root.
    static func textFiles(without excluded: Set<String>) throws -> [SourceFile] {
        let made: Set = [".git", ".build", "kontor-data", "kontor-local", "__pycache__"]
        var files: [SourceFile] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: root.path).sorted() {
            guard !made.contains(name), !name.hasPrefix(".build"), !excluded.contains(name) else { continue }
            let below = (try? FileManager.default.subpathsOfDirectory(atPath: root.appending(path: name).path)) ?? []
            let paths = below.isEmpty ? [name] : below.sorted().map { "\(name)/\($0)" }
            files += paths.filter { !$0.contains("__pycache__") }.compactMap { try? file($0) }
        }
        return files
    }

    /// Whether a link of a document leads to a file or folder.
    static func exists(_ link: String, from path: String) -> Bool {
        let folder = root.appending(path: path).deletingLastPathComponent()
        return FileManager.default.fileExists(atPath: folder.appending(path: link).path)
    }

    /// The names of all types, functions, properties and cases that the sources below a directory declare.
    static func declaredNames(in directory: String = "Sources") throws -> Set<String> {
        let kinds: Set = [
            "func", "var", "let", "struct", "class", "enum", "protocol", "typealias", "associatedtype", "actor", "case",
        ]
        var names: Set = ["init"]
        for line in try swiftFiles(in: directory).flatMap(\.lines) where !line.trimmed.hasPrefix("//") {
            let words = line.words
            for (kind, name) in zip(words, words.dropFirst()) where kinds.contains(kind) { names.insert(name) }
            // case one(Int), two
            guard words.first == "case" || words.prefix(2) == ["indirect", "case"] else { continue }
            names.formUnion(line.components(separatedBy: ", ").dropFirst().compactMap(\.words.first))
        }
        return names
    }
}
