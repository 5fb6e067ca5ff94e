// Where the values of metrics are kept: one atomic word for a counter or a gauge, one for each bucket of a histogram.
// Any thread writes them, without a lock or an allocation; a scrape reads them.

import CoreMetrics
import Synchronization

/// A number that only rises.
final class CounterCell: CounterHandler, Sendable {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { count.store(0, ordering: .relaxed) }
}

/// A number that rises and falls. It serves swift-metrics both as a gauge, which is set, and as a meter, which may also
/// be incremented and decremented.
final class GaugeCell: RecorderHandler, MeterHandler, Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func increment(by amount: Double) {
        var present = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: present) + amount).bitPattern
            let (isDone, found) = bits.weakCompareExchange(expected: present, desired: next, ordering: .relaxed)
            if isDone { return }
            present = found
        }
    }

    func decrement(by amount: Double) { increment(by: -amount) }
}

/// Counts how many values fell into each bucket, and their sum. Recording a value costs two atomic additions.
///
/// `@unchecked Sendable`: the two buffers are allocated once; `bounds` is never written after that, `counts` is atomic.
final class HistogramCell: RecorderHandler, TimerHandler, @unchecked Sendable {
    private let bounds: UnsafeMutableBufferPointer<Int64>
    private let counts: UnsafeMutableBufferPointer<Atomic<Int64>>
    private let sum = Atomic<Int64>(0)
    private let unit: Double

    init(_ buckets: MetricFamily.Buckets) {
        let values = buckets.bounds
        unit = buckets.unit
        bounds = .allocate(capacity: values.count)
        _ = bounds.initialize(from: values)
        // The last one counts the values above all bounds.
        counts = .allocate(capacity: values.count + 1)
        for index in counts.indices { counts.initializeElement(at: index, to: Atomic(0)) }
    }

    deinit {
        bounds.deinitialize().deallocate()
        counts.deinitialize().deallocate()
    }

    func record(_ value: Int64) {
        var index = 0
        while index < bounds.count, value > bounds[index] { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(value, ordering: .relaxed)
    }

    func record(_ value: Double) { record(Int64(clamping: value)) }

    func recordNanoseconds(_ duration: Int64) { record(duration) }

    /// Bounds and counts as the page shows them: each count includes those of the buckets below it. The total is
    /// counted along with them, so that they agree even while values are recorded.
    func cumulative() -> (buckets: [(bound: Double, count: Int64)], total: Int64, sum: Double) {
        var buckets: [(bound: Double, count: Int64)] = []
        var total: Int64 = 0
        for index in bounds.indices {
            total += counts[index].load(ordering: .relaxed)
            buckets.append((Double(bounds[index]) / unit, total))
        }
        total += counts[bounds.count].load(ordering: .relaxed)
        return (buckets, total, Double(sum.load(ordering: .relaxed)) / unit)
    }
}

extension Int64 {
    /// The nearest integer that fits; 0 for NaN.
    fileprivate init(clamping value: Double) {
        if value.isNaN {
            self = 0
        } else if value >= 9.2e18 {
            self = .max
        } else if value <= -9.2e18 {
            self = .min
        } else {
            self = Int64(value.rounded())
        }
    }
}

/// Stands for a series that a registry does not keep: it takes values, and forgets them.
final class DroppedCell: CounterHandler, RecorderHandler, TimerHandler, MeterHandler, Sendable {
    func increment(by amount: Int64) {}
    func reset() {}
    func record(_ value: Int64) {}
    func record(_ value: Double) {}
    func recordNanoseconds(_ duration: Int64) {}
    func set(_ value: Int64) {}
    func set(_ value: Double) {}
    func increment(by amount: Double) {}
    func decrement(by amount: Double) {}
}
