// Rules of the house that no compiler checks. A finding names the file and line.

import Foundation
import Testing

@Suite("The code is tidy")
struct TidyTests {
    struct SourceFile {
        let path: String
        let lines: [String]

        func findings(_ isBad: (Int, String) -> Bool) -> [String] {
            lines.enumerated().filter { isBad($0.offset, $0.element) }.map { "\(path):\($0.offset + 1): \($0.element)" }
        }

        /// Whether a comment stands on the line or directly above it.
        func hasReason(at line: Int) -> Bool {
            lines[line].contains("//")
                || (line > 0 && lines[line - 1].trimmingCharacters(in: .whitespaces).hasPrefix("//"))
        }
    }

    private let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func files(in directory: String) throws -> [SourceFile] {
        let base = root.appending(path: directory)
        let names = try FileManager.default.subpathsOfDirectory(atPath: base.path)
        let files = try names.filter { $0.hasSuffix(".swift") }.sorted().map { name in
            let text = try String(contentsOf: base.appending(path: name), encoding: .utf8)
            return SourceFile(path: "\(directory)/\(name)", lines: text.components(separatedBy: "\n"))
        }
        try #require(!files.isEmpty, "there are no Swift files in \(directory)")
        return files
    }

    @Test("no file has more than 400 lines", arguments: ["Sources", "Tests"])
    func fileLength(directory: String) throws {
        let long = try files(in: directory).filter { $0.lines.count > 400 }.map { "\($0.path): \($0.lines.count)" }
        #expect(long == [])
    }

    @Test("every source file says first what it is for")
    func fileHeader() throws {
        let silent = try files(in: "Sources").filter { $0.lines.first?.hasPrefix("// ") != true }.map(\.path)
        #expect(silent == [])
    }

    @Test("the core imports nothing, not even Foundation")
    func coreImports() throws {
        let findings = try files(in: "Sources/KontorCore").flatMap { file in
            file.findings { $1.hasPrefix("import ") || $1.contains(" async ") || $1.contains("await ") }
        }
        #expect(findings == [])
    }

    @Test(
        "a target imports only what lies below it",
        arguments: [
            ("KontorMetrics", ["CoreMetrics", "Synchronization"]),
            ("KontorBench", ["CLinux", "Glibc", "Histogram"]),
            ("KontorService", ["KontorCore", "CoreMetrics", "Crypto", "DequeModule", "Foundation", "Synchronization"]),
            (
                "KontorEmbedded",
                ["KontorCore", "KontorService", "CoreMetrics", "DequeModule", "GRDB", "GRDBSQLite", "Glibc", "Musl"]
            ),
            (
                "KontorHTTP",
                [
                    "KontorCore", "KontorService", "CoreMetrics", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers",
                    "Glibc",
                ]
            ),
            ("RedisClient", ["NIOCore", "NIOPosix", "NIOSSL"]),
            ("KontorRedis", ["KontorCore", "KontorService", "RedisClient", "Crypto", "NIOCore"]),
            ("KontorLink", ["KontorCore", "KontorService", "NIOCore", "NIOPosix"]),
            (
                "KontorSimulation",
                [
                    "KontorCore", "KontorService", "KontorEmbedded", "CoreMetrics", "DequeModule", "HeapModule", "Foundation",
                    "Synchronization",
                ]
            ),
        ])
    func imports(target: String, allowed: [String]) throws {
        let findings = try files(in: "Sources/\(target)").flatMap { file in
            file.findings { _, line in
                guard line.hasPrefix("import ") else { return false }
                return !allowed.contains(String(line.dropFirst("import ".count)))
            }
        }
        #expect(findings == [])
    }

    @Test("in the services only the shop's thread knows Foundation")
    func serviceIsPure() throws {
        let importers = try files(in: "Sources/KontorService").filter { $0.lines.contains("import Foundation") }.map(\.path)
        #expect(importers == ["Sources/KontorService/ShopThread.swift"])
    }

    @Test("nothing crashes, escapes to another executor or sleeps without a reason beside it")
    func bannedCalls() throws {
        let banned = [
            "try!", "as!", "fatalError(", "Task {", "Task.detached", "DispatchQueue", "nonisolated(unsafe)",
            "Thread.sleep", "usleep(", "sleep(", "@unchecked Sendable", "unowned(unsafe)", "print(",
        ]
        let findings = try files(in: "Sources").filter { !$0.path.hasPrefix("Sources/kontor/") }.flatMap { file in
            file.findings { line, text in
                let code = text.components(separatedBy: "//")[0]
                return banned.contains { code.contains($0) } && !file.hasReason(at: line)
            }
        }
        #expect(findings == [])
    }

    @Test("no async code where the simulator must schedule every step", arguments: ["KontorService", "KontorEmbedded"])
    func noAsync(target: String) throws {
        let findings = try files(in: "Sources/\(target)").flatMap { file in
            file.findings { _, text in
                let code = text.components(separatedBy: "//")[0]
                return code.contains("await ") || code.contains(" async ")
            }
        }
        #expect(findings == [])
    }

    @Test("no mark is left in the code")
    func noMarks() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK", "XX" + "X"]
        let findings = try (files(in: "Sources") + files(in: "Tests")).flatMap { file in
            file.findings { _, text in marks.contains { text.contains($0) } }
        }
        #expect(findings == [])
    }

    @Test("every public type is documented")
    func publicTypes() throws {
        let kinds = ["struct", "final class", "class", "enum", "protocol", "typealias"]
        let findings = try files(in: "Sources").flatMap { file in
            file.findings { line, text in
                guard kinds.contains(where: { text.hasPrefix("public \($0) ") }) else { return false }
                var above = line - 1
                while above >= 0, file.lines[above].hasPrefix("@") { above -= 1 }
                return above < 0 || !file.lines[above].hasPrefix("///")
            }
        }
        #expect(findings == [])
    }
}
