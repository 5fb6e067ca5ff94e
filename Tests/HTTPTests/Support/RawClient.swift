// A blocking TCP client that sends any bytes and reads answers: tests want to say malformed things.

import Glibc
import TestSupport

struct RawResponse {
    let status: Int
    /// The first line, such as `HTTP/1.1 200 OK`.
    let line: String
    let headers: [String: String]
    let body: String
}

/// For a look again, or where time itself is what a test is about; `TestServer.settle` waits for the server.
func sleepMilliseconds(_ milliseconds: UInt32) { usleep(milliseconds * 1_000) }

final class RawClient {
    private let socket: Int32
    private var unread: [UInt8] = []

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw TestFailure("connect: errno \(errno)") }
    }

    deinit { close(socket) }

    /// What cannot be sent because the server has closed is not a failure: the test looks at what it reads.
    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    func closeOutput() { shutdown(socket, Int32(SHUT_WR)) }

    func exchange(_ method: String, _ path: String, headers: [String] = [], host: String = "test") throws -> RawResponse {
        sendRequest(method, path, headers: headers, host: host)
        return try readResponse(isHead: method == "HEAD")
    }

    func sendRequest(_ method: String, _ path: String, headers: [String] = [], host: String = "test", body: String = "") {
        let lines = ["\(method) \(path) HTTP/1.1", "Host: \(host)"] + headers
        send(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
    }

    func readResponse(isHead: Bool = false) throws -> RawResponse {
        let head = try readHead()
        let lines = head.split(separator: "\r\n")
        let parts = lines.first?.split(separator: " ") ?? []
        guard parts.count >= 2, let status = Int(parts[1]) else { throw TestFailure("no status line: \(head)") }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            headers[line[..<colon].lowercased()] = String(line[colon...].dropFirst(2))
        }
        guard let length = headers["content-length"].flatMap({ Int($0) }) else {
            if status == 100 { return RawResponse(status: status, line: String(lines[0]), headers: headers, body: "") }
            throw TestFailure("no content-length: \(head)")
        }
        while !isHead && unread.count < length { try fill() }
        let body = isHead ? [] : Array(unread[..<length])
        unread.removeFirst(body.count)
        return RawResponse(
            status: status, line: String(lines[0]), headers: headers, body: String(decoding: body, as: UTF8.self))
    }

    /// Whether the server closed the connection and sent nothing more.
    func isClosedByServer(afterReadingAll readsAll: Bool = false) -> Bool {
        do {
            repeat {
                if readsAll { unread.removeAll() }
                if !unread.isEmpty { return false }
                try fill()
            } while readsAll
            return false
        } catch let failure as ReadFailure {
            return failure != .timeout
        } catch {
            return false
        }
    }

    private enum ReadFailure: Error { case end, reset, timeout }

    private func readHead() throws -> String {
        while true {
            for end in unread.indices.dropLast(3) where unread[end...].starts(with: [13, 10, 13, 10]) {
                let head = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeFirst(end + 4)
                return head
            }
            try fill()
        }
    }

    private func fill() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count > 0 {
            unread += buffer[..<count]
        } else if count == 0 {
            throw ReadFailure.end
        } else {
            throw errno == EAGAIN ? ReadFailure.timeout : ReadFailure.reset
        }
    }
}
