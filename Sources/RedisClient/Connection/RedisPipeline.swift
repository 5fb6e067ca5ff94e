// The requests that are in flight on one connection: assigns replies to them, and knows which of them were written.
// Pure.

import NIOCore

/// The requests of one connection in the order in which they were sent, each until its last reply.
struct RedisPipeline {
    private struct Entry {
        /// The request; nil for the trailer of the requests before it.
        let request: RedisRequest?
        /// Whether `ASKING` goes before each command.
        let isAsking: Bool
        let sentAt: NIODeadline
        /// How many replies have come, those to `ASKING` included.
        var received = 0

        var missing: Int { (request?.commands.count ?? 1) * (isAsking ? 2 : 1) - received }
    }

    /// What a reply means for the requests.
    enum Reception {
        /// More replies are to come.
        case more
        case finished([RedisRequest])
        /// No command waits for a reply.
        case unasked
    }

    private var entries = CircularBuffer<Entry>()
    /// How many of the last entries are not written yet.
    private var unwritten = 0
    /// The command that goes behind them.
    private var trailer: RedisCommand?
    /// Requests that have all replies but their trailer's.
    private var awaitingTrailer: [RedisRequest] = []
    private var lastReplyAt = NIODeadline.uptimeNanoseconds(0)
    /// The size of the commands of all requests that are not finished.
    private(set) var byteCount = 0
    /// How many requests are not finished.
    private(set) var count = 0

    /// Appends a request that will be written at the end of this turn of the event loop.
    ///
    /// - Parameter isAsking: Whether `ASKING` goes before each command.
    mutating func append(_ request: RedisRequest, isAsking: Bool, now: NIODeadline) {
        request.replies.removeAll(keepingCapacity: true)
        entries.append(Entry(request: request, isAsking: isAsking, sentAt: now))
        byteCount += request.byteCount
        count += 1
        unwritten += 1
        if let own = request.trailer { trailer = own }
    }

    /// Counts everything that was appended as written: from now on it may arrive, whatever happens.
    ///
    /// - Returns: The trailer that must be written behind it; nil for none.
    mutating func endTurn(now: NIODeadline) -> RedisCommand? {
        unwritten = 0
        guard let trailer else { return nil }
        self.trailer = nil
        entries.append(Entry(request: nil, isAsking: false, sentAt: now))
        return trailer
    }

    /// Gives a reply to the oldest request that lacks one.
    mutating func receive(_ reply: RESPValue, now: NIODeadline) -> Reception {
        guard entries.count > unwritten else { return .unasked }
        lastReplyAt = now
        let first = entries.startIndex
        let isToAsking = entries[first].isAsking && entries[first].received.isMultiple(of: 2)
        entries[first].received += 1
        if !isToAsking { entries[first].request?.replies.append(reply) }
        if entries[first].missing > 0 { return .more }
        guard let request = entries.removeFirst().request else {
            for request in awaitingTrailer { request.replies.append(reply) }
            defer { awaitingTrailer.removeAll(keepingCapacity: true) }
            return finish(awaitingTrailer)
        }
        if request.trailer == nil { return finish([request]) }
        awaitingTrailer.append(request)
        return .more
    }

    private mutating func finish(_ requests: [RedisRequest]) -> Reception {
        count -= requests.count
        for request in requests { byteCount -= request.byteCount }
        return .finished(requests)
    }

    /// When the server counts as stopped if it sends nothing until then; nil if no command waits for a reply.
    ///
    /// That is `timeout` after the oldest command was sent or the last reply came, whichever is later: a `WAIT` holds
    /// up all commands behind it. But it is not later than a few timeouts after the oldest command was sent.
    func timesOut(after timeout: TimeAmount) -> NIODeadline? {
        entries.first.map {
            min(max($0.sentAt, lastReplyAt) + timeout, $0.sentAt + timeout * RedisClientLimits.queueFactor)
        }
    }

    /// Takes all requests out when the connection is lost.
    mutating func drain() -> (sent: [RedisRequest], unsent: [RedisRequest]) {
        let split = entries.count - unwritten
        let sent = awaitingTrailer + entries.prefix(split).compactMap(\.request)
        let unsent = entries.dropFirst(split).compactMap(\.request)
        self = RedisPipeline()
        return (sent, unsent)
    }
}
