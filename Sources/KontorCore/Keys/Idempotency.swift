// Idempotency keys: a client names a write, and the name is kept with the write's effect, so that a repetition has no
// second one. After draft-ietf-httpapi-idempotency-key-header-07.

/// A client's name for one write: 1 to 255 visible ASCII characters.
public struct IdempotencyKey: Hashable, Sendable, CustomStringConvertible {
    /// As the client sent it, without quotes.
    public let text: String

    /// - Returns: nil if `text` is empty, too long, or has a character that is not visible ASCII.
    public init?(_ text: String) {
        let utf8 = text.utf8
        guard !utf8.isEmpty, utf8.count <= Limits.idempotencyKeyBytes, utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        self.text = text
    }

    /// Whether the gateway set the key, for its own retries. Nobody needs such a key when these have ended.
    public var isOfGateway: Bool { text.utf8.starts(with: "gw-".utf8) }

    public var description: String { text }
}

/// What a keyed request asks to keep with its effect.
public struct KeyClaim: Hashable, Sendable {
    public let key: IdempotencyKey
    /// The request's canonical bytes. A replay is compared in all of them.
    public let request: [UInt8]
    /// The moment until which the key is kept: wall clock, milliseconds since 1970.
    public let expires: Int64

    public init(key: IdempotencyKey, request: [UInt8], expires: Int64) {
        self.key = key
        self.request = request
        self.expires = expires
    }
}

/// A key's record. It lies in the group that the write changed, and is committed with the change. It has no answer:
/// only a write with an effect leaves this record, and its answer follows from the request.
public struct KeptKey: Hashable, Sendable {
    /// The request's canonical bytes.
    public let request: [UInt8]
    /// The moment from which the record counts as absent: wall clock, milliseconds since 1970. The store removes it
    /// some time after.
    public let expires: Int64

    public init(request: [UInt8], expires: Int64) {
        self.request = request
        self.expires = expires
    }
}

/// A claim on a key, with all that is needed to decide on it.
public final class KeyedWrite: Sendable {
    public let claim: KeyClaim
    /// The present: wall clock, milliseconds since 1970.
    let now: Int64
    /// Whether another key may be kept. If not, a new command is not decided; a replay still gets its answer.
    public let hasRoom: Bool

    public init(_ claim: KeyClaim, now: Int64, hasRoom: Bool) {
        self.claim = claim
        self.now = now
        self.hasRoom = hasRoom
    }

    /// The verdict of the key's record on this request; nil: the key is free.
    public func verdict(on record: Record?) -> KeyVerdict? {
        guard case .key(let kept)? = record, kept.expires > now else { return nil }
        return kept.request == claim.request ? .replayed : .usedForAnother
    }
}

/// What the key of a command decides about it, before any rule does.
public enum KeyVerdict: Hashable, Sendable {
    /// The same request had its effect before: it gets the same answer again.
    case replayed
    /// Another request has used the key. Nothing was changed.
    case usedForAnother
    /// The key is free, but no more keys may be kept. Nothing was changed.
    case noRoom
    /// The key's first request still runs. This one changed nothing.
    case running
}

extension Rules {
    /// Decides a command under a key. The key is kept if the command has changed something and is complete.
    ///
    /// The key's member must be in the draft.
    public static func decide(_ command: Command, _ keyed: KeyedWrite, on draft: inout GroupDraft) -> Reply<Outcome> {
        let claim = keyed.claim
        if let verdict = keyed.verdict(on: draft[.key(claim.key)]) { return .keyed(verdict) }
        guard keyed.hasRoom else { return .keyed(.noRoom) }
        let writes = draft.writes
        let outcome = decide(command, on: &draft)
        if isComplete(outcome), draft.writes > writes { draft.keep(claim) }
        return .decided(outcome)
    }
}

extension GroupDraft {
    mutating func keep(_ claim: KeyClaim) {
        self[.key(claim.key)] = .key(KeptKey(request: claim.request, expires: claim.expires))
    }
}
