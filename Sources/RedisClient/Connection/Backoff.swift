// Pauses between attempts: exponential with full jitter (https://aws.amazon.com/blogs/architecture/
// exponential-backoff-and-jitter/), so that many who failed together do not come back together.

/// How long to pause before an attempt.
struct RedisBackoff {
    let baseMilliseconds: Int64
    let capMilliseconds: Int64
    /// A number from 0 up to and including the one that it is given.
    let random: (Int64) -> Int64

    /// - Parameter attempts: Those that failed, at least one.
    func pauseMilliseconds(after attempts: Int) -> Int64 {
        let doublings = min(max(attempts - 1, 0), 20)
        return random(min(max(baseMilliseconds, 1) << doublings, max(capMilliseconds, 0)))
    }
}
