// The store as a pure rule sees it: the few records of one group that its command reads.

/// Records that are committed together: an account with its holds and payments, or an order with its saga.
public struct GroupKey: Hashable, Sendable, CustomStringConvertible {
    /// What the group's head is.
    public enum Kind: UInt8, Sendable, CaseIterable {
        case item = 1
        case user = 2
        case order = 3
    }

    public let kind: Kind
    public let id: Identifier

    public init(_ kind: Kind, _ id: Identifier) {
        self.kind = kind
        self.id = id
    }

    public var description: String { "\(kind) \(id)" }
}

/// A record's place in its group.
public enum Member: Hashable, Sendable {
    /// The account or the order itself.
    case head
    /// An order's running checkout.
    case saga
    /// A saga's lock on an account.
    case hold(SagaID)
    /// A user's direct payment for an order.
    case payment(order: Identifier)
    /// A client's idempotency key, kept with the effect of its write, or a key of Kontor's own: a request of the
    /// gateway, or a lease. No other member expires.
    case key(IdempotencyKey)
    /// A paid order that `batch_init` replaced, by its incarnation: kept so that the books still balance.
    case receipt(incarnation: UInt64)
    /// An entry of the audit trail. No rule reads it, and nothing changes it.
    case trail(TrailID)
    /// In its order's group an open refund, in an account's group the marker of its credit.
    indirect case refund(RefundID)
    /// A finished refund of an order.
    indirect case refunded(RefundID)
    /// An entry of the lists: the group has one as long as it has a head.
    indirect case listed(ListEntry)
    /// When an order's reservation is over: milliseconds since 1970. By it those are found that are due.
    case due(Int64)

    /// Whether the record is work in progress. Such records are few; a scan finds them after a crash.
    public var isOpenWork: Bool {
        switch self {
        case .saga, .hold, .refund: return true
        case .head, .payment, .receipt, .key, .trail, .refunded, .listed, .due: return false
        }
    }

    /// Whether the member's record has an expiry, after which the store may remove it at any time.
    public var isExpiring: Bool {
        if case .key = self { true } else { false }
    }

    /// Whether the member is there only to be found in an index (``IndexRange``). No rule reads it.
    public var isIndexed: Bool {
        switch self {
        case .trail, .listed, .due: return true
        case .head, .saga, .hold, .payment, .receipt, .key, .refund, .refunded: return false
        }
    }
}

/// The full name of a record.
public struct RecordKey: Hashable, Sendable {
    public let group: GroupKey
    public let member: Member

    public init(_ group: GroupKey, _ member: Member) {
        self.group = group
        self.member = member
    }
}

/// A stored value. Stores keep it and give it back; only the rules look inside.
public enum Record: Hashable, Sendable {
    case account(Account)
    case hold(Hold)
    case payment(DirectPayment)
    case order(Order)
    /// Indirect, because it is by far the largest case: without it each copy of a record would have its size.
    indirect case saga(SagaRecord)
    case key(KeptKey)
    case trail(TrailNote)
    indirect case refund(Refund)
    case marker(CreditMarker)
    /// An entry of the lists, or of what is due: its key says all.
    case listed
}

extension Record {
    /// Whether the record locks its group: a saga does, a hold that is neither captured nor released, and a refund that
    /// is not over, in the groups of its order and of the accounts that it has credited.
    public var isLock: Bool {
        switch self {
        case .saga: return true
        case .hold(let hold): return hold.state == .held
        case .refund(let refund): return refund.finished == nil
        case .marker(let marker): return !marker.isForgotten
        case .account, .payment, .order, .key, .trail, .listed: return false
        }
    }

    /// The moment from which a store may remove the record by itself: wall clock, milliseconds since 1970. nil: only
    /// the rules remove it.
    public var removableFrom: Int64? {
        switch self {
        case .key(let kept): return kept.expires
        case .hold(let hold) where hold.state != .held && hold.expiry != 0:
            return hold.expiry + Limits.markerMilliseconds
        case .marker(let marker) where marker.isForgotten: return marker.expiry + Limits.markerMilliseconds
        case .hold, .saga, .account, .payment, .order, .trail, .refund, .marker, .listed: return nil
        }
    }
}

/// What one load reads of a group: its head and at most one more member.
public struct ReadSet: Hashable, Sendable {
    public let group: GroupKey
    /// nil: the head is all that the command reads.
    public let member: Member?

    public init(_ group: GroupKey, _ member: Member? = nil) {
        self.group = group
        self.member = member
    }
}

/// Pure decisions over one group at a time.
public protocol Rules {
    associatedtype Command: Sendable
    associatedtype Outcome: Hashable & Sendable

    /// The records that the command reads. It may write them, and new members of the same group.
    static func readSet(of command: Command) -> ReadSet
    /// Whether ``furtherReads(of:head:)`` must be asked once the head is loaded.
    static func mayReadFurther(_ command: Command) -> Bool
    /// The members that the command reads besides, which may depend on the group's head; nearly always none. It may
    /// write them, too.
    static func furtherReads(of command: Command, head: Record?) -> [Member]
    /// Decides the command and writes its effect into the draft; it has no other effect.
    static func decide(_ command: Command, on draft: inout GroupDraft) -> Outcome
    /// Whether a write with this outcome is complete and successful. Then its idempotency key is kept.
    static func isComplete(_ outcome: Outcome, of command: Command) -> Bool
    /// What the key of a complete write refers to: which record it has made, where the request does not tell.
    static func reference(to outcome: Outcome) -> [UInt8]
    /// Whether a command may be decided again when it is unknown whether it had its effect.
    static func isIdempotent(_ command: Command) -> Bool
    /// The name of a command that its sender repeats until it is answered; nil: it comes once.
    static func name(of command: Command) -> RepeatedName?
}

