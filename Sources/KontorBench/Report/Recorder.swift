// What was measured: latencies in histograms, whole and second by second, and what could not be sent or was not
// answered.

import Glibc
import Histogram

/// Percentiles of some latencies, in milliseconds; 0 if there were none.
public struct Percentiles: Codable, Equatable, Sendable {
    /// The median: half of the latencies are at most this.
    public var p50 = 0.0
    /// 90 % of the latencies are at most this.
    public var p90 = 0.0
    /// 99 % of the latencies are at most this.
    public var p99 = 0.0
    /// 99.9 % of the latencies are at most this.
    public var p999 = 0.0
    /// The longest latency.
    public var max = 0.0

    init(_ latencies: Histogram<UInt32>) {
        guard latencies.totalCount > 0 else { return }
        p50 = Self.milliseconds(latencies, 50)
        p90 = Self.milliseconds(latencies, 90)
        p99 = Self.milliseconds(latencies, 99)
        p999 = Self.milliseconds(latencies, 99.9)
        max = Double(latencies.maxRecorded) / 1_000
    }

    private static func milliseconds(_ latencies: Histogram<UInt32>, _ percentile: Double) -> Double {
        Double(latencies.valueAtPercentile(percentile)) / 1_000
    }
}

/// One point of the distribution of some latencies.
public struct CurvePoint: Codable, Equatable, Sendable {
    /// How many percent of the latencies are at most `milliseconds`: 0 to 100.
    public let percentile: Double
    /// The latency at this percentile.
    public let milliseconds: Double

    /// The points of a curve whose scale shows the slow requests: 90 %, 99 %, 99.9 % and so on are equally far apart,
    /// with 20 points between two of them. The last point is the longest latency.
    static func curve(_ latencies: Histogram<UInt32>) -> [CurvePoint] {
        guard latencies.totalCount > 0 else { return [] }
        let decades = log10(Double(latencies.totalCount))
        var points: [CurvePoint] = []
        for step in 0...Int(decades * stepsPerDecade) {
            let percentile = 100 * (1 - pow(10, -Double(step) / stepsPerDecade))
            points.append(
                CurvePoint(
                    percentile: percentile, milliseconds: Double(latencies.valueAtPercentile(percentile)) / 1_000))
        }
        let last = 100 * (1 - 1 / Double(latencies.totalCount))
        points.append(CurvePoint(percentile: last, milliseconds: Double(latencies.maxRecorded) / 1_000))
        return points
    }

    private static let stepsPerDecade = 20.0
}

/// What happened in one second of a run.
public struct Second: Codable, Equatable, Sendable {
    /// Its number, from 0.
    public var second = 0
    /// Requests that were sent in it.
    public var sent = 0
    /// Answers 2xx that came in it.
    public var succeeded = 0
    /// Answers 429 that came in it.
    public var refused = 0
    /// Other answers, and requests that lost their connection.
    public var failed = 0
    /// Requests that were given up in it, because no connection was free for them.
    public var unsent = 0
    /// The median latency of its successes, in milliseconds.
    public var p50 = 0.0
    /// The 99th percentile of its successes, in milliseconds.
    public var p99 = 0.0
    /// The 99th percentile of its refusals, in milliseconds.
    public var refusedP99 = 0.0
}

/// Collects what a run brings. A latency counts from the moment at which the request was due, not from that at which it
/// was sent: so a stall of the server shows in all requests that it delayed.
public struct Recorder {
    /// All answers of one status.
    struct Class {
        var latencies = Recorder.histogram()
        /// How many of them came before the run's end. Only these count towards the rate.
        var inTime = 0
    }

    private(set) var classes: [Int: Class] = [:]
    private(set) var seconds: [Second] = []
    /// Requests that were sent.
    public private(set) var sent = 0
    /// Requests that were due, and for which no connection became free in time.
    public private(set) var unsent = 0
    /// Requests that were sent later than they should have been.
    public private(set) var late = 0
    /// Requests that were sent, and whose connection broke, or whose answer did not come in time.
    public private(set) var unanswered = 0
    /// Answers 429 without a `Retry-After`, which the contract asks for.
    public private(set) var refusedWithoutRetryAfter = 0

    private var current = Second()
    private var succeeded = Recorder.histogram()
    private var refused = Recorder.histogram()

    public init() {}

    static func histogram() -> Histogram<UInt32> {
        Histogram(lowestDiscernibleValue: 1, highestTrackableValue: longestMicroseconds, numberOfSignificantValueDigits: .three)
    }

    /// The longest latency that is told from others: longer than the generator waits for anything.
    static let longestMicroseconds: UInt64 = 120_000_000

    /// Counts a request that was sent.
    ///
    /// - Parameter isLate: it was sent later than it should have been.
    public mutating func didSend(isLate: Bool) {
        sent += 1
        current.sent += 1
        if isLate { late += 1 }
    }

    /// Counts requests that were given up, because no connection was free for them.
    public mutating func couldNotSend(_ count: Int) {
        unsent += count
        current.unsent += count
    }

    /// Counts a request that was sent and gets no answer any more.
    public mutating func gotNoAnswer() {
        unanswered += 1
        current.failed += 1
    }

    /// Counts an answer.
    ///
    /// - Parameters:
    ///   - nanoseconds: its latency, from the moment at which the request was due.
    ///   - isInTime: it came before the run's end.
    public mutating func got(_ head: ResponseHead, nanoseconds: Int64, isInTime: Bool = true) {
        let microseconds = min(UInt64(max(0, nanoseconds) / 1_000), Self.longestMicroseconds)
        classes[head.status, default: Class()].latencies.record(microseconds)
        if head.status == 429, head.retryAfterSeconds == nil { refusedWithoutRetryAfter += 1 }
        guard isInTime else { return }
        classes[head.status]?.inTime += 1
        switch head.status {
        case 200..<300:
            current.succeeded += 1
            succeeded.record(microseconds)
        case 429:
            current.refused += 1
            refused.record(microseconds)
        default: current.failed += 1
        }
    }

    /// Ends a second of the run, and returns it.
    public mutating func endSecond() -> Second {
        let ok = Percentiles(succeeded)
        current.p50 = ok.p50
        current.p99 = ok.p99
        current.refusedP99 = Percentiles(refused).p99
        let ended = current
        seconds.append(ended)
        current = Second()
        current.second = ended.second + 1
        succeeded.reset()
        refused.reset()
        return ended
    }

    /// Begins anew: what the warm-up brought does not count.
    public mutating func forget() { self = Recorder() }
}
