// The names, meanings and buckets of metrics. They are stated once, apart from the code that counts.

/// One metric name: all its time series differ only in their labels.
public struct MetricFamily: Sendable {
    /// The buckets of a histogram.
    public enum Buckets: Sendable {
        /// Durations, in seconds on the page: 100 microseconds to 30 seconds.
        case latency
        /// Sizes: powers of two, up to and including this one.
        case powersOfTwo(upTo: Int64)

        /// The buckets' upper bounds, inclusive, in the unit in which values are recorded: nanoseconds, or the size
        /// itself.
        var bounds: [Int64] {
            switch self {
            case .latency:
                return [
                    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
                    100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000,
                    30_000_000_000,
                ]
            case .powersOfTwo(let last):
                return (0..<Int64(62)).map { 1 << $0 }.filter { $0 <= max(1, last) }
            }
        }

        /// What a recorded value is divided by for the page: nanoseconds become seconds. A division, because the
        /// product 100_000_000 * 1e-9 is not exactly 0.1.
        var unit: Double {
            switch self {
            case .latency: return 1e9
            case .powersOfTwo: return 1
            }
        }
    }

    /// The name that Prometheus shows; a counter's without its `_total`.
    public let name: String
    /// What it means, in one sentence.
    public let help: String
    /// The buckets of its histograms. Other kinds of metrics take no notice of them.
    public let buckets: Buckets

    public init(_ name: String, _ help: String, buckets: Buckets = .latency) {
        self.name = name
        self.help = help
        self.buckets = buckets
    }
}

/// The bounds of a registry.
public enum MetricsLimits {
    /// The most time series of one registry, a histogram counted as one: ten times what the shop has. Further ones are
    /// dropped and counted, so that a label with too many values does not fill the memory.
    public static let series = 2_000
}
