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

        /// The text of the file; throws an error in words.
        static func text(_ path: String) throws -> String {
            do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
                throw ValidationError("\(path) cannot be read: is it there, a file, and yours to read?")
            }
        }

        /// The entries of a text; throws an error in words.
        static func entries(_ text: String, _ path: String) throws -> [TokenFile.Entry] {
            do { return try TokenFile(text).entries } catch {
                throw ValidationError("\(path) cannot be used: \(error)")
            }
        }

        /// Changes the file, one command at a time, and as a whole: a shop that reads it meanwhile sees the old one or
        /// the new one. Its owner and mode stay. A link is followed.
        static func change(_ path: String, _ body: (_ text: String) throws -> String) throws {
            let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            func failure() -> ValidationError {
                ValidationError("\(path) cannot be written: \(String(cString: strerror(errno)))")
            }
            let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard lock >= 0, flock(lock, LOCK_EX) == 0 else { throw failure() }
            defer { close(lock) }
            var status = stat()
            let isThere = stat(path, &status) == 0
            let text = try body(isThere ? try Self.text(path) : "")
            let draft = "\(path).\(UInt64.random(in: 0 ... .max))"
            let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw failure() }
            defer { close(file) }
            let written = Array(text.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            let isKept =
                !isThere || (fchown(file, status.st_uid, status.st_gid) == 0 && fchmod(file, status.st_mode & 0o7777) == 0)
            guard written == text.utf8.count, isKept, fsync(file) == 0, rename(draft, path) == 0 else {
                let failure = failure()
                unlink(draft)
                throw failure
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
            guard (0...36_500).contains(days) else { throw ValidationError("--days is \(days): it must be from 0 to 36500.") }
            guard Identifier(name) != nil else {
                throw ValidationError("--name is not 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -")
            }
            guard let scopes = Scopes(names: scopes.split(separator: ",")) else {
                throw ValidationError(
                    "--scopes are some of \(Scopes(Scopes.named.map(\.scope))), with commas and no blanks between them.")
            }
            let user = try user.map { text in
                guard let user = Identifier(text) else { throw ValidationError("--user is no id of a user.") }
                return user
            }
            if user != nil, !scopes.isSubset(of: .ofUsers) {
                throw ValidationError("A token of a user has the scopes \(Scopes.ofUsers) at most.")
            }
            var random = SystemRandomNumberGenerator()
            let token = BearerToken(random: &random)
            let today = (Date().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400
            let end = days == 0 ? nil : Date(timeIntervalSince1970: today + Double(days + 1) * 86_400)
            let entry = TokenFile.Entry(name: name, scopes: scopes, digest: token.digest, expires: end, user: user)
            try FileOption.change(path) { old in
                let text = old + "\(entry)\n"
                let before = try FileOption.entries(old, path)
                guard try FileOption.entries(text, path) == before + [entry] else {
                    throw ValidationError("\(path) would not say what it should: \(entry)")
                }
                return text
            }
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
            var revoked: [TokenFile.Entry] = []
            try FileOption.change(path) { old in
                revoked = try FileOption.entries(old, path).filter {
                    $0.name == token || (token.count >= 8 && "\($0.digest)".hasPrefix(token))
                }
                if revoked.isEmpty { throw ValidationError("\(path) has no token with the name or hash \(token).") }
                let lines = old.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
                let kept = lines.filter { line in !revoked.contains { line.contains("sha256:\($0.digest)") } }
                return kept.joined(separator: "\n")
            }
            print("\(revoked.count) \(revoked.count == 1 ? "token is" : "tokens are") revoked.")
        }
    }
}
