// The open connections of one event loop: counts them, sweeps over them for deadlines and slow clients, drains them.

import KontorService
import NIOCore

/// The connections of one event loop, and what they share. It is used on that event loop only.
final class ConnectionTable {
    let service: HTTPService
    let eventLoop: any EventLoop
    var timers: RequestTimers
    /// Milliseconds of the service's clock at the last sweep: exact enough for everything but the deadlines of
    /// requests.
    private(set) var now: Int64 = 0
    /// Seconds since 1970 at the last sweep.
    private(set) var wallSeconds: Int64 = 0
    private(set) var isDraining = false
    let limits: CallerLimits
    /// Who asks in the request that is being read; nil: nobody is asked who he is.
    let asker: Asker?
    /// A name that the shop may be asked under, as it was asked last: nearly always the next one is the same.
    var knownHost: String?
    /// Open connections by address, where their number is limited.
    private var connectionsByAddress: [NetworkAddress: Int] = [:]

    private let maximumConnections: Int
    /// All of them, in no order. At most the maximum, and the reserve.
    private var connections: [ConnectionHandler] = []
    /// Those beyond the maximum, which are there for health checks alone.
    private var reserve = ConnectionQueue(bound: HTTPLimits.reservedConnections)
    /// Those whose requests have arrived in part.
    private var halfSent = ConnectionQueue(bound: HTTPLimits.halfSentRequests)
    /// Those whose clients do not read.
    private var unread = ConnectionQueue(bound: HTTPLimits.unreadConnections)
    /// Where the search for an idle connection goes on.
    private var evictionCursor = 0
    /// nil while there are no connections.
    private var sweeping: RepeatedTask?
    /// Succeeds when a drain has closed the last connection; nil until a drain begins.
    private var drained: EventLoopPromise<Void>?
    private var drainEnd: Scheduled<Void>?
    /// The memory of the answer that is being written.
    private var scratch = ByteBuffer()
    private var date = DateHeader()
    /// ``Response/notTaken`` as bytes, with the current date, so that refusing in an overload costs little.
    private(set) var refusal = ByteBuffer()
    /// The requests of this turn of the event loop, at most one of each connection. Deadlines are milliseconds of the
    /// service's clock.
    private var outbox: [(exchange: Exchange, call: ShopCall, deadline: Int64)] = []

    init(service: HTTPService, maximumConnections: Int, eventLoop: any EventLoop) {
        self.service = service
        timers = RequestTimers(service.metrics)
        self.maximumConnections = maximumConnections
        self.eventLoop = eventLoop
        limits = CallerLimits(service.access.rates)
        asker = service.access.isOpen ? nil : Asker(service.access, limits)
    }

    /// Takes a connection. If there are too many, it takes the place of one that is idle. If there is none, it goes to
    /// the reserve.
    ///
    /// - Returns: whether it is in the reserve, and may only ask for the process's health.
    func add(_ connection: ConnectionHandler) -> Bool {
        let isReserved = isOverLimit(connection) || connections.count - reserve.count >= maximumConnections && !closeIdleOne()
        service.metrics.connections.increment()
        connection.place = connections.count
        connections.append(connection)
        if sweeping == nil { startSweeping() }
        if isReserved { reserve.add(connection)?.turnAway() }
        return isReserved
    }

    /// Counts a connection of an address. Returns whether it is one too many. Those of a proxy are those of many.
    private func isOverLimit(_ connection: ConnectionHandler) -> Bool {
        let bound = service.access.rates.connections
        guard bound > 0, !connection.isProxy, let address = connection.peer?.caller else { return false }
        connectionsByAddress[address, default: 0] += 1
        return connectionsByAddress[address, default: 0] > bound
    }

    private func forget(_ connection: ConnectionHandler) {
        guard !connection.isProxy, let address = connection.peer?.caller, let count = connectionsByAddress[address] else {
            return
        }
        connectionsByAddress[address] = count > 1 ? count - 1 : nil
    }

    /// Closes the connection that is idle for the longest, of the next few that it looks at.
    ///
    /// - Returns: false if none of them was idle for long enough.
    private func closeIdleOne() -> Bool {
        var found: (connection: ConnectionHandler, since: Int64)?
        for _ in 0..<min(HTTPLimits.evictionVisits, connections.count) {
            evictionCursor = evictionCursor + 1 < connections.count ? evictionCursor + 1 : 0
            let candidate = connections[evictionCursor]
            guard let since = candidate.restSince, since < found?.since ?? .max else { continue }
            found = (candidate, since)
        }
        guard let found, now - found.since >= HTTPLimits.evictableMilliseconds else { return false }
        service.metrics.evicted.increment()
        found.connection.evict()
        return true
    }

