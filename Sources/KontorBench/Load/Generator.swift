// Offers load from one thread: in a closed loop (a fixed number of clients, each waits for its answer) or in an open
// one (requests come at their time, whatever became of the earlier ones).

import Glibc

/// How much load is offered, to whom, and for how long.
public struct LoadPlan: Sendable {
    /// What decides when the next request is sent.
    public enum Loop: Sendable {
        /// A fixed number of clients. Each sends its next request when it has the answer to the one before.
        case closed(connections: Int)
        /// A fixed rate of requests, whatever becomes of the answers. Begins with `connections` and opens another one
        /// whenever all are busy, up to `maximumConnections`.
        case open(perSecond: Double, connections: Int, maximumConnections: Int)
    }

    /// The shop's port on 127.0.0.1.
    public var port: Int
    /// nil: without TLS.
    public var tls: ClientTLS?
    public var loop: Loop
    /// How long the load is offered before anything is recorded.
    public var warmUpSeconds: Double
    /// How long it is recorded after that.
    public var durationSeconds: Double
    /// Whether the generator polls instead of sleeping. For one that has a processor to itself: waking a sleeping
    /// thread costs the generator and the server.
    public var spins: Bool

    public init(
        port: Int, tls: ClientTLS? = nil, loop: Loop, warmUpSeconds: Double, durationSeconds: Double, spins: Bool
    ) {
        self.port = port
        self.tls = tls
        self.loop = loop
        self.warmUpSeconds = warmUpSeconds
        self.durationSeconds = durationSeconds
        self.spins = spins
    }
}

/// Runs one plan against a shop, and reports what came back. Used once, by one thread.
public final class Generator {
    /// How long a request may wait for a free connection. After that it is given up and counted as not sent.
    static let sendPatienceNanoseconds: Int64 = 1_000_000_000
    /// How far behind its schedule a request may be sent. One that is sent later is counted as late: the generator had
    /// too little processor time, or too few connections.
    static let toleratedDelayNanoseconds: Int64 = 5_000_000
    /// How long the generator waits for outstanding answers after the end of the run, and for its connections before
    /// it. Longer than the server's own deadline.
    static let answerPatienceNanoseconds: Int64 = 8_000_000_000
    /// The most connections that are being made at a time, so that they do not fill the server's accept queue.
    static let connectionsAtOnce = 64

    private let plan: LoadPlan
    private let scenario: any Scenario
    private var poll: Poll
    private var connections: [ClientConnection] = []
    /// Indices in `connections` whose connection was closed.
    private var free: [Int] = []
    /// Indices of the connections that wait for a request. Used last in, first out, so that no more connections are
    /// used than the load needs.
    private var idle: [Int] = []
    /// Connections that are being made.
    private var connecting = 0
    /// Connections that are made or being made, and the most there were at a time.
    private var open = 0
    private var mostOpen = 0
    /// Requests that are sent and not answered.
    private var busy = 0

    private var recorder = Recorder()
    private var request = RequestBuffer()
    private var receiveBuffer = [UInt8](repeating: 0, count: 65_536)
    /// When requests are due; nil for a closed loop.
    private var schedule: Schedule?
    /// The number in the schedule of the next request.
    private var nextNumber = 0
    /// The scenario has no more requests.
    private var hasRunOut = false
    /// When the run ends, and the present moment: monotonic nanoseconds.
    private var end: Int64 = 0
    private var now: Int64 = 0
    private var failure: SocketError?

    /// - Throws: ``SocketError`` if the system gives no epoll descriptor.
    public init(_ plan: LoadPlan, _ scenario: any Scenario) throws {
        self.plan = plan
        self.scenario = scenario
        poll = try Poll()
    }

