// docs/architecture.md draws the house as it is: its rooms, its types and its files are those of the sources.

import Foundation
import Testing

@Suite("The architecture is drawn as it is")
struct ArchitectureTests {
    private let lines: [String]

    init() throws { lines = try SourceTree.file("docs/architecture.md").lines }

    /// What stands between backticks.
    private func quoted(_ line: String) -> [String] { line.matches(of: #/`([^`]+)`/#).map { String($0.1) } }

    @Test("each room has its line, and each line its room")
    func rooms() throws {
        var drawn: Set<String> = []
        var target: String?
        for line in lines {
            let cells = line.split(separator: "|").map { String($0).trimmed }
            if line.hasPrefix("| `Sources/") {
                target = cells.first.map { String($0.dropFirst(1).dropLast(1)) }
            } else if !line.hasPrefix("|") {
                target = nil
            } else if let target, let name = cells.first {
                drawn.formUnion(quoted(name).filter { !$0.hasSuffix(".swift") }.map { "\(target)/\($0)" })
            }
        }
        let folders = try SourceTree.swiftFiles(in: "Sources").map { $0.path.split(separator: "/").dropLast() }
        let rooms = Set(folders.filter { $0.count > 2 }.map { $0.joined(separator: "/") })
        #expect(drawn.symmetricDifference(rooms).sorted() == [])
    }

    @Test("each type and each file that it names exists")
    func names() throws {
        let files = try (SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")).map(\.path)
        let folders = Set(files.flatMap { $0.split(separator: "/").map(String.init) }).union(["CLinux"])
        let names = try SourceTree.declaredNames().union(SourceTree.declaredNames(in: "Tests/Support"))
        let findings = lines.enumerated().flatMap { number, line in
            quoted(line).filter { name in
                if name.hasSuffix(".swift") { return !files.contains { "/\($0)".hasSuffix("/\(name)") } }
                guard name.wholeMatch(of: #/[A-Z]\w+(\.\w+)*/#) != nil else { return false }
                return !folders.contains(name) && !name.words.allSatisfy(names.contains)
            }.map { "docs/architecture.md:\(number + 1): \($0)" }
        }
        #expect(findings == [])
    }

    @Test("links between documents lead to a file")
    func links() throws {
        let documents = try SourceTree.textFiles(without: ["Sources", "Tests"]).filter { $0.path.hasSuffix(".md") }
        let findings = documents.flatMap { document in
            document.findings { _, line in
                line.matches(of: #/\]\(([^)#\s]+)/#).contains { link in
                    !link.1.contains("://") && !SourceTree.exists(String(link.1), from: document.path)
                }
            }
        }
        #expect(findings == [])
    }
}
