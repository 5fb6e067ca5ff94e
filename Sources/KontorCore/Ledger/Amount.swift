// Amounts: exact integers, never floating point. Units of an item, or hundredths of the currency.

/// What a ledger counts: units of an item, or hundredths of the currency. Never negative in a valid record.
public struct Amount: Hashable, Comparable, Sendable {
    /// The number of units or hundredths.
    public var raw: Int64

    public init(_ raw: Int64) { self.raw = raw }

    public static let zero = Amount(0)

    public static func < (left: Amount, right: Amount) -> Bool { left.raw < right.raw }
    /// The sum; traps on overflow. Callers add only what `Limits` keeps far from it, or use ``sum(_:atMost:)``.
    public static func + (left: Amount, right: Amount) -> Amount { Amount(left.raw + right.raw) }
    public static func - (left: Amount, right: Amount) -> Amount { Amount(left.raw - right.raw) }
    public static func += (left: inout Amount, right: Amount) { left = left + right }
    public static func -= (left: inout Amount, right: Amount) { left = left - right }

    /// The sum, or nil if it exceeds `bound` or overflows.
    public func sum(_ other: Amount, atMost bound: Int64) -> Amount? {
        let (sum, overflow) = raw.addingReportingOverflow(other.raw)
        return overflow || sum > bound ? nil : Amount(sum)
    }

    /// This price times a number of units, or nil if that exceeds the money bound or overflows.
    public func times(_ units: Amount) -> Amount? {
        let (product, overflow) = raw.multipliedReportingOverflow(by: units.raw)
        return overflow || product > Limits.moneyHundredths ? nil : Amount(product)
    }
}

extension Amount {
    /// Reads a whole number of units, `1 ... 10^9`.
    public static func units(_ text: some StringProtocol) -> Amount? {
        guard let value = digits(text.utf8), value >= 1, value <= Limits.unitsPerRequest else { return nil }
        return Amount(value)
    }

    /// Reads money, `0 ... 10^11` with any number of fraction digits, rounded half to even to hundredths.
    public static func money(_ text: some StringProtocol) -> Amount? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let whole = digits(first), whole <= Limits.moneyHundredths / 100 else { return nil }
        var hundredths = whole * 100
        if parts.count == 2 {
            guard let fraction = fractionHundredths(parts[1]) else { return nil }
            hundredths += fraction
        }
        return hundredths <= Limits.moneyHundredths ? Amount(hundredths) : nil
    }

    /// How JSON shows money: `5`, `7.2`, `7.23`.
    public var moneyText: String {
        let fraction = raw % 100
        if fraction == 0 { return String(raw / 100) }
        if fraction % 10 == 0 { return "\(raw / 100).\(fraction / 10)" }
        return "\(raw / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    /// The amount of money with two digits behind the point: `5.00`, `-7.25`.
    public var twoDigits: String {
        let (whole, fraction) = raw.magnitude.quotientAndRemainder(dividingBy: 100)
        // Not interpolated, because each line of an answer has two of these.
        return (raw < 0 ? "-" : "") + String(whole) + (fraction < 10 ? ".0" : ".") + String(fraction)
    }

    private static func digits(_ text: some Collection<UInt8>) -> Int64? {
        guard !text.isEmpty, text.count <= 18 else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    private static func fractionHundredths(_ text: some Collection<UInt8>) -> Int64? {
        guard !text.isEmpty, text.count <= Limits.moneyFractionDigits else { return nil }
        var hundredths: Int64 = 0
        var firstDropped: UInt8 = 0
        var isTailZero = true
        for (position, byte) in text.enumerated() {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let digit = byte - UInt8(ascii: "0")
            switch position {
            case 0: hundredths = Int64(digit) * 10
            case 1: hundredths += Int64(digit)
            case 2: firstDropped = digit
            default: isTailZero = isTailZero && digit == 0
            }
        }
        let isTie = firstDropped == 5 && isTailZero
        let roundsUp = isTie ? hundredths % 2 == 1 : firstDropped >= 5
        return hundredths + (roundsUp ? 1 : 0)
    }
}
