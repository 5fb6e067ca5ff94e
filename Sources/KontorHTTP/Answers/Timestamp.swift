// Moments as RFC 3339 writes them, without Foundation.

/// A moment in UTC.
struct Timestamp {
    private let milliseconds: Int64

    /// - Parameter milliseconds: since 1970.
    init(_ milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment with milliseconds: `2026-11-23T21:45:07.042Z`.
    var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the moment as ``text`` has it.
    func write(to bytes: inout [UInt8]) {
        let (days, ofDay) = Int(milliseconds).divided(by: 86_400_000)
        let date = CivilDate(daysSince1970: days)
        bytes.append(date.year, digits: 4)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(date.month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(date.day, digits: 2)
        bytes.append(UInt8(ascii: "T"))
        bytes.append(ofDay / 3_600_000, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(ofDay / 60_000 % 60, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(ofDay / 1_000 % 60, digits: 2)
        bytes.append(UInt8(ascii: "."))
        bytes.append(ofDay % 1_000, digits: 3)
        bytes.append(UInt8(ascii: "Z"))
    }
}
