// One blocking request on a connection of its own: for what comes before and after a load.

import Glibc

/// Asks a server on this machine.
public enum SimpleClient {
    /// How long a request may take, unless the caller says otherwise: a `batch_init` of a million orders takes minutes.
    public static let patienceSeconds = 300

    /// Sends one request and waits for its answer.
    ///
    /// - Parameters:
    ///   - host: a name or an IP address.
    ///   - patienceSeconds: how long the connection, and each piece of the answer, may take.
    /// - Throws: ``SocketError`` if there is no answer.
    public static func ask(
        _ method: String, _ path: String, host: String = "127.0.0.1", port: Int, patienceSeconds: Int = patienceSeconds
    ) throws -> (status: Int, body: [UInt8]) {
        let descriptor = try Socket.connect(host: host, port: port, patienceSeconds: patienceSeconds)
        defer { close(descriptor) }
        let request = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
        guard Socket.send(descriptor, Array(request.utf8)) else { throw SocketError("send \(path)") }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw SocketError("no answer to \(method) \(path)") }
            received += buffer[..<count]
            if case .head(let head) = received.withUnsafeBytes({ ResponseHead.read($0) }), received.count >= head.bytes {
                return (head.status, Array(received[head.headBytes..<head.bytes]))
            }
        }
    }
}
