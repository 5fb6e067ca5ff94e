// All time series of a process. They are made through swift-metrics, kept until they are destroyed, and shown in a
// stable order.

import CoreMetrics
import Synchronization

/// A backend of swift-metrics that Prometheus scrapes.
///
/// Instruments with the same name and labels share one series. Making one takes a lock; using one does not. Past
/// ``MetricsLimits/series``, or under a name that is of another kind already, a series is dropped: its instrument works
/// and keeps nothing, and `kontor_metrics_dropped_series_total` counts it.
public final class MetricsRegistry: MetricsFactory, Sendable {
    private enum Cell {
        case counter(CounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)

        var kind: Exposition.Kind {
            switch self {
            case .counter: return .counter
            case .gauge: return .gauge
            case .histogram: return .histogram
            }
        }

        var identity: ObjectIdentifier {
            switch self {
            case .counter(let cell): return ObjectIdentifier(cell)
            case .gauge(let cell): return ObjectIdentifier(cell)
            case .histogram(let cell): return ObjectIdentifier(cell)
            }
        }
    }

    private struct Series {
        let labels: Exposition.Labels
        let cell: Cell
    }

    private struct State {
        /// By name, and then by the labels as they are shown.
        var families: [String: [String: Series]] = [:]
        var count = 0
        var dropped = 0
    }

    private let descriptions: [String: MetricFamily]
    private let maximumSeries: Int
    private let state = Mutex(State())
    private let droppedCell = DroppedCell()

    /// - Parameters:
    ///   - families: the meanings of metrics and the buckets of histograms. A metric that is not among them has no
    ///     help.
    ///   - maximumSeries: the most series that are kept; see ``MetricsLimits/series``.
    public init(_ families: [MetricFamily], maximumSeries: Int = MetricsLimits.series) {
        descriptions = Dictionary(families.map { ($0.name, $0) }) { first, _ in first }
        self.maximumSeries = maximumSeries
    }

    // MARK: Making and ending series

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let cell = cell(label, dimensions, .counter) { .counter(CounterCell()) }
        if case .counter(let cell)? = cell { return cell }
        return droppedCell
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        let cell = cell(label, dimensions, .gauge) { .gauge(GaugeCell()) }
        if case .gauge(let cell)? = cell { return cell }
        return droppedCell
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if !aggregate {
            let cell = cell(label, dimensions, .gauge) { .gauge(GaugeCell()) }
            if case .gauge(let cell)? = cell { return cell }
        } else if let cell = histogram(label, dimensions) {
            return cell
        }
        return droppedCell
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions) ?? droppedCell
    }

    public func destroyCounter(_ handler: any CounterHandler) { destroy(ObjectIdentifier(handler)) }
    public func destroyMeter(_ handler: any MeterHandler) { destroy(ObjectIdentifier(handler)) }
    public func destroyRecorder(_ handler: any RecorderHandler) { destroy(ObjectIdentifier(handler)) }
    public func destroyTimer(_ handler: any TimerHandler) { destroy(ObjectIdentifier(handler)) }

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> HistogramCell? {
        let buckets = descriptions[label]?.buckets ?? .latency
        let cell = cell(label, dimensions, .histogram) { .histogram(HistogramCell(buckets)) }
        if case .histogram(let cell)? = cell { return cell }
        return nil
    }

    private func cell(
        _ name: String, _ labels: Exposition.Labels, _ kind: Exposition.Kind, _ make: () -> Cell
    ) -> Cell? {
        // Sorted, so that the same labels in another order are the same series.
        let labels = labels.sorted { $0.0 < $1.0 }
        var key = Exposition()
        key.sample("", labels, 0)
        let text = key.text
        return state.withLock { state in
            if let known = state.families[name] {
                if let series = known[text] {
                    if series.cell.kind == kind { return series.cell }
                } else if known.values.first?.cell.kind ?? kind == kind, state.count < maximumSeries {
                    return add(name, text, labels, make(), to: &state)
                }
            } else if state.count < maximumSeries {
                return add(name, text, labels, make(), to: &state)
            }
            state.dropped += 1
            return nil
        }
    }

    private func add(
        _ name: String, _ key: String, _ labels: Exposition.Labels, _ cell: Cell, to state: inout State
    ) -> Cell {
        state.families[name, default: [:]][key] = Series(labels: labels, cell: cell)
        state.count += 1
        return cell
    }

    private func destroy(_ identity: ObjectIdentifier) {
        state.withLock { state in
            for (name, family) in state.families {
                guard let found = family.first(where: { $0.value.cell.identity == identity }) else { continue }
                state.families[name]?[found.key] = nil
                if family.count == 1 { state.families[name] = nil }
                state.count -= 1
                return
            }
        }
    }

    // MARK: Showing them

    /// Writes all series, sorted by name and labels. Values may change meanwhile: each number is of some moment during
    /// this call.
    public func write(into page: inout Exposition) {
        let (families, dropped) = state.withLock { ($0.families, $0.dropped) }
        for (label, family) in families.sorted(by: { $0.key < $1.key }) {
            guard let kind = family.values.first?.cell.kind else { continue }
            var name = Exposition.metricName(label)
            if kind == .counter, !name.hasSuffix("_total") { name += "_total" }
            page.family(name, kind, help: descriptions[label]?.help ?? "No description.")
            for (_, series) in family.sorted(by: { $0.key < $1.key }) {
                switch series.cell {
                case .counter(let cell): page.sample(name, series.labels, Double(cell.value))
                case .gauge(let cell): page.sample(name, series.labels, cell.value)
                case .histogram(let cell): page.histogram(name, series.labels, cell)
                }
            }
        }
        page.single(
            "kontor_metrics_dropped_series_total", .counter,
            help: "Time series that were not kept, because there were too many or their name was taken.",
            value: Double(dropped))
    }
}
