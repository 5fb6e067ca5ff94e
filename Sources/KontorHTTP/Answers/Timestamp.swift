// Moments as RFC 3339 writes them, without Foundation.

/// A moment in UTC.
struct Timestamp {
    private let milliseconds: Int64

    /// - Parameter milliseconds: since 1970.
    init(_ milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment with milliseconds: `2026-11-23T21:45:07.042Z`.
    var text: String {
        let (days, ofDay) = Int(milliseconds).divided(by: 86_400_000)
        let date = CivilDate(daysSince1970: days)
        let clock = [ofDay / 3_600_000, ofDay / 60_000 % 60, ofDay / 1_000 % 60].map { Self.padded($0, 2) }
        return Self.padded(date.year, 4) + "-" + Self.padded(date.month, 2) + "-" + Self.padded(date.day, 2) + "T"
            + clock.joined(separator: ":") + "." + Self.padded(ofDay % 1_000, 3) + "Z"
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
