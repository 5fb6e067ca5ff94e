// A disk in memory that behaves as badly as real ones may: it loses what was not synced, tears writes, fails syncs and
// forgets what they should have written, and runs full. Names and contents become durable separately.

import KontorEmbedded
import KontorService

/// A file system whose crashes, failures and size a test chooses.
///
/// Confined to the simulator's thread, although its type is Sendable.
public final class SimulatedDisk: FileSystem, @unchecked Sendable {
    fileprivate final class Inode {
        /// The content as processes see it.
        var content: [UInt8] = []
        /// The size of the part that syncs have written, or have failed to write: no later sync writes it.
        var cleanBytes = 0
        /// The parts that failed syncs have not written. They can be read until the power is cut.
        var lost: [Range<Int>] = []
        /// The parts that were written over since: the next sync writes them.
        var renewed: [Range<Int>] = []
        var reserved = 0
        var room: Int { max(reserved, content.count) }

        /// The first `count` bytes as the disk has them: zeros where nothing was written.
        func onDisk(_ count: Int) -> [UInt8] {
            var bytes = Array(content.prefix(count))
            for range in lost { for index in range where index < count { bytes[index] = 0 } }
            return bytes
        }

        func settle(_ bytes: [UInt8]) {
            content = bytes
            cleanBytes = bytes.count
            (lost, renewed) = ([], [])
        }

        /// A sync has written what was written over.
        func writeRenewed() {
            for range in renewed {
                lost = lost.flatMap { lost in
                    [
                        lost.lowerBound..<max(lost.lowerBound, min(lost.upperBound, range.lowerBound)),
                        min(lost.upperBound, max(lost.lowerBound, range.upperBound))..<lost.upperBound,
                    ].filter { !$0.isEmpty }
                }
            }
            renewed = []
        }
    }

    private enum NameChange {
        case link(String, Inode)
        case unlink(String)
        case rename(String, String)
    }

    private var names: [String: Inode] = [:]
    private var durableNames: [String: Inode] = [:]
    private var pendingNames: [NameChange] = []
    private var lockedDirectories: Set<String> = []
    /// Rises with each crash: files that were opened before belong to a dead process.
    fileprivate var crashes = 0

    /// Bytes that fit, reservations included.
    public var capacityBytes = Int.max
    /// The number, from 0, of the changing call at which the process dies: this call and all later ones fail. nil: none
    /// does.
    public var deathStep: Int?
    /// The number of changing calls so far.
    public private(set) var steps = 0
    /// Whether all syncs of files fail. As on Linux, what a failed sync should have written counts as written: it is
    /// read back, a later sync says that all is well, and a power cut takes it away.
    public var failsSyncs = false
    /// The number of listings that will fail.
    public var listingsToFail = 0
    /// Whether ``capacityBytes`` is a quota: then the file system says that it has room.
    public var isQuota = false
    /// Whether appends fail as on a full disk, in spite of reservations.
    public var failsAppends = false
    /// Whether nothing can be opened (EMFILE); open files stay usable.
    public var hasNoDescriptors = false
    /// The number of syncs so far.
    public private(set) var syncCalls = 0
    /// The number of removed files so far.
    public private(set) var removals = 0
    /// The number of reservations so far that failed and kept a part.
    public private(set) var partialReservations = 0

    public init() {}

    // MARK: What happens to it

    /// Kills the process, not the machine. Nothing that was written is lost.
    public func kill() {
        crashes += 1
        deathStep = nil
        lockedDirectories = []
    }

    /// Cuts the power. Any part of what was not synced is left, or bytes that nobody wrote.
    public func crash(_ random: any RandomSource) {
        kill()
        let kept = Int(random.next() % UInt64(pendingNames.count + 1))
        for change in pendingNames.prefix(kept) { Self.apply(change, to: &durableNames) }
        pendingNames = []
        names = durableNames
        for inode in names.sorted(by: { $0.key < $1.key }).map(\.value) {
            inode.settle(Self.torn(inode, random))
        }
    }

