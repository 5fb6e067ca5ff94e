// The port to the disk: the few calls that the journal needs, and what a crash leaves of each.

/// An open file. Closed when it is released.
public protocol File: AnyObject, Sendable {
    /// Writes behind the end. A crash before ``sync()`` returns may keep any part of it, and other bytes in its place.
    func append(_ bytes: [UInt8]) throws(EmbeddedError)
    /// Makes content and size durable. After a failure it is unknown what of the appended bytes is durable, and it must
    /// not be tried again: neither by this process nor by the next one, because the file reads as if all had been
    /// written, and a second sync succeeds without writing anything.
    func sync() throws(EmbeddedError)
    /// Takes room on the disk, so that the file can grow to `bytes`. Its size stays. A failure may leave it with a part
    /// of that room, which ``truncate(to:)`` gives back.
    func reserve(_ bytes: Int) throws(EmbeddedError)
    /// Writes over bytes that are there; needs no room. The file must be opened with ``FileMode/overwrite``. After
    /// ``sync()`` they are durable, even if an earlier sync of them has failed: they count as changed again.
    func overwrite(at offset: Int, _ bytes: [UInt8]) throws(EmbeddedError)
    /// Reads `count` bytes, or fewer if the file ends before.
    func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8]
    /// Cuts the file to `size` bytes, and gives back the room behind them. Durable after ``sync()``.
    func truncate(to size: Int) throws(EmbeddedError)
    /// The file's size, in bytes.
    func size() throws(EmbeddedError) -> Int
}

/// How a file is opened.
public enum FileMode: Sendable {
    /// Reads a file that is there.
    case read
    /// Appends to a file that is there.
    case append
    /// Writes over parts of a file that is there.
    case overwrite
    /// Makes a file, or empties it if it is there.
    case create
    /// Makes a file; fails with `exists` if it is there.
    case createNew
}

/// A file system. Until ``Directory/sync()`` a crash may undo what was done to names: files made, renamed or removed.
public protocol FileSystem: AnyObject, Sendable {
    /// Opens a file.
    func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File
    /// Whether there is a file or directory of this name.
    func exists(_ path: String) throws(EmbeddedError) -> Bool
    /// The names in a directory, in no particular order.
    func list(_ directory: String) throws(EmbeddedError) -> [String]
    /// Makes a directory, if it is not there.
    func createDirectory(_ path: String) throws(EmbeddedError)
    /// Removes a file.
    func remove(_ path: String) throws(EmbeddedError)
    /// Gives a file a new name, and atomically replaces the file that had it.
    func rename(_ path: String, to newPath: String) throws(EmbeddedError)
    /// Opens a directory. Its names can then be synced, even when the process has no descriptor left.
    func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory
    /// The bytes that ordinary users may still write on the file system of this path.
    func freeBytes(_ path: String) throws(EmbeddedError) -> Int
    /// Takes the directory for this process until it releases the lock or ends, however it ends.
    ///
    /// - Throws: `inUse` if another process has it.
    func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock
    /// The id of the process that has the lock, or what the lock's file says of it; nil if no process has it. The owner
    /// does not notice.
    func owner(of directory: String) throws(EmbeddedError) -> String?
}

extension FileSystem {
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(EmbeddedError) { try openDirectory(path).sync() }
}

/// An open directory. Closed when it is released.
public protocol Directory: AnyObject, Sendable {
    /// Makes the names in the directory durable.
    func sync() throws(EmbeddedError)
}

/// A directory that belongs to this process.
public protocol DirectoryLock: AnyObject, Sendable {
    /// Lets other processes take the directory.
    func release()
}
