// What comes back for a command: an outcome, or the reason why there is none. Unknown is a case of its own.

/// A reply to one command.
public enum Reply<Outcome: Hashable & Sendable>: Hashable, Sendable {
    case decided(Outcome)
    /// Not decided, because of its idempotency key.
    case keyed(KeyVerdict)
    /// It had no effect and will have none.
    case refused(StoreError)
    /// It may have had its effect, or may still have it. Repeat it: every command of a saga is idempotent.
    case unknown
}

/// Why a store does not take work.
public enum StoreError: Error, Hashable, Sendable {
    case diskFull
    case unreachable(String)
}
