// The formats of records: which there are, and which a store is written in.

/// A format of records. A release reads all of them, and writes the one that its store says.
///
/// Over Redis old and new processes run side by side, so a store is written in the older format until `kontor upgrade
/// --finish` raises it. The embedded store belongs to one process, which writes the newest one.
public enum RecordFormat: UInt8, Comparable, Sendable, CaseIterable {
    /// What release 0.1 writes. Format 1 had no idempotency keys, no history of orders, and no begin of sagas; format 2
    /// had no grants, and no expiry of holds. They are read, and not written any more.
    case three = 3
    /// What release 0.2 adds: whether an account may have direct payments, the incarnation of the order that a direct
    /// payment is for, and when an order was created. In format 3 these are not known.
    case four = 4

    public static let newest = RecordFormat.four

    /// What records of the format begin with. Version 4 is that of the first stores in format 4, of which no release
    /// was made: it is read, and lacks when an order was created.
    var recordVersion: UInt8 { self == .four ? 5 : rawValue }

    public static func < (left: RecordFormat, right: RecordFormat) -> Bool { left.rawValue < right.rawValue }
}
