// Numbers as people read them. Without Foundation: the generator links as little as it can.

/// Numbers as text.
enum Figures {
    /// The number with this many decimals, rounded half away from zero; "-" if it is not finite.
    static func decimal(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return "-" }
        var unit = 1
        for _ in 0..<digits { unit *= 10 }
        let scaled = (value.magnitude * Double(unit)).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let whole = Int(scaled)
        let sign = value < 0 && whole > 0 ? "-" : ""
        if digits == 0 { return sign + String(whole) }
        let rest = String(whole % unit)
        return sign + "\(whole / unit)." + String(repeating: "0", count: digits - rest.count) + rest
    }

    /// A whole number with a comma before each three digits.
    static func grouped(_ value: Double) -> String {
        let digits = Array(decimal(value, digits: 0))
        var text = ""
        for (place, digit) in digits.enumerated() {
            let behind = digits.count - place
            if place > 0, behind % 3 == 0, digits[place - 1] != "-" { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// Milliseconds with three significant digits or so: 0.042, 1.25, 38.1, 412.
    static func milliseconds(_ value: Double) -> String {
        decimal(value, digits: value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0)
    }

    /// The label of a tick of an axis: without decimals that are zero.
    static func tick(_ value: Double) -> String {
        if value >= 1 || value == 0 { return value == value.rounded() ? grouped(value) : decimal(value, digits: 1) }
        return decimal(value, digits: value >= 0.1 ? 1 : value >= 0.01 ? 2 : 3)
    }
}
