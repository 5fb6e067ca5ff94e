// Comments: that they are there, that what they point to exists, and that they are not too wide.

import Foundation
import Testing

@Suite("Comments are tidy")
struct CommentTests {
    @Test("every source file says first what it is for, and so does what tests share")
    func fileHeader() throws {
        let shared = try SourceTree.swiftFiles(in: "Tests").filter { !$0.path.hasSuffix("Tests.swift") }
        let files = try SourceTree.swiftFiles(in: "Sources") + shared
        #expect(files.filter { $0.lines.first?.hasPrefix("// ") != true }.map(\.path) == [])
    }

    @Test("every public type is documented")
    func publicTypes() throws {
        let kinds = ["struct", "final class", "class", "enum", "protocol", "typealias"]
        let findings = try SourceTree.swiftFiles(in: "Sources").flatMap { file in
            file.findings { line, text in
                kinds.contains { text.hasPrefix("public \($0) ") } && !file.hasDocComment(at: line)
            }
        }
        #expect(findings == [])
    }

    @Test("every public member is documented, unless its type says all, or the protocol that asks for it")
    func publicMembers() throws {
        let witnesses = try Witnesses()
        let findings = try SourceTree.swiftFiles(in: "Sources").flatMap { file in
            file.findings { line, text in
                guard let member = PublicMember(text), !file.hasDocComment(at: line) else { return false }
                return member.needsWords && !witnesses.contains(member.name)
            }
        }
        #expect(findings == [])
    }

    @Test("a symbol that a doc comment links to exists")
    func symbolLinks() throws {
        let names = try SourceTree.declaredNames()
        let link = #/``([^`]+)``/#
        let findings = try SourceTree.swiftFiles(in: "Sources").flatMap { file in
            file.findings { _, text in
                guard text.contains("``"), text.trimmed.hasPrefix("//") else { return false }
                return text.matches(of: link).contains { match in
                    match.1.split(separator: "/").contains { !names.contains(String($0.prefix { $0 != "(" })) }
                }
            }
        }
        #expect(findings == [])
    }

    @Test("comments wrap at 120 columns")
    func width() throws {
        let files = try SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests")
        let findings = files.flatMap { file in
            file.findings { _, text in text.utf8.count > 120 && text.count > 120 && text.trimmed.hasPrefix("//") }
        }
        #expect(findings == [], "scripts/wrap-comments FILES does it")
    }
}

/// A public declaration within a type, as far as one line tells.
private struct PublicMember {
    let name: String
    let needsWords: Bool

    /// - Returns: nil if the line declares none.
    init?(_ line: String) {
        var declaration = line.trimmed[...]
        while declaration.hasPrefix("@"), let space = declaration.firstIndex(of: " ") {
            declaration = declaration[declaration.index(after: space)...]
        }
        let kinds: Set = ["let", "var", "func", "init", "subscript", "struct", "class", "enum", "protocol", "typealias"]
        guard declaration.hasPrefix("public "), let kind = String(declaration).words.first(where: kinds.contains),
            let place = declaration.range(of: " \(kind)")
        else { return nil }
        let rest = String(declaration[place.upperBound...])
        let beginning = rest.split(separator: " ").first ?? ""
        // An operator's name is no word, and stands alone.
        let isWord = beginning.first?.isLetter == true
        name = String(isWord ? beginning.prefix { $0.isLetter || $0.isNumber || $0 == "_" } : beginning)
        switch kind {
        // What only keeps its arguments is said by the properties.
        case "init": needsWords = rest.hasPrefix("?") || rest.contains("throws")
        case "let", "var": needsWords = rest.contains("{") || Self.isBare(rest)
        default: needsWords = true
        }
    }

    /// Whether a stored property's type leaves open what it is: a number without a unit, a text, a flag, or what nil
    /// means.
    private static func isBare(_ rest: String) -> Bool {
        let bare: Set = [
            "Int", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Double", "Bool", "String", "[UInt8]",
        ]
        let sides = rest.components(separatedBy: " = ")
        if let colon = sides[0].range(of: ": ") {
            let type = String(sides[0][colon.upperBound...])
            return bare.contains(type) || type.hasSuffix("?") || type.hasPrefix("(")
        }
        guard let value = sides.dropFirst().first else { return false }
        return value.hasPrefix("\"") || value == "true" || value == "false" || value.first?.isNumber == true
    }
}

/// Names of what protocols ask for: it is documented there.
private struct Witnesses {
    private var names: Set<String> = [
        // Of the standard library.
        "description", "debugDescription", "<", "==", "-", "+=", "-=", "hash", "next",
        // Of swift-nio.
        "handlerAdded", "handlerRemoved", "channelActive", "channelInactive", "channelRead", "channelReadComplete",
        "channelWritabilityChanged", "userInboundEventTriggered", "errorCaught", "InboundIn", "InboundOut", "OutboundIn",
        "OutboundOut",
        // Of swift-metrics.
        "makeCounter", "makeMeter", "makeRecorder", "makeTimer", "destroyCounter", "destroyMeter", "destroyRecorder",
        "destroyTimer",
    ]

    /// With those of the protocols in the sources.
    init() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") {
            var isInProtocol = false
            for line in file.lines {
                if line.hasPrefix("public protocol ") || line.hasPrefix("protocol ") {
                    isInProtocol = true
                } else if line.hasPrefix("}") {
                    isInProtocol = false
                } else if isInProtocol, !line.trimmed.hasPrefix("//") {
                    let words = line.words.drop { $0 == "static" || $0 == "mutating" }
                    guard let kind = words.first, ["func", "var", "typealias"].contains(kind) else { continue }
                    names.formUnion(words.dropFirst().prefix(1))
                }
            }
        }
    }

    func contains(_ name: String) -> Bool { names.contains(name) }
}
