// What was measured: latencies in histograms, whole and second by second, and what could not be sent or was not answered.

import Glibc
import Histogram

/// Percentiles of some latencies, in milliseconds.
public struct Percentiles: Codable, Equatable, Sendable {
    public var p50 = 0.0
    public var p90 = 0.0
    public var p99 = 0.0
    public var p999 = 0.0
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

/// One point of the distribution of some latencies: so many percent of them are at most so long.
public struct CurvePoint: Codable, Equatable, Sendable {
    public let percentile: Double
    public let milliseconds: Double

    /// Points at even distances on the scale that shows the slow ones: each tenfold step leaves a tenth of what is left. The last one
    /// is the longest latency.
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

/// One second of a run. The latencies are those of successes, and those of refusals (429).
public struct Second: Codable, Equatable, Sendable {
    public var second = 0
    public var sent = 0
    public var succeeded = 0
    public var refused = 0
    public var failed = 0
    public var unsent = 0
    public var p50 = 0.0
    public var p99 = 0.0
    public var refusedP99 = 0.0
}

/// Collects what a run brings. Latencies count from the intended start, so that a stall is seen by all that it delayed.
public struct Recorder {
    /// All answers of one status.
    struct Class {
        var latencies = Recorder.histogram()
        /// Of those, how many came before the run's end: only they make a rate.
        var inTime = 0
    }

    private(set) var classes: [Int: Class] = [:]
    private(set) var seconds: [Second] = []
    public private(set) var sent = 0
    /// Was due, and no connection was free for it until its time was over.
    public private(set) var unsent = 0
    /// Sent later than it should have been.
    public private(set) var late = 0
    /// Sent, and the connection broke or the run's patience ended before the answer.
    public private(set) var unanswered = 0
    public private(set) var refusedWithoutRetryAfter = 0

    private var current = Second()
    private var succeeded = Recorder.histogram()
    private var refused = Recorder.histogram()

    public init() {}

    static func histogram() -> Histogram<UInt32> {
        Histogram(lowestDiscernibleValue: 1, highestTrackableValue: longestMicroseconds, numberOfSignificantValueDigits: .three)
    }

    /// What takes longer is counted as this: longer than any patience.
    static let longestMicroseconds: UInt64 = 120_000_000

    public mutating func didSend(isLate: Bool) {
        sent += 1
        current.sent += 1
        if isLate { late += 1 }
    }

    public mutating func couldNotSend(_ count: Int) {
        unsent += count
        current.unsent += count
    }

    public mutating func gotNoAnswer() {
        unanswered += 1
        current.failed += 1
    }

    /// - Parameters:
    ///   - nanoseconds: since the intended start.
    ///   - isInTime: before the run's end.
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

    /// Forgets what the warm-up brought.
    public mutating func forget() { self = Recorder() }
}
