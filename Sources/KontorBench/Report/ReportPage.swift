// A run's result as one HTML page that loads nothing: figures, the distribution of latencies, and rate and latency over
// time.

import Glibc

extension Report {
    /// The page, in HTML.
    ///
    /// - Parameter facts: how the run was made (when, where, with which options), as pairs of a name and a text.
    public func page(_ facts: [(name: String, text: String)]) -> String {
        let done = lines.first { (200..<300).contains($0.status) }
        let title = "kontor bench \(scenario)"
        var sections = [section("Latency", charts(of: lines.filter { !$0.curve.isEmpty }))]
        if seconds.count > 1 {
            sections.append(section("Answers a second", throughput))
            sections.append(section("Latency by second", latencyBySecond))
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(escaped(title)): \(Figures.grouped(done?.perSecond ?? 0))/s</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            <main>
            <h1>\(escaped(title))</h1>
            \(tiles(done))
            \(sections.joined(separator: "\n"))
            <section><h2>All answers</h2>
            \(answerTable)
            \(remarks)
            </section>
            <section><h2>The run</h2>
            <dl>
            \(facts.map { "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.text))</dd>" }.joined(separator: "\n"))
            </dl>
            </section>
            </main>
            </body>
            </html>

            """
    }

    private func section(_ title: String, _ content: String) -> String {
        "<section><h2>\(title)</h2>\n<figure>\(content)</figure></section>"
    }

    /// The five figures that one looks for first.
    private func tiles(_ done: Line?) -> String {
        let latency = done?.latency
        let figures: [(String, String, String)] = [
            ("done a second", Figures.grouped(done?.perSecond ?? 0), ""),
            ("p50", Figures.milliseconds(latency?.p50 ?? 0), "ms"),
            ("p99", Figures.milliseconds(latency?.p99 ?? 0), "ms"),
            ("p99.9", Figures.milliseconds(latency?.p999 ?? 0), "ms"),
            ("slowest", Figures.milliseconds(latency?.max ?? 0), "ms"),
        ]
        let tiles = figures.map { name, figure, unit in
            "<div class=\"tile\"><span class=\"figure\">\(figure)<small>\(unit)</small></span><span>\(name)</span></div>"
        }
        return "<div class=\"tiles\">" + tiles.joined() + "</div>"
    }

    /// The chart of latency by percentile. Its scale has the same width for 90 %, 99 %, 99.9 % and so on.
    private func charts(of shown: [Line]) -> String {
        let decades = shown.map { $0.curve.last.map { Self.decades($0.percentile) } ?? 0 }.max() ?? 1
        let ticks = (0...max(1, Int(decades.rounded(.up)))).map { decade in
            (place: Double(decade), text: decade == 0 ? "0 %" : Self.nines(decade) + " %")
        }
        return Chart(
            description: "Latency by percentile, for each status", xTitle: "of the answers were at least so fast",
            xTicks: ticks, yTitle: "ms", yScale: .logarithmic,
            lines: shown.enumerated().map { index, line in
                Chart.Line(
                    name: "\(line.status)", series: Self.series(line.status, index),
                    points: line.curve.map { (Self.decades($0.percentile), $0.milliseconds) })
            }
        ).svg
    }

    /// Successes and refusals have the same colours in all charts.
    private static func series(_ status: Int, _ index: Int) -> Int {
        switch status {
        case 200..<300: return 0
        case 429: return 1
        case 500...: return 2
        default: return 3 + index % 2
        }
    }

    /// A percentile's place on that scale: 0 for 0 %, 1 for 90 %, 2 for 99 %, and so on.
    private static func decades(_ percentile: Double) -> Double { -log10(max(1e-12, 1 - percentile / 100)) }

    private static func nines(_ decade: Int) -> String {
        switch decade {
        case 1: return "90"
        case 2: return "99"
        default: return "99." + String(repeating: "9", count: decade - 2)
        }
    }

    private var throughput: String {
        var lines = [
            Chart.Line(name: "done", series: 0, points: seconds.map { (Double($0.second + 1), Double($0.succeeded)) })
        ]
        if seconds.contains(where: { $0.refused > 0 }) {
            lines.append(
                Chart.Line(name: "refused", series: 1, points: seconds.map { (Double($0.second + 1), Double($0.refused)) }))
        }
        if seconds.contains(where: { $0.failed > 0 }) {
            let name = scenario == "mix" ? "other" : "failed"
            lines.append(
                Chart.Line(name: name, series: 2, points: seconds.map { (Double($0.second + 1), Double($0.failed)) }))
        }
        return Chart(
            description: "Answers in each second of the run", xTitle: "seconds", xTicks: secondTicks, yTitle: "a second",
            yScale: .linear, lines: lines
        ).svg
    }

    private var latencyBySecond: String {
        let lines = [("p50", 0, \Second.p50), ("p99", 3, \Second.p99)].map { name, series, value in
            Chart.Line(
                name: name, series: series,
                points: seconds.map { (Double($0.second + 1), $0.succeeded > 0 ? $0[keyPath: value] : nil) })
        }
        return Chart(
            description: "Median and 99th percentile of each second, of successes", xTitle: "seconds", xTicks: secondTicks,
            yTitle: "ms", yScale: .logarithmic, lines: lines
        ).svg
    }

    /// The ticks of an axis of seconds: about ten at most.
    private var secondTicks: [(place: Double, text: String)] {
        let count = seconds.count
        let step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].first { count / $0 <= 10 } ?? 1_200
        return (1...max(1, count)).filter { $0 % step == 0 || (step > 1 && $0 == 1) }.map { (Double($0), "\($0)") }
    }

    private var answerTable: String {
        let heads = ["status", "count", "a second", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]
        let rows = lines.map { line in
            let latency = line.latency
            let cells =
                ["\(line.status)", Figures.grouped(Double(line.count)), Figures.grouped(line.perSecond)]
                + [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map { Figures.decimal($0, digits: 3) }
            return "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        return "<div class=\"wide\"><table><thead><tr>" + heads.map { "<th>\($0)</th>" }.joined() + "</tr></thead><tbody>"
            + rows.joined() + "</tbody></table></div>"
    }

    private var remarks: String {
        var texts: [String] = []
        if let intendedPerSecond {
            texts.append(
                """
                Open loop of \(Figures.grouped(intendedPerSecond)) requests a second: latency counts from the moment at which a \
                request should have been sent. Sent: \(sent), of those late: \(late); not sent for want of a connection: \(unsent).
                """)
        } else {
            texts.append("Closed loop: each of \(connections) clients waits for its answer.")
        }
        if unanswered > 0 { texts.append("Without an answer: \(unanswered).") }
        if ranOut { texts.append("The scenario ran out of requests before its time.") }
        texts.append(booksBalance == true ? "The books balance." : "The books were not checked.")
        return "<p>" + texts.map(escaped).joined(separator: "<br>") + "</p>"
    }

    private static let style = """
        :root { --paper: #fff; --ink: #1c2024; --soft: #5b6570; --grid: #e3e7eb; --card: #f5f7f9;
          --s0: #1666b0; --s1: #b35900; --s2: #b3261e; --s3: #7a3db8; --s4: #2a7d46; }
        @media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8ebee; --soft: #9aa5b0; --grid: #2c3238; --card: #1d2226;
          --s0: #6db3f2; --s1: #f0a04b; --s2: #ff8a80; --s3: #c69cf4; --s4: #74c98f; } }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 800px; margin: 0 auto; padding: 24px 20px 48px; }
        h1 { font-size: 1.6rem; margin: 0 0 16px; } h2 { font-size: 1.1rem; margin: 32px 0 8px; }
        figure { margin: 0; overflow-x: auto; } svg { width: 100%; min-width: 600px; height: auto; display: block; }
        .tiles { display: flex; flex-wrap: wrap; gap: 12px; }
        .tile { flex: 1 1 110px; background: var(--card); border-radius: 8px; padding: 10px 14px; color: var(--soft); font-size: .85rem; }
        .tile span { display: block; } .figure { color: var(--ink); font-size: 1.5rem; font-weight: 600; white-space: nowrap; }
        .figure small { font-size: .85rem; font-weight: 400; margin-left: 3px; color: var(--soft); }
        .grid { stroke: var(--grid); } .axis { stroke: var(--soft); }
        .tick { font: 12px system-ui, sans-serif; fill: var(--soft); } .axis-title { font: 12px system-ui, sans-serif; fill: var(--soft); }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .series-0 { stroke: var(--s0); } .series-1 { stroke: var(--s1); } .series-2 { stroke: var(--s2); }
        .series-3 { stroke: var(--s3); } .series-4 { stroke: var(--s4); }
        .wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
        th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
        th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
        p { color: var(--soft); font-size: .9rem; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; font-size: .9rem; margin: 0; }
        dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        """
}