extension Rules {
    public static func name(of command: Command) -> RepeatedName? { nil }
    public static func reference(to outcome: Outcome) -> [UInt8] { [] }
}

/// What all copies of one repeated command have in common: a step of one leg of one saga, or a credit of one refund.
public struct RepeatedName: Hashable, Sendable {
    let group: GroupKey
    let incarnation: UInt64
    let attempt: UInt32
    let step: UInt8
}

extension Rules {
    public static func mayReadFurther(_ command: Command) -> Bool { false }
    public static func furtherReads(of command: Command, head: Record?) -> [Member] { [] }
}

/// The records of one group while commands are decided on them. The draft remembers which records changed.
///
/// Nearly every command reads a head and one member, so the draft stores these two inline, without an allocation.
public struct GroupDraft: Sendable {
    private struct Slot: Sendable {
        let member: Member
        var record: Record?
        var isChanged: Bool
    }

    public let key: GroupKey
    /// The time at which commands are decided: wall clock, milliseconds since 1970, read after the records were.
    /// Messages that have expired by then are refused. nil: all messages come from this process, and none is late.
    public let now: Int64?
    /// Whether any record must be written.
    public private(set) var hasChanges = false
    // The first two are kept by field: a look at an optional slot would copy its record.
    private var head: Record?
    /// Whether the head was loaded or written.
    private var hasHead = false
    private var isHeadChanged = false
    /// nil: there is no second member.
    private var second: Member?
    private var secondRecord: Record?
    private var isSecondChanged = false
    private var more: [Slot] = []

    public init(_ key: GroupKey, now: Int64? = nil) {
        self.key = key
        self.now = now
    }

    /// Makes a draft with the head as the store has it; nil: there is none.
    public init(_ key: GroupKey, head: Record?, now: Int64? = nil) {
        // Not by the other initializer: its draft would be copied.
        self.key = key
        self.now = now
        self.head = head
        hasHead = true
    }

    /// Adds a record as the store has it (nil: there is none). A member that the draft has already keeps its record.
    public mutating func add(_ member: Member, _ record: Record?) {
        if !contains(member) { append(member, record, isChanged: false) }
    }

    /// Whether the member was loaded or written.
    public func contains(_ member: Member) -> Bool {
        if case .head = member { return hasHead }
        return isSecond(member) || more.contains { $0.member == member }
    }

    /// Whether the member's record must be written.
    public func isChanged(_ member: Member) -> Bool {
        if case .head = member { return isHeadChanged }
        if isSecond(member) { return isSecondChanged }
        return more.contains { $0.member == member && $0.isChanged }
    }

    /// Calls `body` with each record that must be written; nil: the record is removed.
    public func forEachChange(_ body: (Member, Record?) -> Void) {
        if isHeadChanged { body(.head, head) }
        if isSecondChanged, let second { body(second, secondRecord) }
        for slot in more where slot.isChanged { body(slot.member, slot.record) }
    }

    /// The member's record; nil: there is none. Reading a member that was not loaded is a bug, and traps; writing it is
    /// allowed.
    public subscript(member: Member) -> Record? {
        get {
            if case .head = member {
                if hasHead { return head }
            } else {
                if isSecond(member) { return secondRecord }
                for slot in more where slot.member == member { return slot.record }
            }
            preconditionFailure("A rule read a record that its command did not declare in readSet(of:).")
        }
        set {
            hasChanges = true
            if case .head = member {
                (hasHead, isHeadChanged) = (true, true)
                head = newValue
            } else if isSecond(member) {
                isSecondChanged = true
                secondRecord = newValue
            } else if let index = more.firstIndex(where: { $0.member == member }) {
                more[index].record = newValue
                more[index].isChanged = true
            } else {
                append(member, newValue, isChanged: true)
            }
        }
    }

    private func isSecond(_ member: Member) -> Bool {
        // Two optionals would be compared as copies.
        if let second { second == member } else { false }
    }

    private mutating func append(_ member: Member, _ record: Record?, isChanged: Bool) {
        if case .head = member {
            (hasHead, isHeadChanged) = (true, isChanged)
            head = record
        } else if second == nil {
            second = member
            isSecondChanged = isChanged
            secondRecord = record
        } else {
            more.append(Slot(member: member, record: record, isChanged: isChanged))
        }
    }
}

extension GroupDraft {
    /// Marks the group as changed, and leaves its head as it is.
    public mutating func rewriteHead() { self[.head] = self[.head] }

    var account: Account? {
        get { if case .account(let account)? = self[.head] { account } else { nil } }
        set { self[.head] = newValue.map { .account($0) } }
    }

    var order: Order? {
        get { if case .order(let order)? = self[.head] { order } else { nil } }
        set { self[.head] = newValue.map { .order($0) } }
    }

    var saga: SagaRecord? {
        get { if case .saga(let saga)? = self[.saga] { saga } else { nil } }
        set { self[.saga] = newValue.map { .saga($0) } }
    }

    func hold(_ saga: SagaID) -> Hold? {
        if case .hold(let hold)? = self[.hold(saga)] { hold } else { nil }
    }

    mutating func setHold(_ hold: Hold?, of saga: SagaID) {
        self[.hold(saga)] = hold.map { .hold($0) }
    }

    func payment(for order: Identifier) -> DirectPayment? {
        if case .payment(let payment)? = self[.payment(order: order)] { payment } else { nil }
    }

    mutating func setPayment(_ payment: DirectPayment, for order: Identifier) {
        self[.payment(order: order)] = .payment(payment)
    }
}
