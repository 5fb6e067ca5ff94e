// Notices that files were changed: what is read from them is read again, without a restart.

import Foundation
import Logging

/// Looks at files once a second.
///
/// `@unchecked Sendable`: what changes is used on its queue alone.
final class FileWatch: @unchecked Sendable {
    private let paths: [String]
    private let timer: any DispatchSourceTimer
    private var seen: [FileState?]
    private var isStarted = false

    /// Notes how the files are. To be made before they are read: what changes from here on is seen to have changed.
    init(_ paths: [String]) {
        self.paths = paths
        seen = paths.map(FileState.init)
        timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "files"))
    }

    deinit {
        timer.cancel()
        // A timer that never ran must not be released.
        if !isStarted { timer.resume() }
    }

    /// Begins to look, and reads the files again when one has changed. If that fails, what was read before stays:
    /// nobody is locked out because somebody saved half a file. To be called once.
    ///
    /// - Parameters:
    ///   - done: what the log says when they were read.
    ///   - failed: what it says, with the reason, when they cannot be used.
    ///   - read: reads the files, uses them from then on, and gives what the log shall say of them. Like `looked` it is
    ///     called on a queue of its own, and must not keep the owner of the watch.
    ///   - looked: called after each look.
    func start(
        _ logger: Logger, done: Logger.Message, failed: Logger.Message,
        reading read: @escaping @Sendable () throws -> Logger.Metadata,
        looked: @escaping @Sendable () -> Void = {}
    ) {
        let facts: Logger.Metadata = ["files": "\(paths.joined(separator: " "))"]
        isStarted = true
        timer.setEventHandler { [weak self] in
            defer { looked() }
            guard let self, hasChanged() else { return }
            do {
                let found = try read()
                logger.notice(done, metadata: facts.merging(found) { $1 })
            } catch {
                logger.error(failed, metadata: facts.merging(["reason": "\(error)"]) { $1 })
            }
        }
        timer.schedule(deadline: .now() + ServerLimits.filesInterval, repeating: ServerLimits.filesInterval)
        timer.resume()
    }

    /// Whether a file has changed since the last call. One that changes while it is read has changed again.
    private func hasChanged() -> Bool {
        let states = paths.map(FileState.init)
        defer { seen = states }
        return states != seen
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

/// Files with texts that operators write.
enum TextFile {
    /// What is parsed from a file; throws an error in words for operators, with the file's path and nothing of its
    /// text.
    ///
    /// - Parameters:
    ///   - what: what the file is, such as "the token file".
    ///   - parse: parses its text; its errors say what is wrong and do not quote it.
    static func parsed<T>(_ path: String, _ what: String, _ parse: (String) throws -> T) throws -> T {
        do { return try parse(try String(contentsOfFile: path, encoding: .utf8)) } catch {
            let reason = (error as? CocoaError)?.localizedDescription ?? "\(error)"
            throw StartError(description: "\(what) \(path) cannot be used: \(reason)")
        }
    }
}
