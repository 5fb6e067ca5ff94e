// One connection of the generator: at most one request on its way, and what has arrived of its answer.

import Glibc

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

    init(_ socket: Int32) { self.socket = socket }

    var isOpen: Bool { socket >= 0 }

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
