// One connection of the generator: at most one request on its way, and what has arrived of its answer.

import Glibc
import NIOCore

/// A connection with at most one request on its way.
final class ClientConnection {
    /// The descriptor; negative once it is closed.
    private(set) var socket: Int32
    /// The connection is being made.
    var isConnecting = true
    /// A request is sent and not answered.
    var isBusy = false
    /// When the request should have been sent by the schedule: monotonic nanoseconds.
    private(set) var due: Int64 = 0
    private var ticket = Ticket(0)
    /// What has arrived of an answer that comes in pieces.
    private var pieces: [UInt8] = []
    /// nil: without TLS.
    private var session: TLSSession?

    init(_ socket: Int32) { self.socket = socket }

    var isOpen: Bool { socket >= 0 }

    /// Sends the first bytes of a handshake of TLS.
    func beginTLS(_ tls: ClientTLS, port: Int) throws {
        let host = "127.0.0.1"
        let session = try TLSSession(tls, host: host, address: SocketAddress(ipAddress: host, port: port))
        self.session = session
        guard Socket.send(socket, try session.outgoing()) else { throw SocketError("send") }
    }

    var isSecured: Bool { session != nil }
    var isTLSOpen: Bool { session?.isOpen ?? false }

    /// Takes what has arrived under TLS, sends what that asks for, and gives what it said.
    func decrypted(_ bytes: UnsafeRawBufferPointer) throws -> [UInt8] {
        guard let session else { return [] }
        let said = try session.received(bytes)
        let answer = try session.outgoing()
        guard answer.isEmpty || Socket.send(socket, answer) else { throw SocketError("send") }
        return said
    }

    /// - Returns: whether the socket took all bytes.
    func send(_ bytes: [UInt8]) -> Bool {
        guard let session else { return Socket.send(socket, bytes) }
        session.say(bytes)
        return (try? Socket.send(socket, session.outgoing())) ?? false
    }

    /// Notes the request that is about to be sent.
    func begin(_ ticket: Ticket, due: Int64) {
        self.ticket = ticket
        self.due = due
        isBusy = true
    }

    /// Takes what has arrived.
    ///
    /// - Parameter answered: called with the whole answer to the request that is on its way.
    func received(
        _ bytes: UnsafeRawBufferPointer, answered: (Ticket, ResponseHead, UnsafeRawBufferPointer) -> Void
    ) -> ResponseHead.Reading {
        if pieces.isEmpty {
            let reading = take(bytes, answered)
            if reading == .incomplete { pieces += bytes }
            return reading
        }
        pieces += bytes
        let reading = pieces.withUnsafeBytes { take($0, answered) }
        if reading != .incomplete { pieces.removeAll(keepingCapacity: true) }
        return reading
    }

    private func take(
        _ bytes: UnsafeRawBufferPointer, _ answered: (Ticket, ResponseHead, UnsafeRawBufferPointer) -> Void
    ) -> ResponseHead.Reading {
        let reading = ResponseHead.read(bytes)
        guard case .head(let head) = reading else { return reading }
        if bytes.count < head.bytes { return .incomplete }
        // One request has one answer: bytes behind it are not HTTP.
        if bytes.count > head.bytes { return .malformed }
        if isBusy { answered(ticket, head, UnsafeRawBufferPointer(rebasing: bytes[head.headBytes..<head.bytes])) }
        return reading
    }

    func close() {
        Glibc.close(socket)
        socket = -1
    }
}
