// What stands for sockets, threads and the disk.

import KontorCore
import KontorEmbedded
import KontorService
import NIOCore

/// The way into the shop: keeps what comes until the next turn. `@unchecked Sendable`: there is one thread.
final class TurnPort: RequestPort, @unchecked Sendable {
    private var arrivals: [ShopTurns.Arrival] = []
    var room: Int { 1_000 }
    func didShedCheckout() {}

    func submit(_ request: ShopRequest, name: WriteName?, deadline: Int64, caller: any Caller) -> Intake {
        arrivals.append(ShopTurns.Arrival(request: request, name: name, deadline: deadline, caller: caller))
        return .taken
    }

    func take() -> [ShopTurns.Arrival] {
        defer { arrivals = [] }
        return arrivals
    }
}

/// The client's end: looks at the status of each answer, and takes its bytes at once. An order that was made is good
/// only if it is paid.
final class CountingSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    private(set) var answers = 0
    private(set) var good = 0

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        answers += 1
        let answer = Self.unwrapOutboundIn(data)
        let bytes = answer.readableBytesView
        if bytes.starts(with: "HTTP/1.1 200 ".utf8) || (bytes.starts(with: "HTTP/1.1 201 ".utf8) && Self.hasNoProblem(bytes)) {
            good += 1
        }
        promise?.succeed()
    }

    /// The problem of its checkout, an object, would be the last member of an order that was made.
    private static func hasNoProblem(_ order: ByteBufferView) -> Bool { !order.suffix(2).elementsEqual("}}".utf8) }
}

/// Blocking work, done when the turn is over; what follows from it waits for the next turn, as it does for threads.
final class StepLanes: Lanes {
    private var waiting: [() -> (() -> Void)] = []
    private var finished: [() -> Void] = []

    func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
    ) {
        waiting.append {
            let value = work()
            return { then(value) }
        }
    }

    func work() {
        let works = waiting
        waiting = []
        for work in works { finished.append(work()) }
    }

    func takeFinished() -> [() -> Void] {
        defer { finished = [] }
        return finished
    }
}

/// A disk that is memory, and never fails. `@unchecked Sendable`: there is one thread.
final class MemoryDisk: FileSystem, @unchecked Sendable {
    private var files: [String: MemoryFile] = [:]

    func open(_ path: String, _ mode: FileMode) throws(EmbeddedError) -> any File {
        if mode == .createNew && files[path] != nil { throw .exists(path: path) }
        if mode == .create || mode == .createNew { files[path] = MemoryFile() }
        guard let file = files[path] else { throw .system(call: "open", path: path, code: 2) }
        return file
    }

    func exists(_ path: String) throws(EmbeddedError) -> Bool { files[path] != nil }
    func list(_ directory: String) throws(EmbeddedError) -> [String] {
        files.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.utf8.count + 1)) }
            .filter { !$0.contains("/") }
    }
    func createDirectory(_ path: String) throws(EmbeddedError) {}
    func remove(_ path: String) throws(EmbeddedError) { files[path] = nil }
    func rename(_ path: String, to newPath: String) throws(EmbeddedError) { files[newPath] = files.removeValue(forKey: path) }
    func openDirectory(_ path: String) throws(EmbeddedError) -> any Directory { MemoryDirectory() }
    func freeBytes(_ path: String) throws(EmbeddedError) -> Int { 1 << 40 }
    func lock(_ directory: String) throws(EmbeddedError) -> any DirectoryLock { MemoryLock() }
    func owner(of directory: String) throws(EmbeddedError) -> String? { nil }
}

/// Confined like its disk.
private final class MemoryFile: File, @unchecked Sendable {
    private var content: [UInt8] = []

    func append(_ bytes: [UInt8]) throws(EmbeddedError) { content += bytes }
    func sync() throws(EmbeddedError) {}
    func reserve(_ bytes: Int) throws(EmbeddedError) {}
    func overwrite(at offset: Int, _ bytes: [UInt8]) throws(EmbeddedError) {
        content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
    func read(at offset: Int, count: Int) throws(EmbeddedError) -> [UInt8] {
        let start = min(offset, content.count)
        return Array(content[start..<min(content.count, start + count)])
    }
    func truncate(to size: Int) throws(EmbeddedError) { content = Array(content.prefix(size)) }
    func size() throws(EmbeddedError) -> Int { content.count }
}

private final class MemoryDirectory: Directory {
    func sync() throws(EmbeddedError) {}
}

private final class MemoryLock: DirectoryLock {
    func release() {}
}
