// The one error type of this layer: what the disk, the journal or the table said, with the place where it happened.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why the embedded store cannot start, or cannot go on.
public enum EmbeddedError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No room (ENOSPC, EDQUOT, SQLITE_FULL). Told apart, because it can go away.
    case diskFull(path: String)
    /// A system call failed.
    case system(call: String, path: String, code: Int32)
    /// Stored bytes are not what was written, and it is not a torn tail: an operator must look.
    case damage(file: String, offset: Int, reason: String)
    /// A later release wrote this.
    case newerFormat(file: String, version: UInt32)
    /// Another process owns the directory.
    case inUse(directory: String, pid: String)
    /// What should be made is there already.
    case exists(path: String)
    /// A restore goes into a directory of its own.
    case notEmpty(directory: String, name: String)
    /// A restore began and did not end: what is there is a part of a store.
    case unfinishedRestore(directory: String)
    /// SQLite failed.
    case table(String)

    public var description: String {
        switch self {
        case .diskFull(let path): "no space left for \(path)"
        case .system(let call, let path, let code): "\(call) failed with errno \(code) on \(path)"
        case .damage(let file, let offset, let reason): "damage in \(file) at offset \(offset): \(reason)"
        case .newerFormat(let file, let version): "\(file) has format \(version), written by a newer kontor"
        case .inUse(let directory, let pid): "\(directory) is in use by process \(pid)"
        case .exists(let path): "\(path) is there already, and is not overwritten"
        case .notEmpty(let directory, let name):
            "\(directory) is not empty (it has \(name)): a store is restored into a new or empty directory"
        case .unfinishedRestore(let directory):
            "\(directory) has an unfinished restore: run `kontor restore` on it again"
        case .table(let message): "the table failed: \(message)"
        }
    }
}

extension EmbeddedError {
    /// Somebody removed the file, perhaps between a look at the directory and this.
    var isMissingFile: Bool {
        if case .system(_, _, ENOENT) = self { true } else { false }
    }

    /// Whether it goes away by itself: what the system has not now, it may have again.
    var passes: Bool {
        switch self {
        case .diskFull, .system(_, _, EMFILE), .system(_, _, ENFILE), .system(_, _, ENOMEM): true
        case .system, .damage, .newerFormat, .inUse, .exists, .notEmpty, .unfinishedRestore, .table: false
        }
    }
}
