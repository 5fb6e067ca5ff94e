// Idempotency keys: a client names a write, and the name is kept with the write's effect, so that a repetition has no
// second one. After draft-ietf-httpapi-idempotency-key-header-07.

/// A client's name for one write: 1 to 255 visible ASCII characters.
public struct IdempotencyKey: Hashable, Sendable, CustomStringConvertible {
    /// As the client sent it, without quotes.
    public let text: String

    /// What the keys begin with that Kontor itself keeps: requests of the gateway, and leases. No client can use one.
    private static let reserved = "~kontor:"

    /// - Returns: nil if `text` is empty, too long, or has a character that is not visible ASCII.
    public init?(_ text: String) {
        let utf8 = text.utf8
        guard !utf8.isEmpty, utf8.count <= Limits.idempotencyKeyBytes, utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        self.text = text
    }

    /// Makes a key of Kontor's own; `name` must be short, and visible ASCII.
    init(reserved name: String) { text = Self.reserved + name }

    /// What a key begins with that stands for a known caller's. No client can send one.
    private static let ofCaller = "~caller:"

    /// Makes the key that is kept for a known caller's; `digest` is of the caller's name and of the key, in visible
    /// ASCII.
    public init(ofCaller digest: String) { text = Self.ofCaller + digest }

    /// Whether a client may send the key.
    public var isForClients: Bool { !isReserved && !text.utf8.starts(with: Self.ofCaller.utf8) }

    /// Whether the key is one of Kontor's own, and not a client's.
    public var isReserved: Bool { text.utf8.starts(with: Self.reserved.utf8) }

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
/// only a write that succeeded leaves this record, and its answer follows from the request, or from what the record
/// refers to.
///
/// A request of the gateway that was refused leaves a tombstone: a record whose request is empty.
public struct KeptKey: Hashable, Sendable {
    /// The request's canonical bytes.
    public let request: [UInt8]
    /// The moment from which the record counts as absent: wall clock, milliseconds since 1970. The store removes it
    /// some time after.
    public let expires: Int64
    /// Which record the write has made, where the request does not tell; empty: it does.
    public let reference: [UInt8]

    public init(request: [UInt8], expires: Int64, reference: [UInt8] = []) {
        self.request = request
        self.expires = expires
        self.reference = reference
    }
}

extension KeyClaim {
    /// The verdict of the key's record on this claim; nil: the key is free.
    ///
    /// - Parameter now: wall clock, milliseconds since 1970.
    public func verdict(on record: Record?, now: Int64) -> KeyVerdict? {
        guard case .key(let kept)? = record, kept.expires > now else { return nil }
        if kept.request == request { return .replayed }
        return kept.request.isEmpty ? .late : .usedForAnother
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
    /// Another process holds the lease that the request needs. Nothing was changed.
    case leased
    /// The request comes so late that nobody waits for it any more, or it was refused when the gateway sent it again.
    /// This copy of it changed nothing, and never will.
    case late
}

extension GroupDraft {
    mutating func keep(_ claim: KeyClaim, reference: [UInt8] = []) {
        self[.key(claim.key)] = .key(KeptKey(request: claim.request, expires: claim.expires, reference: reference))
    }
}
