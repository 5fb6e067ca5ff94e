// `kontor token`: makes, shows and revokes the tokens of `kontor serve --auth`.

import ArgumentParser
import Foundation
import KontorAccess
import KontorCore

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes, shows and revokes the tokens that callers bear (kontor serve --auth).",
        discussion: """
            The file has a line for each token, with its hash instead of the token. A shop that serves reads the file again within a \
            second. To replace a token without an outage: make a new one of the same name, give it to the caller, revoke the old one.
            """,
        subcommands: [New.self, List.self, Revoke.self])

    struct FileOption: ParsableArguments {
        @Option(help: "The token file. (environment: KONTOR_AUTH)")
        var auth: String?

        /// - Throws: an error in words, if there is none.
        func path() throws -> String {
            let path = Setting.text(auth, "auth", default: "")
            if path.isEmpty { throw ValidationError("--auth (KONTOR_AUTH) is missing: name the token file.") }
            return path
        }

        /// The text of the file; empty if there is no file yet.
        static func text(_ path: String) throws -> String {
            FileManager.default.fileExists(atPath: path) ? try String(contentsOfFile: path, encoding: .utf8) : ""
        }

        /// The entries of a text; throws an error in words.
        static func entries(_ text: String, _ path: String) throws -> [TokenFile.Entry] {
            do { return try TokenFile(text).entries } catch {
                throw ValidationError("\(path) cannot be used: \(error)")
            }
        }

        /// Replaces the file as a whole: a shop that reads it meanwhile sees the old one or the new one.
        static func replace(_ path: String, by text: String) throws {
            let draft = path + ".new"
            let created = FileManager.default.createFile(
                atPath: draft, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
            guard created, rename(draft, path) == 0 else {
                throw ValidationError("\(path) cannot be written: \(String(cString: strerror(errno)))")
            }
        }
    }

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a token, and prints it, once: the file has its hash alone.")

        @OptionGroup var file: FileOption

        @Option(help: "The caller's name. Idempotency keys are the name's, whichever of its tokens is used.")
        var name: String

        @Option(help: "What it may do, with commas: read, orders, payments, admin, metrics, operate.")
        var scopes: String

        @Option(help: "Binds it to a user: it reads and changes that user's orders and credit only.")
        var user: String?

        @Option(help: "Days that it is valid; 0: for ever.")
        var days = 365

        func run() throws {
            let path = try file.path()
            let old = try FileOption.text(path)
            _ = try FileOption.entries(old, path)
            guard (0...36_500).contains(days) else { throw ValidationError("--days is \(days): it must be from 0 to 36500.") }
            var random = SystemRandomNumberGenerator()
            let token = BearerToken(random: &random)
            let end = Date(timeIntervalSince1970: (Date().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400)
                .addingTimeInterval(Double(days + 1) * 86_400)
            let expiry = days == 0 ? "never" : end.formatted(Date.ISO8601FormatStyle().year().month().day())
            let words = [name, scopes, "sha256:\(token.digest)", expiry] + (user.map { ["user=\($0)"] } ?? [])
            let text = old + (old.isEmpty || old.hasSuffix("\n") ? "" : "\n") + words.joined(separator: " ") + "\n"
            _ = try FileOption.entries(text, path)
            try FileOption.replace(path, by: text)
            print(token.text)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the tokens: names, scopes, ends; never the tokens.")

        @OptionGroup var file: FileOption

        func run() throws {
            let path = try file.path()
            for entry in try FileOption.entries(try FileOption.text(path), path) {
                let isOver = entry.expires.map { $0 <= Date() } ?? false
                let digest = "\(entry.digest)".prefix(12)
                print(
                    "\(digest)  \(entry.name)  \(entry.scopes)  \(entry.end)\(isOver ? " (over)" : "")\(entry.user.map { "  user=\($0)" } ?? "")"
                )
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes all tokens of a name, or the one with a hash.")

        @OptionGroup var file: FileOption

        @Argument(help: "The caller's name, or at least 8 digits that the token's hash begins with (kontor token list).")
        var token: String

        func run() throws {
            let path = try file.path()
            let old = try FileOption.text(path)
            let revoked = try FileOption.entries(old, path).filter {
                $0.name == token || (token.count >= 8 && "\($0.digest)".hasPrefix(token))
            }
            if revoked.isEmpty { throw ValidationError("\(path) has no token with the name or hash \(token).") }
            let lines = old.split(separator: "\n", omittingEmptySubsequences: false)
            let kept = lines.filter { line in !revoked.contains { line.contains("sha256:\($0.digest)") } }
            try FileOption.replace(path, by: kept.joined(separator: "\n"))
            print("\(revoked.count) \(revoked.count == 1 ? "token is" : "tokens are") revoked.")
        }
    }
}
