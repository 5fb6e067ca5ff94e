// What a run shows: figures, axes, lines and the page.

import Testing

@testable import KontorBench

@Suite("The page and the progress of a run")
struct ReportPageTests {
    private static func report() -> Report {
        var recorder = Recorder()
        for second in 1...5 {
            for microseconds in 1...1_000 {
                recorder.got(head(200), nanoseconds: Int64(microseconds * second) * 1_000)
            }
            recorder.got(head(429), nanoseconds: 50_000)
            _ = recorder.endSecond()
        }
        return Report(
            scenario: "checkout", intendedPerSecond: nil, durationSeconds: 5, connections: 64, ranOut: false, recorder)
    }

    private static func head(_ status: Int) -> ResponseHead {
        var head = ResponseHead()
        head.status = status
        return head
    }

    @Test("the page has its figures and pictures, and needs nothing from elsewhere")
    func page() {
        let page = Self.report().page([("load", "64 <clients> & \"more\"")])
        #expect(page.contains("<td>5,000</td>") && page.contains("64 &lt;clients&gt; &amp; &quot;more&quot;"))
        #expect(page.components("<svg") == 3)
        #expect(page.contains("prefers-color-scheme: dark"))
        for outside in ["http:", "https:", "<script", "<link", "<img", "url("] { #expect(!page.contains(outside)) }
    }

    @Test("the curve ends with the longest latency, and never falls")
    func curve() throws {
        let line = try #require(Self.report().lines.first)
        let values = line.curve.map(\.milliseconds)
        #expect(values.last == line.latency.max)
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(line.curve.first?.percentile == 0 && line.curve.allSatisfy { $0.percentile < 100 })
    }

    @Test("the ticks of an axis hold all values between them", arguments: [Chart.Scale.linear, .logarithmic])
    func axis(scale: Chart.Scale) throws {
        for values in [[0.013, 0.9, 812], [1, 1], [31_415, 29_999], [0.5], [1_000], [9_999, 10_001]] as [[Double]] {
            let axis = Axis(values, scale)
            #expect((2...10).contains(axis.ticks.count), "\(values): \(axis.ticks)")
            for value in values { #expect((-1e-9...1 + 1e-9).contains(axis.place(value)), "\(value) in \(axis.ticks)") }
        }
        #expect(Axis([], scale).ticks.count >= 2)
    }

    @Test("a line is broken where there is nothing, and a lone point is a dot")
    func gaps() {
        let chart = Chart(
            description: "", xTitle: "", xTicks: [], yTitle: "", yScale: .logarithmic,
            lines: [Chart.Line(name: "a", series: 0, points: [(1, 5), (2, 6), (3, nil), (4, 0), (5, 7)])])
        #expect(chart.svg.components("<polyline") == 1 && chart.svg.components("<circle") == 1)
    }

    @Test("figures are short, and rounded")
    func figures() {
        #expect(Figures.decimal(1.0006, digits: 3) == "1.001" && Figures.decimal(0.06, digits: 1) == "0.1")
        #expect(Figures.decimal(-0.4, digits: 0) == "0" && Figures.decimal(12, digits: 2) == "12.00")
        #expect(Figures.grouped(1_234_567.6) == "1,234,568" && Figures.grouped(999) == "999")
        #expect(Figures.milliseconds(0.0421) == "0.042" && Figures.milliseconds(38.14) == "38.1")
        #expect(Figures.tick(0.5) == "0.5" && Figures.tick(0.02) == "0.02" && Figures.tick(2_000) == "2,000")
    }

    @Test("a terminal gets a bar that is written over, a file gets lines")
    func progress() {
        var second = Second()
        second.succeeded = 12_345
        var bar = RunProgress(totalSeconds: 4, isTerminal: true)
        let first = bar.text(second, isWarmUp: true)
        #expect(first.hasPrefix("\r\u{1B}[K[######..") && first.contains("1/4 s  (warm-up) 12,345 ok") && !first.contains("\n"))
        var log = RunProgress(totalSeconds: 4, isTerminal: false)
        #expect(log.text(second, isWarmUp: false).hasPrefix("second 1: 12,345 ok") && log.end == "")
    }
}

extension String {
    /// How often a text is in it.
    fileprivate func components(_ text: String) -> Int { ranges(of: text).count }
}
