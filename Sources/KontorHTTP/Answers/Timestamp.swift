// Moments as RFC 3339 writes them, without Foundation.

/// A moment in UTC.
struct Timestamp {
    let milliseconds: Int64

    /// - Parameter milliseconds: since 1970.
    init(_ milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Like `2026-11-23T21:45:07.042Z`.
    var text: String {
        let day = (milliseconds - Self.positiveRemainder(milliseconds, 86_400_000)) / 86_400_000
        let ofDay = Self.positiveRemainder(milliseconds, 86_400_000)
        let date = Self.date(ofDay: day)
        let clock = [ofDay / 3_600_000, ofDay / 60_000 % 60, ofDay / 1_000 % 60].map { Self.padded($0, 2) }
        return Self.padded(date.year, 4) + "-" + Self.padded(date.month, 2) + "-" + Self.padded(date.day, 2) + "T"
            + clock.joined(separator: ":") + "." + Self.padded(ofDay % 1_000, 3) + "Z"
    }

    /// The Gregorian date of a day since 1970: years are counted from March, so that the leap day is a year's last, and the
    /// calendar repeats every 400 years (146,097 days). After Hinnant, "chrono-compatible low-level date algorithms".
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let ofEra = positiveRemainder(shifted, 146_097)
        let era = (shifted - ofEra) / 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * ofYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    private static func positiveRemainder(_ value: Int64, _ divisor: Int64) -> Int64 {
        let remainder = value % divisor
        return remainder < 0 ? remainder + divisor : remainder
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
