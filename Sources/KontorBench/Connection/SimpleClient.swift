// One blocking request on a connection of its own: for what comes before and after a load.

import Glibc
import NIOCore

/// Asks a server.
public enum SimpleClient {
    /// How long a request may take, unless the caller says otherwise: a `batch_init` of a million orders takes minutes.
    public static let patienceSeconds = 300

    /// Sends one request and waits for its answer.
    ///
    /// - Parameters:
    ///   - headers: lines of the head, besides `Host` and `Connection`.
    ///   - patienceSeconds: how long the connection, and each piece of the answer, may take.
    /// - Throws: ``SocketError`` if there is no answer.
    public static func ask(
        _ method: String, _ path: String, at endpoint: Endpoint, headers: [String] = [],
        patienceSeconds: Int = patienceSeconds
    ) throws -> (status: Int, body: [UInt8]) {
        let descriptor = try Socket.connect(host: endpoint.host, port: endpoint.port, patienceSeconds: patienceSeconds)
        defer { close(descriptor) }
        let connection = BlockingConnection(descriptor)
        if let tls = endpoint.tls { try connection.secure(tls, endpoint) }
        let lines = ["\(method) \(path) HTTP/1.1", "Host: \(endpoint.host)", "Connection: close"] + headers
        try connection.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        var received: [UInt8] = []
        while true {
            guard let piece = try connection.receive() else { throw SocketError("no answer to \(method) \(path)") }
            received += piece
            if case .head(let head) = received.withUnsafeBytes({ ResponseHead.read($0) }), received.count >= head.bytes {
                return (head.status, Array(received[head.headBytes..<head.bytes]))
            }
        }
    }
}

/// A connection whose calls wait, with TLS or without.
private final class BlockingConnection {
    private let descriptor: Int32
    private var session: TLSSession?
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func secure(_ tls: ClientTLS, _ endpoint: Endpoint) throws {
        do {
            let session = try TLSSession(
                tls, host: endpoint.host,
                address: SocketAddress.makeAddressResolvingHost(endpoint.host, port: endpoint.port))
            self.session = session
            try put(session.outgoing())
            while !session.isOpen {
                guard try receive() != nil else { throw SocketError(description: "it hung up during the handshake of TLS") }
            }
        } catch let error as SocketError {
            throw error
        } catch {
            throw SocketError(description: "TLS: \(error)")
        }
    }

    func send(_ bytes: [UInt8]) throws {
        session?.say(bytes)
        try put(session?.outgoing() ?? bytes)
    }

    /// What has arrived, maybe nothing that was said; nil: nothing comes any more.
    func receive() throws -> [UInt8]? {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        guard let session else { return Array(buffer[..<count]) }
        let said = try buffer.withUnsafeBytes { try session.received(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        try put(session.outgoing())
        return said
    }

    private func put(_ bytes: [UInt8]) throws {
        guard bytes.isEmpty || Socket.send(descriptor, bytes) else { throw SocketError("send") }
    }
}
