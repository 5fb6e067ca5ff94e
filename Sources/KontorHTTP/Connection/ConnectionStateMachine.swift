// What one connection does next: a pure state machine. It takes what happens on a connection as events, and says what
// is to be done; ConnectionHandler does it. It knows neither channels nor the shop.

import NIOCore

/// A request that a connection holds from its head to its answer. An object, so that a late answer cannot be taken for
/// that of another request.
protocol HeldRequest: AnyObject {
    /// Whether its answer is the connection's last.
    var isLast: Bool { get }
}

/// The state of one connection: what arrives, what waits for its turn, and what is being answered. Requests are
/// answered one at a time, in the order of their arrival. Times are milliseconds of one clock that never goes back.
///
/// After each event the owner takes what has become possible from ``next()``, until that is nil.
struct ConnectionStateMachine<Request: HeldRequest> {
    /// What arrives.
    private enum Input {
        /// Nothing of a next request has arrived.
        case idle
        /// The beginning of a head has arrived.
        case head(since: Int64)
        /// A head has arrived, and the end of its request has not.
        case body(Request, bytes: Int, since: Int64)
        /// No further request is wanted, or will come.
        case ended
        /// A request was refused half-way. What still arrives is read and thrown away, so that the client can read the
        /// refusal: a connection that is closed with unread input is reset.
        case discarding
    }

    /// What leaves.
    private enum Output {
        /// No request is being answered.
        case idle(since: Int64)
        /// One request is being answered. Past the deadline its client is told that the outcome is unknown.
        case answering(Request, deadline: Int64)
        /// The last answer was given; the connection is closed once that is written, at the latest at this time.
        case closing(at: Int64)
    }

    /// What has become possible.
    enum Step {
        /// Begin to answer this request.
        case begin(Request)
        /// Send `100 Continue` to the client of the request that is arriving.
        case sendContinue
        /// Read from the socket: it was asked for when it was not possible.
        case read
    }

    /// What the clock asks for.
    enum SweepAction {
        case none
        case close
        /// Close a connection whose client does not read its answers.
        case drop
        /// The deadline of this request is over.
        case expire(Request)
        /// Refuse a request that arrives too slowly.
        case refuse(Problem)
    }

    /// What follows from the last answer's being written.
    enum CloseAction {
        case close
        /// Close the output alone, and wait for the client's end.
        case closeOutput
    }

    private var input = Input.idle
    private var output = Output.idle(since: 0)
    private var waiting = CircularBuffer<Request>()
    /// The client of the arriving request sends its body only when it is asked to.
    private var owesContinue = false
    /// Since when the socket takes no more bytes; nil while it does.
    private var unwritableSince: Int64?
    /// A read was asked for and not done.
    private var isReadHeld = false
    /// A part of a request was completed by what was read last.
    private var sawPart = false
    /// When a shutdown began; nil: none has.
    private var drainBegan: Int64?
}

// MARK: State

extension ConnectionStateMachine {
    /// Whether parts of requests are still taken.
    var isOpen: Bool {
        switch input {
        case .idle, .head, .body: return true
        case .ended, .discarding: return false
        }
    }

    /// Whether a request that arrives now could be answered at once: none is arriving, waiting or being answered.
    var isAtRest: Bool {
        guard case .idle = input, case .idle = output else { return false }
        return waiting.isEmpty && unwritableSince == nil
    }

    /// Whether nobody is waiting for an answer, so that the connection may be closed at any time.
    var isClosable: Bool {
        if case .closing = output { return true }
        if case .body = input { return false }
        return current == nil && waiting.isEmpty
    }

    /// Since when the connection is at rest; nil: it is not.
    var restSince: Int64? {
        guard case .idle(let since) = output, isAtRest else { return nil }
        return since
    }

    /// Whether a request has arrived in part.
    var isHalfSent: Bool {
        switch input {
        case .head, .body: return true
        case .idle, .ended, .discarding: return false
        }
    }

    /// How long a client may refuse to read its answers.
    private var unreadPatience: Int64 {
        drainBegan == nil ? HTTPLimits.unreadAnswerMilliseconds : HTTPLimits.shutdownPatienceMilliseconds
    }

    /// The request that is being answered.
    var current: Request? {
        if case .answering(let request, _) = output { return request }
        return nil
    }

    /// Whether an answer to this request still matters.
    func awaits(_ request: Request) -> Bool { current === request }

    private var canRead: Bool {
        switch input {
        case .idle, .head, .body: return waiting.count < HTTPLimits.pipelinedRequests && unwritableSince == nil
        case .discarding: return true
        case .ended: return false
        }
    }
}

// MARK: Opening and closing

extension ConnectionStateMachine {
    mutating func opened(at now: Int64) { output = .idle(since: now) }

    /// The connection is one too many: it is told so and closed.
    mutating func turnedAway(at now: Int64) { endOutput(at: now) }

    /// A shutdown begins: the connection ends behind its next answer. A client that has sent half of a request, or does
    /// not read, gets a short time.
    ///
    /// - Returns: whether the connection is to be closed as soon as everything is written.
    mutating func drain(at now: Int64) -> Bool {
        drainBegan = now
        if case .closing(let end) = output {
            output = .closing(at: min(end, now + unreadPatience))
            return false
        }
        guard isClosable else { return false }
        endOutput(at: now)
        return true
    }

    /// The client has closed its side. It may still wait for answers.
    mutating func inputClosed() {
        if isOpen { input = .ended }
    }

