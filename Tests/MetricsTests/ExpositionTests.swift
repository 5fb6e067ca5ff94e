// What a page says is what Prometheus reads.

import CoreMetrics
import Foundation
import KontorMetrics
import Testing

private func page(_ registry: MetricsRegistry) -> [String] {
    var page = Exposition()
    registry.write(into: &page)
    return page.text.split(separator: "\n").map(String.init)
}

@Suite("The Prometheus text format")
struct ExpositionTests {
    @Test("a counter has its help, its type, _total, and its labels in a stable order")
    func counter() {
        let registry = MetricsRegistry([MetricFamily("sales", "What was sold.")])
        let paid = Counter(label: "sales", dimensions: [("outcome", "paid"), ("kind", "a")], factory: registry)
        Counter(label: "sales", dimensions: [("outcome", "lost"), ("kind", "a")], factory: registry).increment()
        paid.increment(by: 3)
        #expect(
            page(registry).prefix(4) == [
                "# HELP sales_total What was sold.", "# TYPE sales_total counter",
                #"sales_total{kind="a",outcome="lost"} 1"#, #"sales_total{kind="a",outcome="paid"} 3"#,
            ])
    }

    @Test("backslash, quote and line feed in a label value, and in a help, are escaped")
    func escaping() {
        let registry = MetricsRegistry([MetricFamily("odd", "One\\two\nthree \"four\".")])
        Counter(label: "odd", dimensions: [("text", "a\\b\"c\nd")], factory: registry).increment()
        #expect(page(registry)[0] == #"# HELP odd_total One\\two\nthree "four"."#)
        #expect(page(registry)[2] == #"odd_total{text="a\\b\"c\nd"} 1"#)
    }

    @Test("names that Prometheus does not allow are mended")
    func names() {
        let registry = MetricsRegistry([])
        Gauge(label: "9 lives.left", dimensions: [("the-cat:is", "ä")], factory: registry).record(7)
        #expect(page(registry)[2] == #"_9_lives_left{the_cat_is="ä"} 7"#)
    }

    @Test("a histogram's buckets contain those below them, +Inf is the count, and a bound belongs to its bucket")
    func histogram() {
        let registry = MetricsRegistry([MetricFamily("batch", "Sizes.", buckets: .powersOfTwo(upTo: 4))])
        let recorder = Recorder(label: "batch", dimensions: [("engine", "stock")], factory: registry)
        for size in [1, 2, 2, 3, 4, 5] { recorder.record(size) }
        #expect(
            page(registry)[1..<8] == [
                "# TYPE batch histogram", #"batch_bucket{engine="stock",le="1"} 1"#,
                #"batch_bucket{engine="stock",le="2"} 3"#, #"batch_bucket{engine="stock",le="4"} 5"#,
                #"batch_bucket{engine="stock",le="+Inf"} 6"#, #"batch_sum{engine="stock"} 17"#,
                #"batch_count{engine="stock"} 6"#,
            ])
    }

    @Test("durations are shown in seconds, from 100 us to 30 s")
    func latency() {
        let registry = MetricsRegistry([MetricFamily("wait_seconds", "How long.")])
        let timer = CoreMetrics.Timer(label: "wait_seconds", factory: registry)
        timer.recordNanoseconds(100_000)
        timer.recordNanoseconds(250_000_000)
        timer.recordNanoseconds(31_000_000_000)
        let lines = page(registry)
        #expect(lines.contains(#"wait_seconds_bucket{le="0.0001"} 1"#))
        #expect(lines.contains(#"wait_seconds_bucket{le="0.1"} 1"#))
        #expect(lines.contains(#"wait_seconds_bucket{le="0.25"} 2"#))
        #expect(lines.contains(#"wait_seconds_bucket{le="30"} 2"#))
        #expect(lines.contains(#"wait_seconds_bucket{le="+Inf"} 3"#))
        #expect(lines.contains("wait_seconds_sum 31.2501"))
    }

    @Test("numbers: whole ones have no fraction, and not-a-number and infinities have their names")
    func numbers() {
        let registry = MetricsRegistry([])
        let gauge = Gauge(label: "level", factory: registry)
        for (value, text) in [(3.0, "3"), (-0.25, "-0.25"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf")] {
            gauge.record(value)
            #expect(page(registry)[2] == "level \(text)")
        }
    }
}

@Suite("The registry")
struct RegistryTests {
    @Test("past the bound new series are dropped and counted, and the old ones go on")
    func bound() {
        let registry = MetricsRegistry([], maximumSeries: 2)
        let counters = (0..<5).map { Counter(label: "c", dimensions: [("n", "\($0)")], factory: registry) }
        for counter in counters { counter.increment() }
        let again = Counter(label: "c", dimensions: [("n", "1")], factory: registry)
        again.increment()
        let lines = page(registry)
        #expect(lines.filter { $0.hasPrefix("c_total") } == [#"c_total{n="0"} 1"#, #"c_total{n="1"} 2"#])
        #expect(lines.last == "kontor_metrics_dropped_series_total 3")
    }

    @Test("a name that is of another kind already is dropped and counted, not mixed in")
    func kinds() {
        let registry = MetricsRegistry([])
        Counter(label: "twice", factory: registry).increment()
        Gauge(label: "twice", dimensions: [("a", "b")], factory: registry).record(5)
        Gauge(label: "twice", factory: registry).record(5)
        let lines = page(registry)
        #expect(lines.filter { $0.hasPrefix("twice") } == ["twice_total 1"])
        #expect(lines.last == "kontor_metrics_dropped_series_total 2")
    }

    @Test("a destroyed series is gone and makes room")
    func destroy() {
        let registry = MetricsRegistry([], maximumSeries: 1)
        Counter(label: "a", factory: registry).destroy()
        Counter(label: "b", factory: registry).increment()
        #expect(page(registry).filter { !$0.hasPrefix("#") }.first == "b_total 1")
    }

    @Test("nothing is lost when four threads write while the page is shown")
    func threads() {
        let registry = MetricsRegistry([])
        let counter = Counter(label: "n", factory: registry)
        let timer = CoreMetrics.Timer(label: "t_seconds", factory: registry)
        let level = Meter(label: "level", factory: registry)
        DispatchQueue.concurrentPerform(iterations: 5) { thread in
            if thread == 0 {
                for _ in 0..<50 { _ = page(registry) }
            } else {
                for index in 0..<20_000 {
                    counter.increment()
                    timer.recordNanoseconds(Int64(index) * 10_000)
                    level.increment()
                }
            }
        }
        let lines = page(registry)
        #expect(lines.contains("n_total 80000"))
        #expect(lines.contains("level 80000"))
        #expect(lines.contains("t_seconds_count 80000"))
        #expect(lines.contains(#"t_seconds_bucket{le="+Inf"} 80000"#))
    }
}
