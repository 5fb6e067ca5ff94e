// The pauses between copies of a saga's messages.

extension Limits {
    /// The pause after a number of tries, milliseconds. It doubles up to its bound, and each saga adds up to a quarter
    /// of its own, so that many that began at once do not ask at once again.
    ///
    /// - Parameter incarnation: of the saga's order.
    static func resendPause(after tries: Int, incarnation: UInt64) -> Int64 {
        let pause = min(longestResendMilliseconds, resendMilliseconds << Int64(min(tries, 16) - 1))
        return pause + Int64((incarnation >> 8) & 0xFF) * pause / 1_024
    }
}
