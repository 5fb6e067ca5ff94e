// The disk of this machine: one system call for each method, and every failure with its call, path and errno.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The file system of this machine.
public final class PosixFileSystem: FileSystem {
    /// Makes one. It has no state.
    public init() {}

    /// See ``FileSystem``.
    public func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File {
        let flags: Int32
        switch mode {
        case .read: flags = O_RDONLY | O_CLOEXEC
        case .append: flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC
        case .overwrite: flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC
        case .create: flags = O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC
        case .createNew:
            flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC
            if access(path, F_OK) == 0 { throw .exists(path: path) }
        }
        return PosixFile(try openDescriptor(path, flags), path)
    }

    /// See ``FileSystem``.
    public func exists(_ path: String) throws(EmbeddedError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        if errno == ENOENT { return false }
        throw failure("access", path)
    }

    /// See ``FileSystem``.
    public func list(_ directory: String) throws(EmbeddedError) -> [String] {
        guard let stream = opendir(directory) else { throw failure("opendir", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            // The end of the directory and a failure look the same, but for errno.
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw failure("readdir", directory) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// See ``FileSystem``.
    public func createDirectory(_ path: String) throws(EmbeddedError) {
        if mkdir(path, 0o700) != 0 && errno != EEXIST { throw failure("mkdir", path) }
    }

    /// See ``FileSystem``.
    public func remove(_ path: String) throws(EmbeddedError) {
        if unlink(path) != 0 { throw failure("unlink", path) }
    }

    /// See ``FileSystem``.
    public func rename(_ path: String, to newPath: String) throws(EmbeddedError) {
        if Self.systemRename(path, newPath) != 0 { throw failure("rename", newPath) }
    }

    /// See ``FileSystem``.
    public func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory {
        PosixDirectory(PosixFile(try Self.directory(path), path))
    }

    /// See ``FileSystem``.
    public func freeBytes(_ path: String) throws(EmbeddedError) -> Int {
        var status = statvfs()
        if statvfs(path, &status) != 0 { throw failure("statvfs", path) }
        // A file system that does not say its size does not say what is free either.
        if status.f_blocks == 0 { return .max }
        return Int(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    /// See ``FileSystem``.
    public func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock {
        let path = directory + "/lock"
        let file = PosixFile(try openDescriptor(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC), path)
        var wanted = DescriptorLock.exclusive
        if fcntl(file.descriptor, DescriptorLock.set, &wanted) != 0 {
            guard errno == EAGAIN || errno == EACCES else { throw failure("fcntl", path) }
            throw .inUse(directory: directory, pid: Self.pid(in: file))
        }
        let lock = PosixLock(file, DirectoryFlock(PosixFile(try Self.directory(directory), directory)))
        // The file may be a new one: somebody has removed that which the owner has locked.
        guard try lock.directory.take() else { throw .inUse(directory: directory, pid: "(unknown)") }
        // The pid is for the message of another process that is refused. On a full disk there is none.
        let pid = Array("\(getpid())\n".utf8)
        _ = pwrite(file.descriptor, pid, pid.count, 0)
        return lock
    }

    /// See ``FileSystem``.
    public func owner(of directory: String) throws(EmbeddedError) -> String? {
        let path = directory + "/lock"
        if try exists(path) {
            let file = PosixFile(try openDescriptor(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), path)
            var found = DescriptorLock.exclusive
            if fcntl(file.descriptor, DescriptorLock.get, &found) != 0 { throw failure("fcntl", path) }
            if found.l_type != Int16(F_UNLCK) { return Self.pid(in: file) }
        }
        guard try exists(directory) else { return nil }
        let lock = DirectoryFlock(PosixFile(try Self.directory(directory), directory))
        return try lock.isTaken() ? "(unknown)" : nil
    }

    private static func directory(_ path: String) throws(EmbeddedError) -> Int32 {
        try openDescriptor(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    /// Locks one byte of a file, as SQLite does.
    ///
    /// - Returns: nil if another process, or another part of this one, has locked it.
    func lockByte(_ offset: Int, of path: String) throws(EmbeddedError) -> (any File)? {
        let file = PosixFile(try openDescriptor(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), path)
        var wanted = DescriptorLock.exclusive
        wanted.l_start = off_t(offset)
        wanted.l_len = 1
        if fcntl(file.descriptor, DescriptorLock.set, &wanted) == 0 { return file }
        guard errno == EAGAIN || errno == EACCES else { throw failure("fcntl", path) }
        return nil
    }

    private static func pid(in lock: PosixFile) -> String {
        let bytes = (try? lock.read(at: 0, count: 20)) ?? []
        let digits = bytes.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return digits.isEmpty ? "(unknown)" : String(decoding: digits, as: UTF8.self)
    }

    private static func systemRename(_ path: String, _ newPath: String) -> Int32 {
        renameat(AT_FDCWD, path, AT_FDCWD, newPath)
    }
}

/// Linux's "open file description locks". Like those of `flock` they end with the process, and unlike those one can ask
/// who has them. The headers that Swift imports leave their numbers out.
private enum DescriptorLock {
    static let get: CInt = 36  // F_OFD_GETLK
    static let set: CInt = 37  // F_OFD_SETLK

    /// A lock of the whole file, which only one process can have.
    static var exclusive: flock {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        return lock
    }

    static var none: flock {
        var lock = exclusive
        lock.l_type = Int16(F_UNLCK)
        return lock
    }
}

/// Opens a file. A new one is for its owner alone: it has what customers bought.
private func openDescriptor(_ path: String, _ flags: Int32) throws(EmbeddedError) -> Int32 {
    let descriptor = open(path, flags, 0o600)
    if descriptor < 0 { throw failure("open", path) }
    return descriptor
}

private func failure(_ call: String, _ path: String) -> EmbeddedError {
    let code = errno
    return code == ENOSPC || code == EDQUOT ? .diskFull(path: path) : .system(call: call, path: path, code: code)
}

/// `fallocate`, looked up by name, because the headers that Swift imports leave it out: it is Linux's own.
private let systemFallocate: (@convention(c) (CInt, CInt, off_t, off_t) -> CInt)? = {
    guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "fallocate") else { return nil }
    return unsafeBitCast(symbol, to: (@convention(c) (CInt, CInt, off_t, off_t) -> CInt).self)
}()

/// An open file of this machine. One lane uses it at a time.
private final class PosixFile: File {
    let descriptor: Int32
    let path: String

    init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func append(_ bytes: [UInt8]) throws(EmbeddedError) {
        try writeAll(bytes, "write") { write(descriptor, $0, $1) }
    }

    func overwrite(at offset: Int, _ bytes: [UInt8]) throws(EmbeddedError) {
        var place = offset
        try writeAll(bytes, "pwrite") { start, count in
            let written = pwrite(descriptor, start, count, off_t(place))
            place += max(0, written)
            return written
        }
    }

    /// Calls `write` until all bytes are written.
    private func writeAll(
        _ bytes: [UInt8], _ call: String, _ write: (UnsafeRawPointer, Int) -> Int
    ) throws(EmbeddedError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer -> Int in
                guard let base = buffer.baseAddress else { return 0 }
                return write(base + written, buffer.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(call, path)
            }
            written += count
        }
    }

    func sync() throws(EmbeddedError) {
        // Never as a disk that is full, even if that is the reason: what a failed sync has written nobody knows.
        if fdatasync(descriptor) != 0 { throw .system(call: "fdatasync", path: path, code: errno) }
    }

    func reserve(_ bytes: Int) throws(EmbeddedError) {
        let keepSize: CInt = 1  // FALLOC_FL_KEEP_SIZE
        guard let fallocate = systemFallocate else { return }
        if fallocate(descriptor, keepSize, 0, off_t(bytes)) == 0 { return }
        // A file system may know no reservations. A disk that is full then shows at a write.
        if errno != EOPNOTSUPP { throw failure("fallocate", path) }
    }

    func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8] {
        let wanted = max(0, min(count, try size() - offset))
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while filled < wanted, let base = buffer.baseAddress {
                let count = pread(descriptor, base + filled, wanted - filled, off_t(offset + filled))
                if count == 0 { break }
                if count > 0 {
                    filled += count
                } else if errno != EINTR {
                    code = errno
                    break
                }
            }
        }
        if code != 0 { throw .system(call: "pread", path: path, code: code) }
        return bytes
    }

    func truncate(to size: Int) throws(EmbeddedError) {
        if ftruncate(descriptor, off_t(size)) != 0 { throw failure("ftruncate", path) }
    }

    func size() throws(EmbeddedError) -> Int {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw failure("fstat", path) }
        return Int(status.st_size)
    }
}

private final class PosixDirectory: Directory {
    private let file: PosixFile

    init(_ file: PosixFile) { self.file = file }

    func sync() throws(EmbeddedError) {
        if fsync(file.descriptor) != 0 { throw failure("fsync", file.path) }
    }
}

/// A lock of a directory itself, which cannot be removed as a file in it can.
private struct DirectoryFlock {
    private let file: PosixFile

    init(_ file: PosixFile) { self.file = file }

    /// Takes the lock.
    ///
    /// - Returns: false if another process has it, or still has it after the few milliseconds that ``isTaken()`` of
    ///   another process may take. True also on a file system that does not know such locks.
    func take() throws(EmbeddedError) -> Bool {
        for _ in 0..<10 {
            if try lock(LOCK_EX) { return true }
            // At a start, before anything is served: who asks whether the lock is taken has it for a moment.
            usleep(5_000)
        }
        return false
    }

    /// Whether another process has the lock.
    func isTaken() throws(EmbeddedError) -> Bool {
        guard try lock(LOCK_SH) else { return true }
        release()
        return false
    }

    func release() { _ = flock(file.descriptor, LOCK_UN) }

    private func lock(_ kind: CInt) throws(EmbeddedError) -> Bool {
        if flock(file.descriptor, kind | LOCK_NB) == 0 { return true }
        switch errno {
        case EWOULDBLOCK, EINTR: return false
        // NFS wants a descriptor that can write, which there is none of for a directory.
        case EBADF, EINVAL, EOPNOTSUPP, ENOSYS, ENOLCK: return true
        default: throw failure("flock", file.path)
        }
    }
}

private final class PosixLock: DirectoryLock {
    private let file: PosixFile
    let directory: DirectoryFlock

    init(_ file: PosixFile, _ directory: DirectoryFlock) {
        self.file = file
        self.directory = directory
    }

    func release() {
        directory.release()
        var none = DescriptorLock.none
        _ = fcntl(file.descriptor, DescriptorLock.set, &none)
    }
}
