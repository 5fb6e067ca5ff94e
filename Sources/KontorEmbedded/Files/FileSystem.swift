// The port to the disk: the few calls that a journal needs. Each says what a crash leaves behind.

/// An open file. Closed when it is released.
public protocol File: AnyObject, Sendable {
    /// Writes behind the end. A crash before ``sync()`` returns keeps any part of it, or other bytes in its place.
    func append(_ bytes: [UInt8]) throws(EmbeddedError)
    /// Makes content and size durable. After a failure nothing is known about what was appended; never repeat it.
    func sync() throws(EmbeddedError)
    /// Makes sure that the file can grow to `bytes` without running out of space; its size stays.
    func reserve(_ bytes: Int) throws(EmbeddedError)
    /// Fewer bytes than asked for mean the end of the file.
    func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8]
    /// Durable after ``sync()``.
    func truncate(to size: Int) throws(EmbeddedError)
    func size() throws(EmbeddedError) -> Int
}

/// How a file is opened.
public enum FileMode: Sendable {
    case read
    /// The file is there; bytes are appended.
    case append
    /// The file is made, or emptied.
    case create
    /// The file is made, and was not there: else `exists`.
    case createNew
}

/// A file system. Names become durable with ``Directory/sync()``; until then a crash may take them back.
public protocol FileSystem: AnyObject, Sendable {
    func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File
    func exists(_ path: String) throws(EmbeddedError) -> Bool
    /// Names in a directory, in no particular order.
    func list(_ directory: String) throws(EmbeddedError) -> [String]
    /// Nothing happens if it is there.
    func createDirectory(_ path: String) throws(EmbeddedError)
    func remove(_ path: String) throws(EmbeddedError)
    /// Replaces what bears the new name, atomically.
    func rename(_ path: String, to newPath: String) throws(EmbeddedError)
    /// Keeps a descriptor of the directory, so that its names can be synced when the process has no other left.
    func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory
    /// What ordinary users may still write on the file system of this path.
    func freeBytes(_ path: String) throws(EmbeddedError) -> Int
    /// Takes the directory for this process until the lock is released; ends with the process, however it ends.
    func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock
    /// The process that has the lock, as far as its name is known; nil if none has. The owner does not notice.
    func owner(of directory: String) throws(EmbeddedError) -> String?
}

extension FileSystem {
    func syncDirectory(_ path: String) throws(EmbeddedError) { try openDirectory(path).sync() }
}

/// An open directory. Closed when it is released.
public protocol Directory: AnyObject, Sendable {
    /// Makes the names in it durable.
    func sync() throws(EmbeddedError)
}

/// A directory that belongs to this process.
public protocol DirectoryLock: AnyObject, Sendable {
    func release()
}