    /// A part of a request has arrived, and the rest has not; or the rest has, too. To be told once each.
    func isHalfSent(_ connection: ConnectionHandler, _ isHalfSent: Bool) {
        if isHalfSent { halfSent.add(connection)?.refuseHalfSent() } else { halfSent.remove(connection) }
    }

    /// A client does not read its answers, or does again. To be told once each.
    func isUnread(_ connection: ConnectionHandler, _ isUnread: Bool) {
        if isUnread { unread.add(connection)?.drop() } else { unread.remove(connection) }
    }

    /// The connection leaves the reserve: it was turned away, or is gone.
    func leaveReserve(_ connection: ConnectionHandler) { reserve.remove(connection) }

    /// Forgets a connection. Does nothing if it is not in the table.
    func remove(_ connection: ConnectionHandler) {
        guard let place = connection.place else { return }
        connection.place = nil
        forget(connection)
        service.metrics.connections.decrement()
        let last = connections.removeLast()
        if last !== connection {
            connections[place] = last
            last.place = place
        }
        guard connections.isEmpty else { return }
        sweeping?.cancel()
        sweeping = nil
        endDrainIfEmpty()
    }

    /// The response as bytes. The buffer's memory is used again as soon as the socket has taken it.
    func bytes(of response: Response, persistence: Response.Persistence, isHead: Bool) -> ByteBuffer {
        scratch.clear(minimumCapacity: response.body.count + 256)
        response.write(into: &scratch, date: date.bytes, persistence: persistence, isHead: isHead)
        return scratch
    }

    /// Whether the shop will have no room for another checkout at the end of this turn.
    var isShopFull: Bool { service.shop.map { $0.room <= outbox.count } ?? false }

    /// Hands a request to the shop at the end of this turn of the event loop, together with the turn's others: the
    /// shop's thread is woken once, and finds a batch.
    func submit(_ exchange: Exchange, _ call: ShopCall, deadline: Int64) {
        outbox.append((exchange, call, deadline))
        guard outbox.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.submitOutbox() }
    }

    private func submitOutbox() {
        var requests: [(exchange: Exchange, call: ShopCall, deadline: Int64)] = []
        swap(&requests, &outbox)
        for (exchange, call, deadline) in requests {
            let connection = exchange.connection.value
            // If nobody waits for the answer any more, the request is not begun.
            guard connection.awaits(exchange) else { continue }
            let intake =
                service.shop?.submit(call.request, name: exchange.name, deadline: deadline, caller: exchange) ?? .full
            if intake != .taken {
                connection.complete(exchange, with: .refusal(intake, isRead: call.request.isRead))
            }
        }
        requests.removeAll(keepingCapacity: true)
        if outbox.isEmpty { swap(&requests, &outbox) }
    }

    private func startSweeping() {
        lookAtClocks()
        let period = TimeAmount.milliseconds(HTTPLimits.sweepMilliseconds)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        sweeping = eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in bound.value.sweep() }
    }

    private func lookAtClocks() {
        now = service.monotonicMilliseconds()
        wallSeconds = service.wallMilliseconds() / 1_000
        if date.update() { refusal = bytes(of: .notTaken, persistence: .kept, isHead: false) }
    }

    private func sweep() {
        lookAtClocks()
        // A sweep may close connections and so change the table: this walks over a snapshot.
        for connection in connections { connection.sweep(now: now) }
    }

    /// Closes idle connections at once, the others after their next answer, and at the end of the time those that are
    /// left. A second call joins the first.
    ///
    /// - Returns: succeeds once the last connection is closed.
    func drain(withinMilliseconds milliseconds: Int64) -> EventLoopFuture<Void> {
        if let drained { return drained.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        drained = promise
        isDraining = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        drainEnd = eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
            for connection in bound.value.connections { connection.giveUp() }
        }
        for connection in connections { connection.drain() }
        endDrainIfEmpty()
        return promise.futureResult
    }

    private func endDrainIfEmpty() {
        guard isDraining, connections.isEmpty else { return }
        drainEnd?.cancel()
        drained?.succeed(())
    }
}