    private static func torn(_ inode: Inode, _ random: any RandomSource) -> [UInt8] {
        let unsynced = inode.content.count - inode.cleanBytes
        let kept = Int(random.next() % UInt64(unsynced + 1))
        var content = inode.onDisk(inode.cleanBytes + kept)
        if kept > 0 && random.next() % 2 == 0 {
            // The size was written, but not the data of some pages.
            for index in (content.count - 1 - Int(random.next() % UInt64(kept)))..<content.count { content[index] = 0 }
        }
        return content
    }

    /// The bytes of a file, for a test to damage; nil: there is no such file.
    public func content(_ path: String) -> [UInt8]? { names[path]?.content }

    /// Replaces a file's bytes durably, as damage does.
    public func overwrite(_ path: String, _ bytes: [UInt8]) {
        names[path]?.settle(bytes)
    }

    /// Takes a file away durably, as a file system that is damaged does, or an operator by mistake.
    public func lose(_ path: String) {
        names[path] = nil
        settleNames()
    }

    /// Puts a file back durably.
    public func putBack(_ path: String, _ bytes: [UInt8]) {
        let inode = Inode()
        inode.settle(bytes)
        names[path] = inode
        settleNames()
    }

    private func settleNames() {
        durableNames = names
        pendingNames = []
    }

    /// Whether a call has met its ``deathStep``.
    public var hasDied: Bool { deathStep.map { steps > $0 } ?? false }

    /// The bytes of all files, reservations included.
    public var usedBytes: Int { names.values.reduce(0) { $0 + $1.room } }
    var isFull: Bool { capacityBytes < .max }

    /// The paths of all files, sorted.
    public var paths: [String] { names.keys.sorted() }

    // MARK: FileSystem

    public func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File {
        if hasNoDescriptors { throw .system(call: "open", path: path, code: 24) }
        if mode == .createNew && names[path] != nil { throw .exists(path: path) }
        if mode == .create || mode == .createNew {
            try step()
            let inode = Inode()
            change(.link(path, inode))
            return SimulatedFile(self, inode, path)
        }
        guard let inode = names[path] else { throw .system(call: "open", path: path, code: 2) }
        return SimulatedFile(self, inode, path)
    }

    public func exists(_ path: String) throws(EmbeddedError) -> Bool { names[path] != nil }

    public func list(_ directory: String) throws(EmbeddedError) -> [String] {
        if listingsToFail > 0 {
            listingsToFail -= 1
            throw .system(call: "readdir", path: directory, code: 5)
        }
        return names.keys.filter { Self.directory($0) == directory }.map { String($0.dropFirst(directory.utf8.count + 1)) }
    }

    public func createDirectory(_ path: String) throws(EmbeddedError) {}

    public func remove(_ path: String) throws(EmbeddedError) {
        try step()
        removals += 1
        change(.unlink(path))
    }

    public func rename(_ path: String, to newPath: String) throws(EmbeddedError) {
        try step()
        change(.rename(path, newPath))
    }

    public func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory {
        if hasNoDescriptors { throw .system(call: "open", path: path, code: 24) }
        return SimulatedDirectory(self)
    }

    fileprivate func syncNames() throws(EmbeddedError) {
        try step()
        // This is stronger than the port asks for: changes of names become durable in their order, whatever directory
        // they are in.
        settleNames()
    }

    public func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock {
        guard lockedDirectories.insert(directory).inserted else { throw .inUse(directory: directory, pid: "1") }
        return SimulatedLock(self, directory)
    }

    public func freeBytes(_ path: String) throws(EmbeddedError) -> Int {
        isQuota ? .max : capacityBytes - usedBytes
    }

    public func owner(of directory: String) throws(EmbeddedError) -> String? {
        lockedDirectories.contains(directory) ? "1" : nil
    }

    fileprivate func unlock(_ directory: String, crashes: Int) {
        if crashes == self.crashes { lockedDirectories.remove(directory) }
    }

    // MARK: Inside

    private func change(_ change: NameChange) {
        Self.apply(change, to: &names)
        pendingNames.append(change)
    }

    private static func apply(_ change: NameChange, to names: inout [String: Inode]) {
        switch change {
        case .link(let path, let inode): names[path] = inode
        case .unlink(let path): names[path] = nil
        case .rename(let path, let newPath): names[newPath] = names.removeValue(forKey: path)
        }
    }

