// What a metric is called, what it means, and into which buckets it falls: said once, apart from the code that counts.

/// One metric name: all its time series differ only in their labels.
public struct MetricFamily: Sendable {
    /// Where the values of a histogram fall.
    public enum Buckets: Sendable {
        /// Durations, in seconds on the page: 100 microseconds to 30 seconds.
        case latency
        /// Sizes: powers of two up to this one.
        case powersOfTwo(upTo: Int64)

        /// Upper bounds, inclusive, as they are recorded: nanoseconds, or the sizes themselves.
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

        /// How much of what is recorded is 1 on the page. Divided by, because 0.1 is not 100000000 * 1e-9.
        var unit: Double {
            switch self {
            case .latency: return 1e9
            case .powersOfTwo: return 1
            }
        }
    }

    /// As Prometheus shows it; a counter's without its `_total`.
    public let name: String
    /// One sentence.
    public let help: String
    /// Used if it is a histogram.
    public let buckets: Buckets

    public init(_ name: String, _ help: String, buckets: Buckets = .latency) {
        self.name = name
        self.help = help
        self.buckets = buckets
    }
}

/// The bounds of a registry.
public enum MetricsLimits {
    /// Time series of one registry (a histogram counts as one): ten times what the shop has. A label with too many values
    /// must not fill the memory; past the bound new ones are dropped, and counted.
    public static let series = 2_000
}
