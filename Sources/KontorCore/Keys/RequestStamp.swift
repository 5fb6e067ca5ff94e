// What a gateway says of a write. It may send the write a second time, to another process, while the first copy of it
// waits somewhere and is still to be executed.

/// Names one write of a gateway, in all copies of it.
public struct RequestStamp: Hashable, Sendable {
    /// A key of Kontor's own: the same for all copies.
    public let id: IdempotencyKey
    /// When the gateway sent the first copy: its wall clock, milliseconds since 1970.
    public let sent: Int64
    /// Whether another copy was sent before this one.
    public let isRepeated: Bool

    /// - Parameter request: 32 hexadecimal digits in lower case.
    /// - Returns: nil if `request` is anything else, or `sent` is before 1970 or so late that no clock tells what
    ///   follows from it.
    public init?(request: String, sent: Int64, isRepeated: Bool) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let letters = UInt8(ascii: "a")...UInt8(ascii: "f")
        guard request.utf8.count == 32, request.utf8.allSatisfy({ digits.contains($0) || letters.contains($0) }),
            sent >= 0, sent < Limits.latestTime - Limits.lateWriteMilliseconds - Limits.clockSkewMilliseconds
        else { return nil }
        id = IdempotencyKey(reserved: "request:" + request)
        self.sent = sent
        self.isRepeated = isRepeated
    }

    /// The moment from which no copy is decided, by the clock of whoever decides.
    public var latest: Int64 { sent + Limits.lateWriteMilliseconds }

    /// The end of what is kept under the id. At that time every process finds every copy too late, and so does the
    /// store, which removes the record by its own clock.
    public var expires: Int64 { latest + Limits.clockSkewMilliseconds }
}