    /// Offers the load, and returns when it is over and the outstanding answers have come.
    ///
    /// - Parameters:
    ///   - name: the scenario's, for the report.
    ///   - progress: called after each second; the flag says whether it belonged to the warm-up.
    /// - Throws: ``SocketError`` if nobody listens on the port any more.
    public func run(_ name: String, progress: (Second, _ isWarmUp: Bool) -> Void) throws -> Report {
        defer { closeAll() }
        try begin()
        var warmUpEnd: Int64? = now + Int64(plan.warmUpSeconds * 1e9)
        end = now + Int64((plan.warmUpSeconds + plan.durationSeconds) * 1e9)
        var secondEnd = now + 1_000_000_000
        while now < end, !(hasRunOut && busy == 0) {
            step(until: min(secondEnd, end))
            if let failure { throw failure }
            if let warmedUp = warmUpEnd, now >= warmedUp {
                recorder.forget()
                warmUpEnd = nil
                secondEnd = now + 1_000_000_000
            } else if now >= secondEnd {
                progress(recorder.endSecond(), warmUpEnd != nil)
                secondEnd += 1_000_000_000
            }
        }
        finish()
        let seconds = max(0.001, Double(min(now, end) - (end - Int64(plan.durationSeconds * 1e9))) / 1e9)
        return Report(
            scenario: name, intendedPerSecond: schedule?.perSecond,
            durationSeconds: hasRunOut ? seconds : plan.durationSeconds, connections: mostOpen, ranOut: hasRunOut,
            recorder)
    }

    /// Makes all connections before the first request: a rate is measured, and not how fast a server accepts a crowd.
    private func begin() throws {
        let count =
            switch plan.loop {
            case .closed(let connections): connections
            case .open(_, let connections, let most): min(connections, most)
            }
        now = monotonicNanoseconds()
        let patience = now + Self.answerPatienceNanoseconds
        while open < count || connecting > 0 {
            while open < count, connecting < Self.connectionsAtOnce { connect() }
            wait(until: patience)
            if let failure { throw failure }
            guard now < patience else { throw SocketError(description: "port \(plan.port) accepts no more connections") }
        }
        if case .open(let perSecond, _, _) = plan.loop { schedule = Schedule(start: now, perSecond: perSecond) }
    }

    /// Counts what was due and could not be sent, and waits for the answers to what was sent.
    private func finish() {
        if let schedule, !hasRunOut {
            sendDue(schedule)
            recorder.couldNotSend(max(0, schedule.count(by: now) - nextNumber))
        }
        let patience = now + Self.answerPatienceNanoseconds
        while busy > 0, now < patience { wait(until: patience) }
        for connection in connections where connection.isBusy { recorder.gotNoAnswer() }
    }

    private func step(until limit: Int64) {
        var wakeUp = limit
        if let schedule {
            sendDue(schedule)
            // With all connections busy, only an answer lets another request be sent; look at the time now and then.
            wakeUp = min(limit, idle.isEmpty ? now + Self.toleratedDelayNanoseconds : schedule.due(nextNumber))
        } else {
            while !hasRunOut, let index = idle.popLast() { send(on: index, due: now) }
        }
        wait(until: wakeUp)
    }

    private func sendDue(_ schedule: Schedule) {
        while !hasRunOut {
            let due = schedule.due(nextNumber)
            if due > now { return }
            if let index = idle.popLast() {
                nextNumber += 1
                send(on: index, due: due)
            } else if now - due > Self.sendPatienceNanoseconds {
                nextNumber += 1
                recorder.couldNotSend(1)
            } else {
                let missing = schedule.count(by: now) - nextNumber
                while connecting < min(missing, Self.connectionsAtOnce), mayConnect { connect() }
                return
            }
        }
    }

    private var mayConnect: Bool {
        guard case .open(_, _, let most) = plan.loop else { return false }
        return open < most
    }

    private func wait(until time: Int64) {
        let patience = plan.spins ? 0 : max(0, time - monotonicNanoseconds())
        // Handlers change what the poll watches, so all indices are taken before the first one runs.
        var ready: [Int] = []
        poll.wait(nanoseconds: patience) { ready.append($0) }
        now = monotonicNanoseconds()
        for index in ready { handle(index) }
    }
}

