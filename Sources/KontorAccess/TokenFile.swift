// The token file: one line for each token. People edit it, and `kontor token` does.

import Foundation
import KontorCore

/// What a token file says. A line is `NAME SCOPES sha256:HASH EXPIRY [user=ID]`, with blanks between its words: a name
/// of the caller's, scopes with commas, the hash of the token, and the UTC date on which it ends, or `never`. Lines
/// that begin with `#`, and empty ones, mean nothing.
public struct TokenFile: Sendable {
    /// One line.
    public struct Entry: Hashable, Sendable, CustomStringConvertible {
        /// The caller's.
        public let name: String
        /// What it may do.
        public let scopes: Scopes
        /// That of the token.
        public let digest: TokenDigest
        /// The beginning of the first day on which the token is not valid; nil: it always is.
        public let expires: Date?
        /// The user to whom the token is bound; nil: to none.
        public let user: Identifier?

        /// Makes an entry; the meaning of the parameters is that of the properties.
        public init(name: String, scopes: Scopes, digest: TokenDigest, expires: Date?, user: Identifier?) {
            self.name = name
            self.scopes = scopes
            self.digest = digest
            self.expires = expires
            self.user = user
        }

        /// The first day on which the token is not valid, or `never`.
        public var end: String { expires?.formatted(TokenFile.day) ?? "never" }

        /// The line of the file.
        public var description: String {
            let words = [name, "\(scopes)", "sha256:\(digest)", end]
            return (words + (user.map { ["user=\($0.text)"] } ?? [])).joined(separator: " ")
        }

        /// The caller whom the token shows.
        public var principal: Principal {
            Principal(name: name, scopes: scopes, user: user, expires: expires.map { Int64($0.timeIntervalSince1970) } ?? .max)
        }
    }

    /// Why a line means nothing.
    public struct Mistake: Error, Hashable, CustomStringConvertible {
        let line: Int
        let reason: String

        public var description: String { "line \(line): \(reason)" }
    }

    /// Most lines of a file, so that a file by mistake is none.
    public static let entries = 10_000

    public private(set) var entries: [Entry] = []
    /// Days in UTC, such as 2027-01-31.
    static let day = Date.ISO8601FormatStyle().year().month().day()

    /// Reads a file.
    ///
    /// - Throws: the first mistake. A file is used as a whole or not at all: a line that is left out by mistake may be
    ///   the one that revokes.
    public init(_ text: String) throws(Mistake) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // It may be half a line that is still being written: a token without the user whom it is bound to.
        if lines.last?.isEmpty == false { throw Mistake(line: lines.count, reason: "the last line does not end") }
        var digests: Set<TokenDigest> = []
        for (index, line) in lines.enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let entry: Entry
            do throws(Reason) { entry = try Self.entry(words) } catch { throw Mistake(line: index + 1, reason: error.text) }
            if !digests.insert(entry.digest).inserted { throw Mistake(line: index + 1, reason: "a token stands on two lines") }
            entries.append(entry)
            if entries.count > Self.entries {
                throw Mistake(line: index + 1, reason: "there are more than \(Self.entries) tokens")
            }
        }
    }

    private struct Reason: Error { let text: String }

    private static func entry(_ words: [Substring]) throws(Reason) -> Entry {
        guard words.count == 4 || words.count == 5 else {
            throw Reason(text: "a token has 4 or 5 words: NAME SCOPES sha256:HASH EXPIRY [user=ID]")
        }
        guard Identifier(String(words[0])) != nil else {
            throw Reason(text: "the name is not 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -")
        }
        guard let scopes = Scopes(names: words[1].split(separator: ",")) else {
            throw Reason(text: "the scopes are some of \(Scopes(Scopes.named.map(\.scope))), with commas between them")
        }
        guard words[2].hasPrefix("sha256:"), let digest = TokenDigest(hex: words[2].dropFirst(7)) else {
            throw Reason(text: "the third word is sha256: and 64 hexadecimal digits in lower case")
        }
        let day = try? Date(String(words[3]), strategy: Self.day)
        if words[3] != (day?.formatted(Self.day) ?? "never") {
            throw Reason(text: "the expiry is a date such as 2027-01-31, or never")
        }
        guard words.count == 5 else {
            return Entry(name: String(words[0]), scopes: scopes, digest: digest, expires: day, user: nil)
        }
        guard words[4].hasPrefix("user="), let user = Identifier(String(words[4].dropFirst(5))) else {
            throw Reason(text: "the fifth word is user= and the id of a user")
        }
        if !scopes.isSubset(of: .ofUsers) {
            throw Reason(text: "a token of a user has the scopes \(Scopes.ofUsers) at most")
        }
        return Entry(name: String(words[0]), scopes: scopes, digest: digest, expires: day, user: user)
    }
}