    /// The connection is gone: nothing is awaited any more.
    mutating func closed() {
        input = .ended
        output = .idle(since: 0)
        waiting.removeAll()
        owesContinue = false
    }

    /// The last answer is on its way to the client.
    mutating func lastAnswerWritten(at now: Int64) -> CloseAction {
        guard case .discarding = input else { return .close }
        output = .closing(at: now + HTTPLimits.lingerMilliseconds)
        return .closeOutput
    }

    private mutating func endOutput(at now: Int64) {
        if isOpen { input = .ended }
        owesContinue = false
        waiting.removeAll()
        output = .closing(at: now + unreadPatience)
    }
}

// MARK: Arriving

extension ConnectionStateMachine {
    /// A part of a request has arrived.
    ///
    /// - Returns: whether it is wanted.
    mutating func partArrived() -> Bool {
        guard isOpen else { return false }
        sawPart = true
        return true
    }

    /// A request was refused before it was parsed.
    mutating func shed(at now: Int64) {
        sawPart = true
        output = .idle(since: now)
    }

    mutating func headArrived(_ request: Request, wantsContinue: Bool, at now: Int64) {
        input = .body(request, bytes: 0, since: now)
        owesContinue = wantsContinue
    }

    /// - Returns: a problem to refuse the request with; nil if the body is not too long yet.
    mutating func bodyArrived(_ count: Int) -> Problem? {
        guard case .body(let request, let bytes, let since) = input else { return nil }
        input = .body(request, bytes: bytes + count, since: since)
        return bytes + count > HTTPLimits.bodyBytes ? .bodyTooLarge : nil
    }

    /// The arriving request is complete.
    ///
    /// - Returns: a problem to refuse it with; nil if it is taken.
    mutating func endArrived() -> Problem? {
        guard case .body(let request, _, _) = input else { return nil }
        if waiting.count >= HTTPLimits.heldRequests { return .tooManyPipelined }
        input = request.isLast ? .ended : .idle
        owesContinue = false
        waiting.append(request)
        return nil
    }

    /// A request is refused half-way, after those that came before it are answered; nothing is taken any more. Only
    /// while the connection is open.
    ///
    /// - Parameter refusal: stands for the request; its answer is the connection's last.
    mutating func refused(with refusal: Request) {
        input = .discarding
        owesContinue = false
        waiting.append(refusal)
    }

    /// Everything that one read brought was told.
    mutating func readCompleted(at now: Int64) {
        // Bytes that completed nothing are the beginning of a head.
        if !sawPart, case .idle = input { input = .head(since: now) }
        sawPart = false
    }

    /// Somebody wants to read on. Reading stops while enough is held, or while the client does not read its answers.
    ///
    /// - Returns: whether to read now. If not, ``next()`` will ask for it.
    mutating func readRequested() -> Bool {
        if canRead { return true }
        isReadHeld = true
        return false
    }
}

// MARK: Answering

extension ConnectionStateMachine {
    /// The next thing to do; nil if there is none until something happens.
    mutating func next() -> Step? {
        if case .idle = output {
            if unwritableSince == nil, let request = waiting.popFirst() {
                output = .answering(request, deadline: .max)
                return .begin(request)
            }
            // Only once everything before it is answered.
            if owesContinue, waiting.isEmpty {
                owesContinue = false
                return .sendContinue
            }
        }
        if isReadHeld, canRead {
            isReadHeld = false
            return .read
        }
        return nil
    }

    /// The current request is with somebody who answers later.
    mutating func awaitsAnswer(until deadline: Int64) {
        if let current { output = .answering(current, deadline: deadline) }
    }

    /// The current request has its answer.
    ///
    /// - Returns: whether the answer is the connection's last: then the connection is closed once it is written.
    mutating func answered(at now: Int64) -> Bool {
        guard let current else { return false }
        output = .idle(since: now)
        guard current.isLast || drainBegan != nil || (!isOpen && waiting.isEmpty) else { return false }
        endOutput(at: now)
        return true
    }

    mutating func writabilityChanged(_ isWritable: Bool, at now: Int64) { unwritableSince = isWritable ? nil : now }
}

// MARK: The clock

extension ConnectionStateMachine {
    /// Looks at the clock: for the deadline of the request being answered, and for clients that keep the connection
    /// waiting.
    func sweep(at now: Int64) -> SweepAction {
        if let unwritableSince, now - max(unwritableSince, drainBegan ?? unwritableSince) > unreadPatience { return .drop }
        switch output {
        case .closing(let end): return now >= end ? .close : .none
        case .answering(let request, let deadline): return now >= deadline ? .expire(request) : .none
        case .idle(let since): return sweepInput(at: now, idleSince: since)
        }
    }

    private func sweepInput(at now: Int64, idleSince: Int64) -> SweepAction {
        if isHalfSent, let drainBegan, now - drainBegan > HTTPLimits.shutdownPatienceMilliseconds {
            return .refuse(.ending(isRead: false))
        }
        switch input {
        case .head(let since) where now - max(since, idleSince) > HTTPLimits.headMilliseconds:
            return .refuse(.slowRequest)
        case .body(_, _, let since) where now - max(since, idleSince) > HTTPLimits.bodyMilliseconds:
            return .refuse(.slowRequest)
        case .head, .body: return .none
        case .idle, .ended, .discarding:
            return waiting.isEmpty && now - idleSince > HTTPLimits.idleMilliseconds ? .close : .none
        }
    }
}
