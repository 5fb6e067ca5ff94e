// Every collection that is stored has a line in docs/bounds.md, which says what bounds it.

import Testing

@Suite("Collections are bounded")
struct CollectionTests {
    /// A stored property that can grow.
    private struct Stored: Hashable, Comparable, CustomStringConvertible {
        let file, name: String
        var description: String { "\(file): \(name)" }
        static func < (left: Stored, right: Stored) -> Bool { left.description < right.description }
    }

    private static let targets = [
        "KontorAccess", "KontorService", "KontorHTTP", "KontorLink", "KontorRedis", "RedisClient", "KontorEmbedded",
        "KontorMetrics", "kontor",
    ]

    @Test("docs/bounds.md lists the stored collections of the sources, and no others")
    func listed() throws {
        let stored = Set(try Self.targets.flatMap { try SourceTree.swiftFiles(in: "Sources/\($0)") }.flatMap(Self.stored))
        let listed = Set(try Self.listed())
        #expect(stored.count > 100, "the scan finds them")
        #expect(stored.subtracting(listed).sorted() == [], "add a line that says what bounds it, and where that is enforced")
        #expect(listed.subtracting(stored).sorted() == [], "a line of what is not there any more")
    }

    @Test("the bounds that docs/bounds.md names exist")
    func bounds() throws {
        let declared = try SourceTree.declaredNames()
        let named = try SourceTree.file("docs/bounds.md").lines.flatMap { line in
            line.matches(of: #/`\w*Limits\.(\w+)`/#).map { String($0.1) }
        }
        #expect(named.count > 50)
        #expect(named.filter { !declared.contains($0) } == [])
    }

    @Test("the scan tells stored collections from others")
    func scan() {
        let text = """
            final class Example {
                private var list: [Int] = []
                var queue = Deque<() -> Void>()
                private(set) var table: [String: Int] { didSet { look() } }
                var watched: [Int] = [] {
                    didSet { look() }
                }
                let fixed: [Int] = []
                var computed: [Int] { list.map { $0 } }
                var alsoComputed: [Int] {
                    var local: [Int] = []
                    return local
                }
                var callback: ([Int]) -> Void = { _ in }
                var number = 0
                func run() {
                    var local: [Int] = []
                }
                struct Inner {
                    var bytes = ByteBuffer()
                }
            }
            """
        let file = SourceFile(path: "Sources/Example.swift", lines: text.components(separatedBy: "\n"))
        #expect(Self.stored(in: file).map(\.name) == ["list", "queue", "table", "watched", "bytes"])
    }

    /// The rows of the tables: a file, which stands for the rows below it that name none, and names.
    private static func listed() throws -> [Stored] {
        var file = ""
        return try SourceTree.file("docs/bounds.md").lines.flatMap { line -> [Stored] in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { String($0).trimmed }
            guard cells.count >= 4, line.hasPrefix("|") else { return [] }
            if let path = cells[1].firstMatch(of: #/^`(.+\.swift)`$/#) {
                file = String(path.1)
            } else if !cells[1].isEmpty {
                return []
            }
            let names = cells[2].split(separator: ":").first ?? ""
            return names.matches(of: #/`(\w+)`/#).map { Stored(file: file, name: String($0.1)) }
        }
    }

    /// The stored properties of a file's types whose type or first value is a collection, as far as a line shows it.
    private static func stored(in file: SourceFile) -> [Stored] {
        var scopes: [Bool] = []
        var found: [Stored] = []
        for (number, line) in file.lines.enumerated() {
            let code = line.components(separatedBy: "//")[0].trimmed
            if scopes.last ?? false, code.contains("var "),
                let name = name(ofCollection: code, next: file.lines.dropFirst(number + 1).first ?? "")
            {
                found.append(Stored(file: String(file.path.dropFirst("Sources/".count)), name: name))
            }
            let isType = code.words.prefix(4).contains { Self.kindsOfTypes.contains($0) }
            var isInText = false
            for byte in code.utf8 {
                switch byte {
                case UInt8(ascii: "\""): isInText.toggle()
                case UInt8(ascii: "{") where !isInText: scopes.append(isType)
                case UInt8(ascii: "}") where !isInText: _ = scopes.popLast()
                default: break
                }
            }
        }
        return found
    }

    private static let kindsOfTypes: Set = ["struct", "class", "enum", "extension", "protocol"]

    /// The name of the property that this line declares; nil if it declares none, a computed one, or no collection.
    private static func name(ofCollection code: String, next: String) -> String? {
        guard let match = code.firstMatch(of: #/^(?:[\w@()]+ +)*var +(\w+)\s*[:=]\s*(.*)$/#) else { return nil }
        let type = match.2
        let isCollection = type.contains(
            #/^(?:\[|Deque|Set<|Heap|CircularBuffer|ByteBuffer\b|UnsafeMutable|Logger\.Metadata\b)/#)
        let isObserved = code.contains("didSet") || next.contains("didSet")
        let isComputed = type.contains("{") && !type.contains(" = ") && !isObserved
        return isCollection && !isComputed ? String(match.1) : nil
    }
}
