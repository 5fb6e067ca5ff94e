// When a link connects, pauses and gives up, and what waits meanwhile. Pure: RedisLink does what this says.

import NIOCore

/// One lane of one node, over all of its connections.
struct RedisLinkState {
    private enum Phase {
        case idle
        case connecting
        case ready
        case pausing
        case retired
    }

    enum Submission {
        /// The connection is there.
        case send
        /// It waits; a connection is under way.
        case wait
        /// It waits, and a connection is to be made.
        case connect
        case refuse(String)
    }

    private let maximumUnits: Int
    private let maximumBytes: Int
    private var phase = Phase.idle
    /// Connections that failed or were lost since the last that was ready.
    private var failures = 0
    private var wasReady = false
    private var waiting = CircularBuffer<RedisUnit>()
    private var waitingBytes = 0

    init(maximumUnits: Int, maximumBytes: Int) {
        self.maximumUnits = maximumUnits
        self.maximumBytes = maximumBytes
    }

    /// Whether the node cannot be reached, as far as this link knows.
    var isFailing: Bool { failures > 0 }
    /// Whether it failed just now, and not already before.
    var hasBegunToFail: Bool { failures == 1 }
    var hasWaiting: Bool { !waiting.isEmpty }

    /// Takes a unit in.
    ///
    /// - Parameters:
    ///   - sentUnits: those on the connection.
    ///   - sentBytes: and what their commands take.
    mutating func submit(_ unit: RedisUnit, sentUnits: Int, sentBytes: Int) -> Submission {
        guard sentUnits + waiting.count < maximumUnits, sentBytes + waitingBytes + unit.byteCount <= maximumBytes else {
            return .refuse("too much is on its way to this node already")
        }
        switch phase {
        case .ready: return .send
        case .retired: return .refuse("the client is closed, or the node left the cluster")
        case .idle:
            phase = .connecting
            keep(unit)
            return .connect
        case .connecting, .pausing:
            keep(unit)
            return .wait
        }
    }

    private mutating func keep(_ unit: RedisUnit) {
        waiting.append(unit)
        waitingBytes += unit.byteCount
    }

    /// - Returns: whether there was a connection before, or an attempt that failed: the node may have lost its memory
    ///   since.
    mutating func didConnect() -> Bool {
        let isAnother = wasReady || failures > 0
        phase = .ready
        wasReady = true
        failures = 0
        return isAnother
    }

    /// The connection failed or was lost.
    ///
    /// - Returns: how long to pause before the next; nil if none is wanted.
    mutating func didLose(_ backoff: RedisBackoff) -> Int64? {
        guard phase != .retired else { return nil }
        failures += 1
        phase = .pausing
        return backoff.pauseMilliseconds(after: failures)
    }

    /// The pause is over.
    ///
    /// - Returns: whether to connect.
    mutating func didPause() -> Bool {
        guard phase == .pausing else { return false }
        phase = .connecting
        return true
    }

    var isRetired: Bool { phase == .retired }

    mutating func retire() { phase = .retired }

    /// Takes out all units that wait, or those that a condition holds for, in order.
    mutating func takeWaiting(where isTaken: (RedisUnit) -> Bool = { _ in true }) -> [RedisUnit] {
        if waiting.isEmpty { return [] }
        let taken = waiting.filter(isTaken)
        if taken.isEmpty { return [] }
        waiting = CircularBuffer(waiting.filter { !isTaken($0) })
        waitingBytes = waiting.reduce(0) { $0 + $1.byteCount }
        return Array(taken)
    }
}
