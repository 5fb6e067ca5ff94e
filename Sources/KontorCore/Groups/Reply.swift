// The reply to a command: its outcome, or the reason why it has none.

/// A reply to one command.
public enum Reply<Outcome: Hashable & Sendable>: Hashable, Sendable {
    case decided(Outcome)
    /// Its idempotency key kept it from being decided.
    case keyed(KeyVerdict)
    /// The store refused it: it had no effect and will have none.
    case refused(StoreError)
    /// The command may have had its effect, or may still have it. Repeat it: every command of a saga is idempotent.
    case unknown
}

/// Why a store does not take work.
public enum StoreError: Error, Hashable, Sendable {
    case diskFull
    /// The database has all the memory that it may use.
    case memoryFull
    /// It cannot be reached, or must not be used now; the text says why.
    case unreachable(String)
    /// A record is there and cannot be read: it is damaged, or of a newer format. The text names it.
    case unreadable(String)
}
