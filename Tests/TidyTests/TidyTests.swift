// Rules of the house that no compiler checks. A finding names the file and line.

import Foundation
import Testing

@Suite("The code is tidy")
struct TidyTests {
    @Test("no file has more than 400 lines", arguments: ["Sources", "Tests"])
    func fileLength(directory: String) throws {
        let long = try SourceTree.swiftFiles(in: directory).filter { $0.lines.count > 400 }.map {
            "\($0.path): \($0.lines.count)"
        }
        #expect(long == [])
    }

    @Test("the core imports nothing, not even Foundation")
    func coreImports() throws {
        let findings = try SourceTree.swiftFiles(in: "Sources/KontorCore").flatMap { file in
            file.findings { $1.hasPrefix("import ") || $1.contains(" async ") || $1.contains("await ") }
        }
        #expect(findings == [])
    }

    @Test(
        "a target imports only what lies below it",
        arguments: [
            ("KontorMetrics", ["CoreMetrics", "Synchronization"]),
            ("KontorBench", ["CLinux", "Glibc", "Histogram", "NIOCore", "NIOEmbedded", "NIOSSL", "NIOTLS"]),
            ("KontorTLS", ["Foundation", "NIOCore", "NIOSSL", "NIOTLS", "Synchronization"]),
            (
                "KontorService",
                ["KontorCore", "CoreMetrics", "Crypto", "DequeModule", "Foundation", "Synchronization", "Glibc", "Musl"]
            ),
            (
                "KontorEmbedded",
                [
                    "KontorCore", "KontorService", "CoreMetrics", "DequeModule", "GRDB", "GRDBSQLite", "Glibc", "Musl",
                    "Synchronization",
                ]
            ),
            ("KontorAccess", ["KontorCore", "Crypto", "Foundation", "Synchronization"]),
            (
                "KontorHTTP",
                [
                    "KontorAccess", "KontorCore", "KontorService", "CoreMetrics", "NIOCore", "NIOPosix", "NIOHTTP1",
                    "NIOConcurrencyHelpers",
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
        let findings = try SourceTree.swiftFiles(in: "Sources/\(target)").flatMap { file in
            file.findings { _, line in
                guard line.hasPrefix("import ") else { return false }
                return !allowed.contains(String(line.dropFirst("import ".count)))
            }
        }
        #expect(findings == [])
    }

    @Test("in the services only the runner knows Foundation: its lock and its thread")
    func serviceIsPure() throws {
        let importers = try SourceTree.swiftFiles(in: "Sources/KontorService").filter { $0.lines.contains("import Foundation") }
            .map(\.path)
        #expect(
            importers == ["Sources/KontorService/Runner/ShopRunner.swift", "Sources/KontorService/Runner/TurnThread.swift"])
    }

    @Test("nothing crashes, escapes to another executor or sleeps without a reason beside it")
    func bannedCalls() throws {
        let banned = [
            "try!", "as!", "fatalError(", "Task {", "Task.detached", "DispatchQueue", "nonisolated(unsafe)",
            "Thread.sleep", "usleep(", "sleep(", "@unchecked Sendable", "unowned(unsafe)", "print(",
        ]
        let findings = try SourceTree.swiftFiles(in: "Sources").filter { !$0.path.hasPrefix("Sources/kontor/") }.flatMap {
            file in
            file.findings { line, text in
                let code = text.components(separatedBy: "//")[0]
                return banned.contains { code.contains($0) } && !file.hasReason(at: line)
            }
        }
        #expect(findings == [])
    }

    @Test("a test that sleeps says why: it waits for what it wants to see, and not for a time")
    func sleepingTests() throws {
        let findings = try SourceTree.swiftFiles(in: "Tests").filter { !$0.path.hasPrefix("Tests/TidyTests/") }.flatMap {
            file in
            file.findings { line, text in
                text.range(of: #"sleep\w*\("#, options: [.regularExpression, .caseInsensitive]) != nil
                    && !file.hasReason(at: line)
            }
        }
        #expect(findings == [])
    }

    @Test("no async code where the simulator must schedule every step", arguments: ["KontorService", "KontorEmbedded"])
    func noAsync(target: String) throws {
        let findings = try SourceTree.swiftFiles(in: "Sources/\(target)").flatMap { file in
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
        let findings = try (SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")).flatMap { file in
            file.findings { _, text in marks.contains { text.contains($0) } }
        }
        #expect(findings == [])
    }

    @Test("no folder has more than fifteen source files")
    func folderSize() throws {
        let folders = Dictionary(grouping: try SourceTree.swiftFiles(in: "Sources")) { file in
            file.path.split(separator: "/").dropLast().joined(separator: "/")
        }
        let large = folders.filter { $0.value.count > 15 }
        #expect(large.map { "\($0.key): \($0.value.count)" } == [])
    }
}
