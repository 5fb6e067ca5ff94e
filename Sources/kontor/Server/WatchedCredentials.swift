// The credentials of a running shop: read again when their files change, so that a token is known or revoked within a
// second, without a restart.

import KontorAccess
import Logging

/// Credentials, and the watch over their files.
final class WatchedCredentials {
    let credentials: Credentials
    private let watch: FileWatch

    /// Reads the files; throws an error in words for operators.
    init(_ files: AccessSettings.Files, _ logger: Logger) throws {
        watch = FileWatch([files.tokens, files.jwtKeys].compactMap { $0 })
        credentials = Credentials(try files.rules())
        watch.start(
            logger, done: "The tokens have changed, and were read again",
            failed: "The tokens have changed and cannot be read; those of before stay"
        ) { [credentials] in credentials.replace(by: try files.rules()) }
    }
}
