// The audit trail: who changed something by right of his scopes, when, and what. An entry is committed with the effect
// that it tells of, in the group that changed.

/// Names an entry of the audit trail.
public struct TrailID: Hashable, Sendable {
    /// When the request was taken: wall clock, milliseconds since 1970.
    public let time: Int64
    /// A random number, which tells entries of one moment apart.
    public let number: UInt64

    public init(time: Int64, number: UInt64) {
        self.time = time
        self.number = number
    }
}

/// What an entry of the audit trail says. Which account or order it is about, its key says. It is an object because few
/// requests have one, and all would be larger.
public final class TrailNote: Hashable, Sendable {
    /// Who it was: the name of his tokens.
    public let principal: String
    /// From where he asked; empty: unknown.
    public let address: String
    /// The operation's name in the OpenAPI document.
    public let operation: String
    /// What the operation was given, by name, as it came.
    public let arguments: [Argument]
    /// Why, in his words; empty: he gave no reason.
    public let reason: String

    /// One thing that an operation was given.
    public struct Argument: Hashable, Sendable {
        public let name: String
        /// As it stood in the request.
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Makes a note; a text that is longer than `Limits.trailTextBytes` is cut.
    public init(principal: String, address: String, operation: String, arguments: [Argument], reason: String = "") {
        self.principal = Self.cut(principal)
        self.address = Self.cut(address)
        self.operation = Self.cut(operation)
        self.arguments = arguments.prefix(Limits.trailArguments).map {
            Argument(name: Self.cut($0.name), value: Self.cut($0.value))
        }
        self.reason = Self.cut(reason)
    }

    public static func == (one: TrailNote, other: TrailNote) -> Bool {
        one.texts == other.texts && one.arguments == other.arguments
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(texts)
        hasher.combine(arguments)
    }

    private var texts: [String] { [principal, address, operation, reason] }

    private static func cut(_ text: String) -> String {
        if text.utf8.count <= Limits.trailTextBytes { return text }
        return String(decoding: text.utf8.prefix(Limits.trailTextBytes), as: UTF8.self)
    }
}

/// An entry of the audit trail that is to be kept with a write.
public struct TrailEntry: Hashable, Sendable {
    public let id: TrailID
    public let note: TrailNote

    public init(id: TrailID, note: TrailNote) {
        self.id = id
        self.note = note
    }
}

/// An entry of the audit trail as a store gives it.
public struct FoundTrailEntry: Hashable, Sendable {
    /// What was changed. Of a `batch_init` it is a group that has no head, and its kind says what was made.
    public let group: GroupKey
    public let entry: TrailEntry

    public init(_ group: GroupKey, _ entry: TrailEntry) {
        self.group = group
        self.entry = entry
    }

    /// Whether what was changed is one record, and not all that a `batch_init` made.
    public var isOfOneRecord: Bool { group.id != .batchInit }

    init?(_ found: IndexEntry) {
        guard case .trail(let id) = found.key.member, case .trail(let note) = found.record else { return nil }
        self.init(found.key.group, TrailEntry(id: id, note: note))
    }
}

/// A part of the audit trail.
public struct TrailPart: Hashable, Sendable {
    /// The newest first.
    public let entries: [FoundTrailEntry]
    /// Behind which entry the next part begins; nil: there is none.
    public let next: TrailID?

    /// Makes a part; the meaning of the parameters is that of the properties.
    public init(entries: [FoundTrailEntry], next: TrailID?) {
        self.entries = entries
        self.next = next
    }

    /// Makes the part of what an index has.
    public init(_ found: IndexPart) {
        entries = found.entries.compactMap(FoundTrailEntry.init)
        next = if case .trail(let id)? = found.next?.member { id } else { nil }
    }
}

extension GroupDraft {
    /// Keeps an entry with what the draft changes.
    mutating func keep(_ entry: TrailEntry) { self[.trail(entry.id)] = .trail(entry.note) }
}
