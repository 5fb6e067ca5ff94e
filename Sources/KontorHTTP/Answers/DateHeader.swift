// The Date header (RFC 9110, 6.6.1), written once a second and without Foundation.

import Glibc

/// A Date header as bytes, with the end of its line. It is that of the last ``update()``.
struct DateHeader {
    /// Empty before the first update.
    private(set) var bytes: [UInt8] = []
    /// Seconds since 1970.
    private var second: Int = .min

    /// Looks at the clock, and writes the date anew if it is another second's.
    ///
    /// - Returns: whether the date is another one than before.
    mutating func update() -> Bool {
        let now = time(nil)
        guard now != second else { return false }
        second = now
        bytes = Array("date: ".utf8) + Self.text(secondsSince1970: now) + Array("\r\n".utf8)
        return true
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`: the IMF-fixdate of RFC 9110, 5.6.7.
    static func text(secondsSince1970 seconds: Int) -> [UInt8] {
        let (days, rest) = seconds.divided(by: 86_400)
        let date = CivilDate(daysSince1970: days)
        // The epoch was a Thursday.
        let weekday = (days + 4).divided(by: 7).remainder
        var text: [UInt8] = []
        text.reserveCapacity(29)
        append(weekdays, weekday, &text)
        text.append(contentsOf: ", ".utf8)
        text.append(date.day, digits: 2)
        text.append(UInt8(ascii: " "))
        append(months, date.month - 1, &text)
        text.append(UInt8(ascii: " "))
        text.append(date.year, digits: 4)
        for (separator, value) in [(" ", rest / 3_600), (":", rest / 60 % 60), (":", rest % 60)] {
            text.append(contentsOf: separator.utf8)
            text.append(value, digits: 2)
        }
        text.append(contentsOf: " GMT".utf8)
        return text
    }

    private static let weekdays = "SunMonTueWedThuFriSat"
    private static let months = "JanFebMarAprMayJunJulAugSepOctNovDec"

    private static func append(_ names: String, _ index: Int, _ text: inout [UInt8]) {
        text.append(contentsOf: names.utf8.dropFirst(3 * index).prefix(3))
    }
}
