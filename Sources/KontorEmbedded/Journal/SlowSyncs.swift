// When an operator is told that the disk is slow.

/// Counts syncs that take long, also while they still run, and says when to tell: at once, and then not too often.
struct SlowSyncs {
    /// The frame that is being synced.
    private var frame: UInt64?
    /// When its sync began; nil if there is none.
    private var began: Int64?
    private var isCounted = false
    /// Slow syncs that nobody was told of.
    private var untold = 0
    /// The longest of these, in milliseconds.
    private var longest: Int64 = 0
    private var mayTell: Int64 = .min

    /// To be called every few milliseconds.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - frame: the one that is on its way to the disk; nil if none is.
    /// - Returns: nil if there is nothing to tell; otherwise how many syncs were slow since the last time, and how many
    ///   milliseconds the longest has taken so far.
    mutating func tick(_ now: Int64, frame: UInt64?) -> (count: Int, milliseconds: Int64)? {
        if frame != self.frame {
            self.frame = frame
            began = frame == nil ? nil : now
            isCounted = false
        }
        if let began, now - began >= EmbeddedLimits.slowSyncMilliseconds {
            if !isCounted { untold += 1 }
            isCounted = true
            longest = max(longest, now - began)
        }
        guard untold > 0, now >= mayTell else { return nil }
        defer { (untold, longest, mayTell) = (0, 0, now + EmbeddedLimits.slowSyncReminderMilliseconds) }
        return (untold, longest)
    }
}
