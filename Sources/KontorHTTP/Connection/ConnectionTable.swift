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
    private(set) var isDraining = false

    private let maximumConnections: Int
    private var connections: [ConnectionHandler] = []
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
    /// The requests of this turn of the event loop. Deadlines are milliseconds of the service's clock.
    private var outbox: [(exchange: Exchange, call: ShopCall, deadline: Int64)] = []

    init(service: HTTPService, maximumConnections: Int, eventLoop: any EventLoop) {
        self.service = service
        timers = RequestTimers(service.metrics)
        self.maximumConnections = maximumConnections
        self.eventLoop = eventLoop
    }

    /// Takes a connection.
    ///
    /// - Returns: false if there are too many connections already.
    func add(_ connection: ConnectionHandler) -> Bool {
        if connections.count >= maximumConnections {
            service.metrics.refusedConnection()
            return false
        }
        service.metrics.connections.increment()
        connection.place = connections.count
        connections.append(connection)
        if sweeping == nil { startSweeping() }
        return true
    }

    /// Forgets a connection. Does nothing if it is not in the table.
    func remove(_ connection: ConnectionHandler) {
        guard let place = connection.place else { return }
        connection.place = nil
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
            let isTaken =
                service.shop?.submit(call.request, name: exchange.name, deadline: deadline, caller: exchange) ?? false
            if !isTaken { connection.complete(exchange, with: .notTaken) }
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
