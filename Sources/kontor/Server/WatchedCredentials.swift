// The tokens and secrets of a running shop: read again when their files change, so that one is known or revoked within
// a second, without a restart.

import KontorAccess
import KontorService
import Logging

/// Credentials, and the watch over their files.
final class WatchedCredentials {
    let credentials: Credentials
    private let watch: FileWatch

    /// Reads the files; throws an error in words for operators.
    init(_ files: AccessSettings.Files, _ logger: Logger) throws {
        watch = FileWatch([files.tokens, files.jwtKeys].compactMap { $0 })
        let rules = try files.rules()
        credentials = Credentials(rules)
        logger.notice("Callers are told apart by their tokens", metadata: Self.facts(rules))
        watch.start(
            logger, done: "The tokens have changed, and were read again",
            failed: "The tokens have changed and cannot be read; those of before stay"
        ) { [credentials] in
            let rules = try files.rules()
            credentials.replace(by: rules)
            return Self.facts(rules)
        }
    }

    private static func facts(_ rules: Credentials.Rules) -> Logger.Metadata {
        ["tokens": "\(rules.tokenCount)", "jwt-keys": "\(rules.jwtKeyCount)"]
    }
}

/// Secrets, and the watch over their file if they are in one.
final class WatchedSecrets {
    let secrets: SharedSecrets
    /// nil: they came from the environment, and cannot change.
    private let watch: FileWatch?

    /// Reads the secrets; throws an error in words for operators.
    init(_ source: SecretSource, _ logger: Logger) throws {
        switch source {
        case .environment(let secrets):
            self.secrets = secrets
            watch = nil
        case .file(let path):
            let watch = FileWatch([path])
            let secrets = try TextFile.parsed(path, Self.file) { try SharedSecrets($0) }
            watch.start(
                logger, done: "The secrets have changed, and were read again",
                failed: "The secrets have changed and cannot be read; those of before stay"
            ) {
                try TextFile.parsed(path, Self.file) { try secrets.replace(by: $0) }
                return ["secrets": "\(secrets.count)"]
            }
            self.secrets = secrets
            self.watch = watch
        }
    }

    private static let file = "the file of secrets"
}