    private static func directory(_ path: String) -> Substring {
        path.lastIndex(of: "/").map { path[..<$0] } ?? ""
    }

    fileprivate func step() throws(EmbeddedError) {
        defer { steps += 1 }
        if let deathStep, steps >= deathStep { throw .system(call: "(dead)", path: "", code: 4) }
    }

    fileprivate func sync(_ inode: Inode, _ path: String) throws(EmbeddedError) {
        try step()
        syncCalls += 1
        let unsynced = inode.cleanBytes..<inode.content.count
        inode.cleanBytes = inode.content.count
        if failsSyncs {
            if !unsynced.isEmpty { inode.lost.append(unsynced) }
            inode.renewed = []
            throw .system(call: "fdatasync", path: path, code: 5)
        }
        inode.writeRenewed()
    }

    /// Throws unless the disk has room for a file of `room` bytes.
    fileprivate func checkRoom(_ inode: Inode, _ room: Int, _ path: String) throws(EmbeddedError) {
        if room > inode.room && room - inode.room > capacityBytes - usedBytes { throw .diskFull(path: path) }
    }

    /// Reserves `room` bytes for a file. As ext4 does, it keeps what there is if that is not enough.
    fileprivate func reserve(_ inode: Inode, _ room: Int, _ path: String) throws(EmbeddedError) {
        do throws(EmbeddedError) {
            try checkRoom(inode, room, path)
            inode.reserved = max(inode.reserved, room)
        } catch {
            inode.reserved = inode.room + max(0, capacityBytes - usedBytes)
            partialReservations += 1
            throw error
        }
    }
}

/// Confined like its disk.
private final class SimulatedFile: File, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let inode: SimulatedDisk.Inode
    private let path: String
    private let crashes: Int

    init(_ disk: SimulatedDisk, _ inode: SimulatedDisk.Inode, _ path: String) {
        self.disk = disk
        self.inode = inode
        self.path = path
        crashes = disk.crashes
    }

    private func step() throws(EmbeddedError) {
        if crashes != disk.crashes { throw .system(call: "(dead)", path: path, code: 9) }
        try disk.step()
    }

    func append(_ bytes: [UInt8]) throws(EmbeddedError) {
        try step()
        if disk.failsAppends { throw .diskFull(path: path) }
        try disk.checkRoom(inode, inode.content.count + bytes.count, path)
        inode.content += bytes
    }

    func overwrite(at offset: Int, _ bytes: [UInt8]) throws(EmbeddedError) {
        try step()
        inode.content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        inode.renewed.append(offset..<offset + bytes.count)
    }

    func sync() throws(EmbeddedError) {
        if crashes != disk.crashes { throw .system(call: "(dead)", path: path, code: 9) }
        try disk.sync(inode, path)
    }

    func reserve(_ bytes: Int) throws(EmbeddedError) {
        try step()
        try disk.reserve(inode, bytes, path)
    }

    func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8] {
        let start = min(offset, inode.content.count)
        return Array(inode.content[start..<min(inode.content.count, start + count)])
    }

    func truncate(to size: Int) throws(EmbeddedError) {
        try step()
        inode.content = Array(inode.content.prefix(size))
        inode.cleanBytes = min(inode.cleanBytes, size)
        inode.lost = inode.lost.map { $0.clamped(to: 0..<size) }.filter { !$0.isEmpty }
        inode.reserved = 0
    }

    func size() throws(EmbeddedError) -> Int { inode.content.count }
}

/// Confined like its disk.
private final class SimulatedDirectory: Directory, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let crashes: Int

    init(_ disk: SimulatedDisk) {
        self.disk = disk
        crashes = disk.crashes
    }

    func sync() throws(EmbeddedError) {
        if crashes != disk.crashes { throw .system(call: "(dead)", path: "", code: 9) }
        try disk.syncNames()
    }
}

/// Confined like its disk.
private final class SimulatedLock: DirectoryLock, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let directory: String
    private let crashes: Int

    init(_ disk: SimulatedDisk, _ directory: String) {
        self.disk = disk
        self.directory = directory
        crashes = disk.crashes
    }

    func release() { disk.unlock(directory, crashes: crashes) }
}
