// The error type of this target: what the disk, the journal or the table said, and where.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why the embedded store cannot start, or cannot go on.
public enum EmbeddedError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no room (ENOSPC, EDQUOT, SQLITE_FULL). A case of its own, because callers are told that.
    case diskFull(path: String)
    /// A system call failed.
    case system(call: String, path: String, code: Int32)
    /// Stored bytes are not what was written, and are not a frame that a crash has torn: an operator must look.
    case damage(file: String, offset: Int, reason: String)
    /// A later release wrote this.
    case newerFormat(file: String, version: UInt32)
    /// Another process uses the table in such a way that it cannot be written just now.
    case busy(path: String)
    /// Another process owns the directory.
    case inUse(directory: String, pid: String)
    /// A file that should be made is there already.
    case exists(path: String)
    /// A directory that a store should be restored to has other files; `name` is one of them.
    case notEmpty(directory: String, name: String)
    /// A directory without a store has other files; `name` is one of them.
    case foreign(directory: String, name: String)
    /// A restore began and did not end: the directory has a part of a store.
    case unfinishedRestore(directory: String)
    /// The table failed, for another reason than room or memory.
    case table(String)

    /// The sentence that an operator reads.
    public var description: String {
        switch self {
        case .diskFull(let path): "no space left for \(path)"
        case .system(let call, let path, let code):
            "\(path): \(String(cString: strerror(code)).lowercased()) (errno \(code) of \(call))\(Self.advice(call, code))"
        case .damage(let file, let offset, let reason): "damage in \(file) at offset \(offset): \(reason)"
        case .newerFormat(let file, let version): "\(file) has format \(version), written by a newer kontor"
        case .busy(let path): "another process writes to \(path), or keeps it locked"
        case .inUse(let directory, let pid): "\(directory) is in use by process \(pid)"
        case .exists(let path): "\(path) is there already, and is not overwritten"
        case .notEmpty(let directory, let name):
            "\(directory) is not empty (it has \(name)): a store is restored into a new or empty directory"
        case .foreign(let directory, let name):
            "\(directory) has no store, and is not empty (it has \(name)): name a store's directory, or a new or empty one"
        case .unfinishedRestore(let directory):
            "\(directory) has an unfinished restore: run `kontor restore` on it again"
        case .table(let message): "the table failed: \(message)"
        }
    }
}

extension EmbeddedError {
    /// What an operator can do about the failure of a system call.
    private static func advice(_ call: String, _ code: Int32) -> String {
        switch code {
        case ENOENT where call == "mkdir": ". The directory that it should be in is not there: make it, or choose another path"
        case ENOTDIR: ". A part of that path is a file: choose another one"
        case EACCES, EPERM: ". Kontor's user may not do that: give it the directory (chown), or choose another one"
        case EROFS: ". Its file system can only be read: choose a path on another one"
        case EMFILE, ENFILE: ". Allow more open files (`ulimit -n`)"
        case EIO: ". The disk fails: the system's log (`dmesg`) says more"
        default: ""
        }
    }

    /// Whether the file is not there, perhaps because somebody removed it since its name was read.
    var isMissingFile: Bool {
        if case .system(_, _, ENOENT) = self { true } else { false }
    }

    /// Whether the failure may go away by itself: the system lacks room, descriptors or memory, or somebody else is in
    /// the way.
    var passes: Bool {
        switch self {
        case .diskFull, .busy, .system(_, _, EMFILE), .system(_, _, ENFILE), .system(_, _, ENOMEM): true
        case .system, .damage, .newerFormat, .inUse, .exists, .notEmpty, .foreign, .unfinishedRestore, .table: false
        }
    }
}
