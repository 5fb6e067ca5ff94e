// The open connections of one event loop: counting them, sweeping over them for deadlines and slow clients, draining them.

import NIOCore

/// Lives on one event loop and is used only there.
final class ConnectionTable {
    let service: HTTPService
    let eventLoop: any EventLoop
    /// The clock at the last sweep: fine enough for everything but the deadlines of requests.
    private(set) var now: Int64 = 0
    private(set) var isDraining = false

    private let maximumConnections: Int
    private var connections: [ConnectionHandler] = []
    /// Runs while there are connections.
    private var sweeping: RepeatedTask?
    private var drained: EventLoopPromise<Void>?
    private var drainEnd: Scheduled<Void>?
    private var scratch = ByteBuffer()

    init(service: HTTPService, maximumConnections: Int, eventLoop: any EventLoop) {
        self.service = service
        self.maximumConnections = maximumConnections
        self.eventLoop = eventLoop
    }

    /// - Returns: false if there are too many.
    func add(_ connection: ConnectionHandler) -> Bool {
        if connections.count >= maximumConnections { return false }
        connection.place = connections.count
        connections.append(connection)
        if sweeping == nil { startSweeping() }
        return true
    }

    func remove(_ connection: ConnectionHandler) {
        guard let place = connection.place else { return }
        connection.place = nil
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
        response.write(into: &scratch, persistence: persistence, isHead: isHead)
        return scratch
    }

    private func startSweeping() {
        now = service.monotonicMilliseconds()
        let period = TimeAmount.milliseconds(HTTPLimits.sweepMilliseconds)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        sweeping = eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in bound.value.sweep() }
    }

    private func sweep() {
        now = service.monotonicMilliseconds()
        // A sweep may close connections and so change the table: this walks over a snapshot.
        for connection in connections { connection.sweep(now: now) }
    }

    // MARK: Draining

    /// Closes idle connections at once, the others after their next answer, and all that is left at the end of the time.
    func drain(withinMilliseconds milliseconds: Int64) -> EventLoopFuture<Void> {
        if let drained { return drained.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        drained = promise
        isDraining = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        drainEnd = eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
            for connection in bound.value.connections { connection.abort() }
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
