// The addresses of the Redis stores, for commands that read all three, and how an address and its password become one.

import ArgumentParser
import Foundation
import KontorTLS
import RedisClient

/// The stores of the three services.
struct StoreOptions: ParsableArguments {
    @Option(
        help: """
            The Redis store of a service: redis://[user:password@]host:port, of a cluster redis://host:port,host:port. \
            Give all three. (environment: KONTOR_STORE, with spaces)
            """)
    var store: [String] = []

    @Option(
        help: """
            A file with the password for a store, whose URL then has none: redis://user@host:port. Give none, or one for each \
            --store, in the same order. (environment: KONTOR_STORE_PASSWORD_FILE, with spaces)
            """)
    var storePasswordFile: [String] = []

    @Option(
        help: """
            A file with certificates (PEM) of who signs those of stores at rediss:// URLs. \
            (default: those that the system trusts; environment: KONTOR_STORE_CA)
            """)
    var storeCa: String?

    /// The three stores; empty if none is named here or in the environment.
    func stores() throws -> [RedisOptions] {
        let texts = Self.list(store, "store")
        let files = Self.list(storePasswordFile, "store-password-file")
        if texts.isEmpty { return [] }
        guard Set(texts).count == texts.count else {
            throw ValidationError("A store is given twice: each service has its own.")
        }
        // The environment of one service names only that service's store.
        guard !store.isEmpty || texts.count == 3 else {
            throw ValidationError("KONTOR_STORE names \(texts.count) of the three services' stores: give all three by --store.")
        }
        guard files.isEmpty || files.count == texts.count else {
            throw ValidationError(
                "There are \(texts.count) stores and \(files.count) files with passwords: give one for each store.")
        }
        return try texts.enumerated().map {
            try Self.store($1, passwordFile: files.isEmpty ? "" : files[$0], authorities: storeCa)
        }
    }

    /// One store: where it is, who logs in, and whose certificates are trusted.
    ///
    /// - Parameters:
    ///   - passwordFile: empty if the URL has the password, or there is none.
    ///   - authorities: the option; nil: it was not given.
    static func store(_ text: String, passwordFile: String, authorities: String?) throws -> RedisOptions {
        let url = try url(text, passwordFile: passwordFile)
        let path = Setting.text(authorities, "store-ca", default: "")
        guard !path.isEmpty else { return RedisOptions(url, name: "kontor") }
        guard url.isTLS else {
            throw ValidationError(
                "--store-ca (KONTOR_STORE_CA) is for rediss:// URLs, and --store (KONTOR_STORE) is \(url): nothing would be encrypted."
            )
        }
        do { _ = try PEMFile.certificates(path) } catch {
            throw ValidationError("--store-ca (KONTOR_STORE_CA): \(error).")
        }
        return RedisOptions(url, name: "kontor", tls: RedisTLS(authorityFile: path))
    }

    private static func url(_ text: String, passwordFile: String) throws -> RedisURL {
        if text.isEmpty { throw ValidationError("--store (KONTOR_STORE) is missing: redis://host:port.") }
        var password: String?
        if !passwordFile.isEmpty {
            do { password = try String(contentsOfFile: passwordFile, encoding: .utf8) } catch {
                throw ValidationError("--store-password-file \(passwordFile) cannot be read: \(error.localizedDescription)")
            }
        }
        do {
            return try RedisURL(text, password: password?.trimmingCharacters(in: .whitespacesAndNewlines))
        } catch { throw ValidationError("--store (KONTOR_STORE): \(error)") }
    }

    private static func list(_ options: [String], _ name: String) -> [String] {
        options.isEmpty ? Setting.text(nil, name, default: "").split(separator: " ").map(String.init) : options
    }
}
