// The credentials of a running shop: read again when their files change, so that a token is known or revoked within a
// second, without a restart.

import Foundation
import KontorAccess
import Logging

/// Credentials, and the watch over their files.
///
/// `@unchecked Sendable`: what changes is used on its queue alone.
final class WatchedCredentials: @unchecked Sendable {
    let credentials: Credentials
    private let files: AccessSettings.Files
    private let logger: Logger
    private let timer: any DispatchSourceTimer
    private var seen: [FileState?]

    /// Reads the files; throws an error in words for operators.
    init(_ files: AccessSettings.Files, _ logger: Logger) throws {
        self.files = files
        self.logger = logger
        seen = files.states
        credentials = Credentials(try files.rules())
        timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "credentials"))
        timer.setEventHandler { [unowned self] in look() }
        timer.schedule(deadline: .now() + ServerLimits.credentialsInterval, repeating: ServerLimits.credentialsInterval)
        timer.resume()
    }

    deinit { timer.cancel() }

    private func look() {
        let states = files.states
        guard states != seen else { return }
        seen = states
        do {
            credentials.replace(by: try files.rules())
            logger.notice("The tokens have changed, and were read again")
        } catch {
            // Nobody is locked out because somebody saved half a file.
            logger.error("The tokens have changed and cannot be read; those of before stay", metadata: ["reason": "\(error)"])
        }
    }
}

/// What tells one version of a file from the next one.
private struct FileState: Hashable {
    let inode: UInt64
    let size: Int64
    let changed: [Int]

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        changed = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
    }
}

extension AccessSettings.Files {
    fileprivate var states: [FileState?] { [FileState(tokens), jwtKeys.flatMap(FileState.init)] }
}
