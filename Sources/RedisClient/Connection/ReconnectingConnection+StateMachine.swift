// Decides when to connect, when to pause, and what waits meanwhile. Pure: ReconnectingConnection does what this says.

import NIOCore

extension ReconnectingConnection {
    /// The state of one lane to one node, over all of its connections.
    struct StateMachine {
        private enum Phase {
            /// Nothing was sent yet.
            case idle
            case connecting
            case ready
            /// The last connection was lost or not made; the next one is made after a pause.
            case backingOff
            /// No more connections are made.
            case retired
        }

        /// What to do about a request.
        enum Submission {
            /// Send it: the connection is ready.
            case send
            /// Nothing: it waits, and a connection is under way.
            case wait
            /// Connect: it waits.
            case connect
            /// Give it back, for this reason.
            case refuse(String)
        }

        private let maximumRequests: Int
        private let maximumBytes: Int
        private var phase = Phase.idle
        /// How many connections in a row were lost or not made since one was ready.
        private var failures = 0
        private var wasReady = false
        private var waiting = CircularBuffer<RedisRequest>()
        private var waitingBytes = 0

        init(maximumRequests: Int, maximumBytes: Int) {
            self.maximumRequests = maximumRequests
            self.maximumBytes = maximumBytes
        }

        /// Whether the node could not be reached when it was last tried.
        var isFailing: Bool { failures > 0 }
        /// Whether the latest failure is the first in a row.
        var hasBegunToFail: Bool { failures == 1 }
        var hasWaiting: Bool { !waiting.isEmpty }
        var isRetired: Bool { phase == .retired }

        /// Decides about a request, and keeps it if it has to wait.
        ///
        /// - Parameters:
        ///   - sentRequests: How many are in flight on the connection.
        ///   - sentBytes: The size of their commands.
        mutating func submit(_ request: RedisRequest, sentRequests: Int, sentBytes: Int) -> Submission {
            guard sentRequests + waiting.count < maximumRequests,
                sentBytes + waitingBytes + request.byteCount <= maximumBytes
            else { return .refuse("too much is on its way to this node already") }
            switch phase {
            case .ready: return .send
            case .retired: return .refuse("the client is closed, or the node left the cluster")
            case .idle:
                phase = .connecting
                keep(request)
                return .connect
            case .connecting, .backingOff:
                keep(request)
                return .wait
            }
        }

        private mutating func keep(_ request: RedisRequest) {
            waiting.append(request)
            waitingBytes += request.byteCount
        }

        /// The connection is ready.
        ///
        /// - Returns: Whether another connection or attempt came before it: the node may have lost its data since.
        mutating func didConnect() -> Bool {
            let isAnother = wasReady || failures > 0
            phase = .ready
            wasReady = true
            failures = 0
            return isAnother
        }

        /// The connection was lost or not made.
        ///
        /// - Returns: How many milliseconds to pause before the next one; nil if none is wanted.
        mutating func didLose(_ backoff: Backoff) -> Int64? {
            guard phase != .retired else { return nil }
            failures += 1
            phase = .backingOff
            return backoff.pauseMilliseconds(after: failures)
        }

        /// The pause is over.
        ///
        /// - Returns: Whether to connect.
        mutating func didPause() -> Bool {
            guard phase == .backingOff else { return false }
            phase = .connecting
            return true
        }

        mutating func retire() { phase = .retired }

        /// Takes out the waiting requests for which `isTaken` is true, in order.
        mutating func takeWaiting(where isTaken: (RedisRequest) -> Bool = { _ in true }) -> [RedisRequest] {
            if waiting.isEmpty { return [] }
            let taken = waiting.filter(isTaken)
            if taken.isEmpty { return [] }
            waiting = CircularBuffer(waiting.filter { !isTaken($0) })
            waitingBytes = waiting.reduce(0) { $0 + $1.byteCount }
            return Array(taken)
        }
    }
}
