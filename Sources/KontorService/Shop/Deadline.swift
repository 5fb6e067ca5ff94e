// The end of waiting: a little before the caller's deadline, so that the refusal still arrives.

import KontorCore

enum Deadline {
    /// The end of waiting for a caller whose deadline is `deadline`; both are monotonic milliseconds.
    static func ofWaiting(callersDeadline deadline: Int64, now: Int64) -> Int64 {
        deadline - min(Limits.deadlineMarginMilliseconds, max(0, deadline - now) / 4)
    }
}
