// What a scraper reads.

import KontorMetrics

extension MetricsRegistry {
    /// The value of a series, by its name and labels as the page shows them; nil if it is not there.
    public func value(of series: String) -> Double? {
        var page = Exposition()
        write(into: &page)
        for line in page.text.split(separator: "\n") where line.hasPrefix(series + " ") {
            return Double(line.dropFirst(series.count + 1))
        }
        return nil
    }
}
