// The units on one connection: which replies belong to which, and which of them have left. Pure.

import NIOCore

/// Units in the order in which they were sent, until their last reply.
struct RedisPipeline {
    private struct Entry {
        /// nil: the trailer of the units before it.
        let unit: RedisUnit?
        let isAsking: Bool
        let sentAt: NIODeadline
        /// Replies that came, those to `ASKING` included.
        var received = 0

        var missing: Int { (unit?.commands.count ?? 1) * (isAsking ? 2 : 1) - received }
    }

    enum Reception {
        case more
        case finished([RedisUnit])
        /// Nothing was asked.
        case unasked
    }

    private var entries = CircularBuffer<Entry>()
    /// So many of the last entries are still to be written.
    private var unwritten = 0
    /// What is to be sent behind them.
    private var trailer: RedisCommand?
    /// All their own replies have come; the trailer's has not.
    private var trailing: [RedisUnit] = []
    private var answeredAt = NIODeadline.uptimeNanoseconds(0)
    private(set) var byteCount = 0
    /// Units that are not finished.
    private(set) var count = 0

    /// - Parameter isAsking: whether `ASKING` goes before each command.
    mutating func append(_ unit: RedisUnit, isAsking: Bool, now: NIODeadline) {
        unit.replies.removeAll(keepingCapacity: true)
        entries.append(Entry(unit: unit, isAsking: isAsking, sentAt: now))
        byteCount += unit.byteCount
        count += 1
        unwritten += 1
        if let own = unit.trailer { trailer = own }
    }

    /// What was appended is on its way now, and may arrive whatever happens.
    ///
    /// - Returns: what must go behind it.
    mutating func endTurn(now: NIODeadline) -> RedisCommand? {
        unwritten = 0
        guard let trailer else { return nil }
        self.trailer = nil
        entries.append(Entry(unit: nil, isAsking: false, sentAt: now))
        return trailer
    }

    mutating func receive(_ reply: RESPValue, now: NIODeadline) -> Reception {
        guard entries.count > unwritten else { return .unasked }
        answeredAt = now
        let first = entries.startIndex
        let isToAsking = entries[first].isAsking && entries[first].received.isMultiple(of: 2)
        entries[first].received += 1
        if !isToAsking { entries[first].unit?.replies.append(reply) }
        if entries[first].missing > 0 { return .more }
        guard let unit = entries.removeFirst().unit else {
            for unit in trailing { unit.replies.append(reply) }
            defer { trailing.removeAll(keepingCapacity: true) }
            return finish(trailing)
        }
        if unit.trailer == nil { return finish([unit]) }
        trailing.append(unit)
        return .more
    }

    private mutating func finish(_ units: [RedisUnit]) -> Reception {
        count -= units.count
        for unit in units { byteCount -= unit.byteCount }
        return .finished(units)
    }

    /// Until when the server must say something; nil if nothing waits for a reply.
    ///
    /// The oldest unit may wait so long for itself, and a few times so long if others before it were answered meanwhile:
    /// a `WAIT` holds up all that is behind it.
    func patienceEnds(_ patience: TimeAmount) -> NIODeadline? {
        entries.first.map { min(max($0.sentAt, answeredAt) + patience, $0.sentAt + patience * RedisLimits.queueFactor) }
    }

    /// Takes all out when the connection is lost.
    mutating func drain() -> (sent: [RedisUnit], unsent: [RedisUnit]) {
        let split = entries.count - unwritten
        let sent = trailing + entries.prefix(split).compactMap(\.unit)
        let unsent = entries.dropFirst(split).compactMap(\.unit)
        self = RedisPipeline()
        return (sent, unsent)
    }
}
