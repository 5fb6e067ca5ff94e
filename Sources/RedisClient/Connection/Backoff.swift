// Pauses between attempts: exponential with full jitter (https://aws.amazon.com/blogs/architecture/
// exponential-backoff-and-jitter/), so that many clients that failed together do not all come back together.

/// Says how long to pause before an attempt.
struct Backoff {
    let baseMilliseconds: Int64
    let capMilliseconds: Int64
    /// Draws a number from 0 up to and including its argument.
    let random: (Int64) -> Int64

    /// - Parameter attempts: How many have failed, at least one.
    func pauseMilliseconds(after attempts: Int) -> Int64 {
        let doublings = min(max(attempts - 1, 0), 20)
        return random(min(max(baseMilliseconds, 1) << doublings, max(capMilliseconds, 0)))
    }
}
