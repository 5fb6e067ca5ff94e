// Notices that files were changed: what is read from them is read again, without a restart.

import Foundation

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

    /// Begins to look. To be called once.
    ///
    /// - Parameter looked: called at each look, on a queue of its own; it is told whether a file has changed. It must
    ///   not keep the owner of the watch.
    func start(_ looked: @escaping @Sendable (_ hasChanged: Bool) -> Void) {
        isStarted = true
        timer.setEventHandler { [weak self] in
            if let self { looked(hasChanged()) }
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
