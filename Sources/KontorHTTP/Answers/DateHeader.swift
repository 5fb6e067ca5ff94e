// The value of the Date header (RFC 9110, 6.6.1), written once a second and without Foundation.

import Glibc

/// The date as bytes, always of the last second that anybody asked in.
struct DateHeader {
    private(set) var bytes: [UInt8] = []
    private var second: Int = .min

    /// Looks at the clock.
    ///
    /// - Returns: whether the date is another one than before.
    mutating func update() -> Bool {
        let now = time(nil)
        guard now != second else { return false }
        second = now
        bytes = Self.text(secondsSince1970: now)
        return true
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`: the IMF-fixdate of RFC 9110, 5.6.7.
    static func text(secondsSince1970 seconds: Int) -> [UInt8] {
        let days = Int((Double(seconds) / 86_400).rounded(.down))
        let rest = seconds - days * 86_400
        let (year, month, day) = civil(days)
        // The epoch was a Thursday.
        let weekday = ((days + 4) % 7 + 7) % 7
        var text: [UInt8] = []
        text.reserveCapacity(29)
        append(weekdays, weekday, &text)
        text.append(contentsOf: ", ".utf8)
        appendTwoDigits(day, &text)
        text.append(UInt8(ascii: " "))
        append(months, month - 1, &text)
        text.append(UInt8(ascii: " "))
        appendTwoDigits(year / 100, &text)
        appendTwoDigits(year % 100, &text)
        for (separator, value) in [(" ", rest / 3_600), (":", rest / 60 % 60), (":", rest % 60)] {
            text.append(contentsOf: separator.utf8)
            appendTwoDigits(value, &text)
        }
        text.append(contentsOf: " GMT".utf8)
        return text
    }

    private static let weekdays = "SunMonTueWedThuFriSat"
    private static let months = "JanFebMarAprMayJunJulAugSepOctNovDec"

    private static func append(_ names: String, _ index: Int, _ text: inout [UInt8]) {
        text.append(contentsOf: names.utf8.dropFirst(3 * index).prefix(3))
    }

    private static func appendTwoDigits(_ value: Int, _ text: inout [UInt8]) {
        text.append(UInt8(ascii: "0") + UInt8(value / 10))
        text.append(UInt8(ascii: "0") + UInt8(value % 10))
    }

    /// The Gregorian date of a day since 1970. Years begin in March here, so that a leap day is a year's last, and an era is
    /// 400 years.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
