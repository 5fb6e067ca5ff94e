// Metrics that only count: the shop's own metrics tell which rare branches a world has seen.

import CoreMetrics

/// Counts what counters count, and how often histograms record. `@unchecked Sendable`: a world has one thread.
final class CountingMetrics: MetricsFactory, @unchecked Sendable {
    /// `@unchecked Sendable`: as above.
    private final class Cell: CounterHandler, RecorderHandler, TimerHandler, MeterHandler, @unchecked Sendable {
        var count = 0
        func increment(by amount: Int64) { count += Int(amount) }
        func reset() {}
        func record(_ value: Int64) { count += 1 }
        func record(_ value: Double) { count += 1 }
        func recordNanoseconds(_ duration: Int64) { count += 1 }
        func set(_ value: Int64) {}
        func set(_ value: Double) {}
        func increment(by amount: Double) {}
        func decrement(by amount: Double) {}
    }

    private var cells: [String: Cell] = [:]

    private func cell(_ label: String) -> Cell {
        if let cell = cells[label] { return cell }
        let cell = Cell()
        cells[label] = cell
        return cell
    }

    private func count(_ label: String) -> Int { cells[label]?.count ?? 0 }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { cell(label) }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { cell(label) }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { cell(label) }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { cell(label) }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}

    func add(to coverage: inout Coverage) {
        coverage[.sagaResumed] += count("kontor_recovered_sagas")
        coverage[.orphanSettled] += count("kontor_recovered_orphans")
        coverage[.contendedCommand] += count("kontor_contended_commands")
        coverage[.retriedInOrder] += count("kontor_checkout_retries")
        coverage[.messageResent] += count("kontor_saga_messages_resent")
        coverage[.copyDropped] += count("kontor_engine_copies")
        coverage[.recordReadFromTable] += count("kontor_cache_misses")
        coverage[.sliceFolded] += count("kontor_fold_records")
    }
}