extension Generator {
    private func connect() {
        do {
            let index = free.popLast() ?? connections.count
            let connection = ClientConnection(try Socket.connect(port: plan.port))
            if index == connections.count { connections.append(connection) } else { connections[index] = connection }
            poll.watch(connection.socket, as: index, isConnecting: true)
            connecting += 1
            open += 1
            mostOpen = max(mostOpen, open)
        } catch {
            failure = error as? SocketError
        }
    }

    private func send(on index: Int, due: Int64) {
        let connection = connections[index]
        request.clear()
        guard let ticket = scenario.next(into: &request) else {
            hasRunOut = true
            idle.append(index)
            return
        }
        connection.begin(ticket, due: due)
        busy += 1
        recorder.didSend(isLate: now - due > Self.toleratedDelayNanoseconds)
        if !connection.send(request.bytes) { drop(index) }
    }

    private func handle(_ index: Int) {
        let connection = connections[index]
        guard connection.isOpen else { return }
        if connection.isConnecting { return didConnect(index) }
        let count = recv(connection.socket, &receiveBuffer, receiveBuffer.count, 0)
        if count <= 0 {
            if count < 0, errno == EAGAIN { return }
            if connection.isSecured, !connection.isTLSOpen { connecting -= 1 }
            return drop(index)
        }
        receiveBuffer.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<count]), index) }
    }

    private func didConnect(_ index: Int) {
        let connection = connections[index]
        connection.isConnecting = false
        guard Socket.isConnected(connection.socket) else {
            connecting -= 1
            failure = SocketError(description: "nobody listens on port \(plan.port), or not any more")
            return
        }
        poll.watch(connection.socket, as: index, isConnecting: false)
        guard let tls = plan.tls else { return didOpen(index) }
        do { try connection.beginTLS(tls, port: plan.port) } catch { failure = SocketError(description: "TLS: \(error)") }
    }

    private func didOpen(_ index: Int) {
        connecting -= 1
        idle.append(index)
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ index: Int) {
        let connection = connections[index]
        guard connection.isSecured else { return read(bytes, index) }
        do {
            let wasOpen = connection.isTLSOpen
            let said = try connection.decrypted(bytes)
            if !wasOpen, connection.isTLSOpen { didOpen(index) }
            if !said.isEmpty { said.withUnsafeBytes { read($0, index) } }
        } catch {
            if connection.isTLSOpen { return drop(index) }
            failure = SocketError(description: "TLS with port \(plan.port): \(error)")
        }
    }

    private func read(_ bytes: UnsafeRawBufferPointer, _ index: Int) {
        let reading = connections[index].received(bytes) {
            ticket, head, body in scenario.answered(ticket, status: head.status, body: body)
        }
        switch reading {
        case .incomplete: break
        case .malformed: drop(index)
        case .head(let head): didAnswer(index, head)
        }
    }

    private func didAnswer(_ index: Int, _ head: ResponseHead) {
        let connection = connections[index]
        if connection.isBusy {
            connection.isBusy = false
            busy -= 1
            let time = monotonicNanoseconds()
            recorder.got(head, nanoseconds: time - connection.due, isInTime: time < end)
        }
        if head.closes { drop(index) } else { idle.append(index) }
    }

    /// Closes a connection that is of no use any more. A closed loop opens another one in its place.
    private func drop(_ index: Int) {
        let connection = connections[index]
        if connection.isBusy {
            connection.isBusy = false
            busy -= 1
            recorder.gotNoAnswer()
        }
        if let place = idle.lastIndex(of: index) { idle.remove(at: place) }
        connection.close()
        free.append(index)
        open -= 1
        if schedule == nil, !hasRunOut, now < end { connect() }
    }

    private func closeAll() {
        for connection in connections where connection.isOpen { connection.close() }
        poll.close()
    }
}
