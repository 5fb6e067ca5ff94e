// The few calls to the operating system that load needs: non-blocking TCP to this machine, and epoll.

import CLinux
import Glibc

/// A system call that failed, in words for people.
public struct SocketError: Error, CustomStringConvertible {
    public let description: String

    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }

    init(description: String) { self.description = description }
}

/// Calls on TCP sockets.
enum Socket {
    /// Begins to connect to a port of 127.0.0.1, without waiting for it.
    static func connect(port: Int) throws -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket") }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result == 0 || errno == EINPROGRESS { return descriptor }
        let failure = SocketError("connect to port \(port)")
        close(descriptor)
        throw failure
    }

    /// Connects to a name or an address, and waits for that. Later calls on the socket wait up to `patienceSeconds`
    /// each.
    static func connect(host: String, port: Int, patienceSeconds: Int) throws -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0, let first = found?.pointee else {
            throw SocketError(description: "\(host): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(first.ai_family, first.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), first.ai_protocol)
        guard descriptor >= 0 else { throw SocketError("socket") }
        var patience = timeval(tv_sec: patienceSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        if Glibc.connect(descriptor, first.ai_addr, first.ai_addrlen) == 0 { return descriptor }
        let failure = SocketError("connect to \(host):\(port)")
        close(descriptor)
        throw failure
    }

    /// Whether a connection attempt has succeeded; to be asked once the socket is writable.
    static func isConnected(_ descriptor: Int32) -> Bool {
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0
    }

    /// - Returns: whether the socket took all bytes.
    static func send(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            == bytes.count
    }
}

/// Waits for many sockets at a time (epoll).
struct Poll {
    private let descriptor: Int32
    private var events = [epoll_event](repeating: epoll_event(), count: 1_024)

    init() throws {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw SocketError("epoll_create1") }
    }

    func close() { Glibc.close(descriptor) }

    /// Watches a socket: while it connects, for the end of that; afterwards for what it receives.
    func watch(_ socket: Int32, as index: Int, isConnecting: Bool) {
        var event = epoll_event()
        event.events = isConnecting ? EPOLLOUT.rawValue : EPOLLIN.rawValue
        event.data.u64 = UInt64(index)
        epoll_ctl(descriptor, isConnecting ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event)
    }

    /// Waits until something happens, or the time is over, and calls `body` with the index of each socket concerned.
    mutating func wait(nanoseconds: Int64, _ body: (Int) -> Void) {
        let capacity = Int32(events.count)
        let count: Int32
        if nanoseconds <= 0 {
            count = epoll_wait(descriptor, &events, capacity, 0)
        } else {
            var patience = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
            count = epoll_pwait2(descriptor, &events, capacity, &patience, nil)
        }
        guard count > 0 else { return }
        for position in 0..<Int(count) { body(Int(events[position].data.u64)) }
    }
}

/// The present moment on the monotonic clock, in nanoseconds.
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
