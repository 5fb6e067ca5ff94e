// The units on one connection: which replies belong to which, and which of them have left. Pure.

import NIOCore

/// Units in the order in which they were sent, until their last reply.
struct RedisPipeline {
    private struct Entry {
        let unit: RedisUnit
        let isAsking: Bool
        let sentAt: NIODeadline
        /// Replies that came, those to `ASKING` included.
        var received = 0

        var missing: Int { unit.commands.count * (isAsking ? 2 : 1) - received }
    }

    enum Reception {
        case more
        case finished(RedisUnit)
        /// Nothing was asked.
        case unasked
    }

    private var entries = CircularBuffer<Entry>()
    /// So many of the last entries are still to be written.
    private var unwritten = 0
    private var answeredAt = NIODeadline.uptimeNanoseconds(0)
    private(set) var byteCount = 0

    var count: Int { entries.count }

    /// - Parameter isAsking: whether `ASKING` goes before each command.
    mutating func append(_ unit: RedisUnit, isAsking: Bool, now: NIODeadline) {
        unit.replies.removeAll(keepingCapacity: true)
        entries.append(Entry(unit: unit, isAsking: isAsking, sentAt: now))
        byteCount += unit.byteCount
        unwritten += 1
    }

    /// What was appended is on its way, and may arrive whatever happens.
    mutating func didWrite() { unwritten = 0 }

    mutating func receive(_ reply: RESPValue, now: NIODeadline) -> Reception {
        guard entries.count > unwritten else { return .unasked }
        answeredAt = now
        let first = entries.startIndex
        let isToAsking = entries[first].isAsking && entries[first].received.isMultiple(of: 2)
        entries[first].received += 1
        if !isToAsking { entries[first].unit.replies.append(reply) }
        if entries[first].missing > 0 { return .more }
        let unit = entries.removeFirst().unit
        byteCount -= unit.byteCount
        return .finished(unit)
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
        let units = entries.map(\.unit)
        let split = units.count - unwritten
        entries.removeAll()
        unwritten = 0
        byteCount = 0
        return (Array(units[..<split]), Array(units[split...]))
    }
}
