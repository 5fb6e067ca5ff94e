// Idempotency keys: a client names a write, and the name is kept with the write's effect, so that the same request,
// sent again, has no second one. After draft-ietf-httpapi-idempotency-key-header-07.

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

    /// Set by the gateway over its own retries, and of no use to anybody once these have ended.
    public var isOfGateway: Bool { text.utf8.starts(with: "gw-".utf8) }

    public var description: String { text }
}

/// What is kept once the write has had its effect.
public struct KeyClaim: Hashable, Sendable {
    public let key: IdempotencyKey
    /// The request in its canonical bytes: a replay is compared in every one of them.
    public let request: [UInt8]
    /// Wall clock, milliseconds since 1970: until when the key is kept.
    public let expires: Int64

    public init(key: IdempotencyKey, request: [UInt8], expires: Int64) {
        self.key = key
        self.request = request
        self.expires = expires
    }
}

/// A key's record. It lies in the group that the write changed, and is committed with the change. The answer itself
/// need not be kept: only a write with an effect leaves this record, and its answer follows from the request.
public struct KeptKey: Hashable, Sendable {
    /// The request in its canonical bytes.
    public let request: [UInt8]
    /// Wall clock, milliseconds since 1970. From then on the record counts as absent; the store removes it in its own
    /// time.
    public let expires: Int64

    public init(request: [UInt8], expires: Int64) {
        self.request = request
        self.expires = expires
    }
}

/// A key with what its decision needs to know.
public final class KeyedWrite: Sendable {
    public let claim: KeyClaim
    /// Wall clock, milliseconds since 1970.
    let now: Int64
    /// Whether another key may be kept. If not, the command is not decided, but a replay still gets its answer.
    public let hasRoom: Bool

    public init(_ claim: KeyClaim, now: Int64, hasRoom: Bool) {
        self.claim = claim
        self.now = now
        self.hasRoom = hasRoom
    }

    /// What the key's record says of this request; nil: the key is free.
    public func verdict(on record: Record?) -> KeyVerdict? {
        guard case .key(let kept)? = record, kept.expires > now else { return nil }
        return kept.request == claim.request ? .replayed : .usedForAnother
    }
}

/// What became of a command because of its key alone.
public enum KeyVerdict: Hashable, Sendable {
    /// The same request had its effect before: it gets the same answer again.
    case replayed
    /// Another request has used the key. Nothing was changed.
    case usedForAnother
    /// The key is free, and no other may be kept. Nothing was changed.
    case noRoom
    /// The key's first request still runs. Nothing was changed by this one.
    case running
}

extension Rules {
    /// Decides a command under a key. Only a command that changes something, and has come to its end, leaves its key.
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
