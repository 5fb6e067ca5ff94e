// The Gregorian calendar, without Foundation: what the Date header and RFC 3339 have in common.

/// A day of the Gregorian calendar.
struct CivilDate {
    let year: Int
    /// From 1.
    let month: Int
    /// From 1.
    let day: Int

    /// The date of a day, counted from 1 January 1970; days before it are negative.
    ///
    /// After Hinnant, "chrono-compatible low-level date algorithms": years begin in March here, so that a leap day is a
    /// year's last, and the calendar repeats every 400 years (an era, of 146,097 days).
    init(daysSince1970 days: Int) {
        let (era, dayOfEra) = (days + 719_468).divided(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}

extension Int {
    /// Divides and rounds down, so that the remainder is never negative.
    func divided(by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension [UInt8] {
    /// Appends a number, with zeros in front if it has fewer digits.
    mutating func append(_ number: Int, digits: Int) {
        if number < 0 { append(UInt8(ascii: "-")) }
        let number = number.magnitude
        var place: UInt = 1
        for _ in 1..<digits { place *= 10 }
        while number / place >= 10 { place *= 10 }
        while place > 0 {
            append(UInt8(ascii: "0") + UInt8(number / place % 10))
            place /= 10
        }
    }
}
