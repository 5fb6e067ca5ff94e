// Documents say what is so: the version, the words of the glossary, and the tests that keep bugs away.

import Foundation
import Testing

@Suite("Documents are true")
struct DocumentTests {
    @Test("the version stands in one place")
    func version() throws {
        let places = try SourceTree.swiftFiles(in: "Sources").flatMap(\.lines).compactMap { line -> String? in
            line.contains("static let release = ") ? line.split(separator: "\"").last.map(String.init) : nil
        }
        try #require(places.count == 1, "the sources state the version \(places.count) times")
        let version = places[0]
        // The changelog tells of all versions. The packages have their own, and one may be the same.
        let files = try SourceTree.textFiles(without: ["CHANGELOG.md", "Package.swift", "Package.resolved"])
        let findings = files.flatMap { file in
            file.findings { _, text in
                guard text.contains(version), !text.contains("static let release = ") else { return false }
                // As a whole: "10.2.0" is another one.
                return text.split { !($0.isNumber || $0 == ".") }.contains { $0 == version || $0 == version + "." }
            }
        }
        #expect(findings == [])
        #expect(try SourceTree.file("CHANGELOG.md").lines.contains { $0.hasPrefix("## ") && $0.contains(version) })
    }

    @Test("each test that docs/bugs.md names exists, and each line has one or says why there is none")
    func bugs() throws {
        var files: [String: String] = [:]
        var findings: [String] = []
        for (number, line) in try SourceTree.file("docs/bugs.md").lines.enumerated() {
            let cells = line.split(separator: "|").map { String($0).trimmed }
            guard line.hasPrefix("| "), cells.count == 4, cells[0] != "the bug", cells[0] != "the mistake" else { continue }
            var named = 0
            var path = ""
            for match in cells[3].matches(of: #/`(Tests/[^`]+)`|"([^"]+)"/#) {
                if let file = match.1 {
                    path = String(file)
                    files[path] = try files[path] ?? SourceTree.file(path).lines.joined(separator: "\n")
                } else if let name = match.2, let text = files[path] {
                    named += 1
                    if !text.contains(name) { findings.append("docs/bugs.md:\(number + 1): \(path) has no \"\(name)\"") }
                }
            }
            let otherwise = ["no test", "no automatic test", "the same test", "make ", "`Branch`"]
            if named == 0, !otherwise.contains(where: cells[3].contains) {
                findings.append("docs/bugs.md:\(number + 1): no test")
            }
        }
        #expect(!files.isEmpty)
        #expect(findings == [])
    }

    @Test("the glossary is sorted, and its types exist")
    func glossary() throws {
        let rows = try SourceTree.file("docs/glossary.md").lines.compactMap { line -> [String]? in
            let cells = line.split(separator: "|").map { String($0).trimmed }
            return line.hasPrefix("| ") && cells.count == 3 && cells[0] != "word" ? cells : nil
        }
        #expect(rows.count > 40)
        #expect(rows.map { $0[0] } == rows.map { $0[0] }.sorted())
        let names = try SourceTree.declaredNames()
        let types = rows.flatMap { $0[2].matches(of: #/`(\w+)`/#).map { String($0.1) } }
        #expect(types.filter { !names.contains($0) } == [])
        #expect(rows.filter { !$0[2].contains("`") }.map { $0[0] } == [])
    }
}
