// The token file: what its lines say, and which lines say nothing.

import Foundation
import KontorAccess
import KontorCore
import Testing

@Suite("The token file") struct TokenFileTests {
    private let token: BearerToken
    private let line: String

    init() {
        var random = SystemRandomNumberGenerator()
        token = BearerToken(random: &random)
        line = "alice read,orders sha256:\(token.digest) 2027-01-31 user=u1"
    }

    @Test("a line says who bears a token, what he may do, and until when")
    func entries() throws {
        let file = try TokenFile("# people\n\n\(line)\n  shop\tadmin  sha256:\(String(repeating: "0", count: 64)) never\n")
        #expect(file.entries.map(\.name) == ["alice", "shop"])
        let alice = try #require(file.entries.first).principal
        #expect(alice.scopes == [.read, .orders] && alice.user == Identifier("u1"))
        #expect(Date(timeIntervalSince1970: Double(alice.expires)) == (try Date("2027-01-31T00:00:00Z", strategy: .iso8601)))
        #expect(file.entries.last?.principal.expires == .max && file.entries.last?.principal.user == nil)
        #expect("\(file.entries[0])" == line)
    }

    @Test(
        "a line that is no entry spoils the file, and is named",
        arguments: [
            ("alice read sha256:HASH", "4 or 5 words"), ("al/ice read sha256:HASH never", "name"),
            ("alice raed sha256:HASH never", "scopes"), ("alice , sha256:HASH never", "scopes"),
            ("alice read HASH never", "third"), ("alice read sha256:HASH0 never", "third"),
            ("alice read sha256:HASH 2027-02-29", "expiry"), ("alice read sha256:HASH 2027-1-31", "expiry"),
            ("alice read sha256:HASH 31.1.2027", "expiry"), ("alice read sha256:HASH never u1", "fifth"),
            ("alice read,admin sha256:HASH never user=u1", "at most"),
            ("alice read sha256:HASH never user=u1 x", "4 or 5 words"),
        ])
    func mistakes(line: String, reason: String) {
        let text = "# first\n" + line.replacingOccurrences(of: "HASH", with: "\(token.digest)") + "\n"
        let error = #expect(throws: TokenFile.Mistake.self) { try TokenFile(text) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("line 2") && "\(error.map { "\($0)" } ?? "")".contains(reason))
    }

    @Test("a token on two lines is a mistake: it would be two callers")
    func twice() {
        #expect(throws: TokenFile.Mistake.self) { try TokenFile("\(line)\n\(line)\n") }
    }

    @Test("tokens are long, random, and not in what is printed of them")
    func tokens() {
        var random = SystemRandomNumberGenerator()
        let tokens = (0..<1_000).map { _ in BearerToken(random: &random).text }
        #expect(Set(tokens).count == 1_000 && tokens.allSatisfy { $0.count == 50 && $0.hasPrefix("kontor_") })
        #expect(!"\(token)".contains(token.text) && !line.contains(token.text))
    }

    @Test("half a line is no line: it may lack the user that is still being written")
    func halfLine() throws {
        #expect(throws: TokenFile.Mistake.self) { try TokenFile(line) }
        #expect(try TokenFile("").entries.isEmpty && TokenFile("\n").entries.isEmpty)
    }

    @Test("lines end as those of Windows do, too")
    func windows() throws {
        #expect(try TokenFile("# people\r\n\(line)\r\n").entries.map(\.name) == ["alice"])
    }
}
