// A command with the keys that decide about it, before any rule does: the client's idempotency key, the gateway's name
// for the request, and the lease of a process.

/// The keys of one command.
public final class KeyedWrite: Sendable {
    /// The client's key; nil: there is none.
    public let claim: KeyClaim?
    /// The gateway's request; nil: no gateway sent it.
    public let request: KeyClaim?
    /// Whether the gateway's request is kept with the effect, where the client's key is not. A checkout needs no such
    /// record: its order is paid. What is reserved may have been given back since, and the other way round.
    let keepsRequest: Bool
    /// What the command does to a lease; nil: nothing.
    public let lease: LeaseStep?
    /// The moment from which the command is not decided any more: wall clock, milliseconds since 1970.
    public let latest: Int64
    /// Whether another key may be kept. If not, a new command is not decided; a replay still gets its answer.
    public let hasRoom: Bool
    /// What the audit trail says of the write; nil: nothing.
    public let trail: TrailEntry?

    public init(
        _ claim: KeyClaim?, request: KeyClaim? = nil, keepsRequest: Bool = true, lease: LeaseStep? = nil,
        latest: Int64 = .max, hasRoom: Bool = true, trail: TrailEntry? = nil
    ) {
        self.claim = claim
        self.request = request
        self.keepsRequest = keepsRequest
        self.lease = lease
        self.latest = latest
        self.hasRoom = hasRoom
        self.trail = trail
    }

    /// What is kept with the effect; nil: nothing. Who takes a lease has not done yet what it is for.
    public var kept: KeyClaim? {
        switch lease {
        case .take, .renew: nil
        case .end, nil: claim ?? (keepsRequest ? request : nil)
        }
    }

    /// Calls `body` with each member that the keys' verdict depends on.
    public func forEachMember(_ body: (Member) -> Void) {
        if let claim { body(.key(claim.key)) }
        if let request { body(.key(request.key)) }
        if let lease { body(.key(lease.lease.key)) }
    }

    /// The verdict on the command; nil: its rule decides.
    ///
    /// - Parameter now: wall clock, milliseconds since 1970.
    fileprivate func verdict(on draft: GroupDraft, now: Int64) -> KeyVerdict? {
        if now >= latest { return .late }
        if let request, let verdict = request.verdict(on: draft[.key(request.key)], now: now) { return verdict }
        if let claim, let verdict = claim.verdict(on: draft[.key(claim.key)], now: now) { return verdict }
        if !hasRoom { return .noRoom }
        if let lease, !lease.isPossible(on: draft[.key(lease.lease.key)], now: now) {
            return lease.lease.isForSame(as: draft[.key(lease.lease.key)]) ? .running : .leased
        }
        return nil
    }
}

extension Rules {
    /// Decides a command under its keys. They are kept if the command succeeds, even if it changes nothing: a
    /// repetition must get the same answer when things have changed. So is its entry of the audit trail.
    ///
    /// The keys' members must be in the draft.
    ///
    /// - Parameter now: wall clock, milliseconds since 1970, read after the records were.
    public static func decide(
        _ command: Command, _ keyed: KeyedWrite, now: Int64, on draft: inout GroupDraft
    ) -> Reply<Outcome> {
        if let verdict = keyed.verdict(on: draft, now: now) { return .keyed(verdict) }
        let outcome = decide(command, on: &draft)
        if isComplete(outcome, of: command) {
            if let kept = keyed.kept { draft.keep(kept, reference: reference(to: outcome)) }
            if let lease = keyed.lease { draft.take(lease) }
            if let trail = keyed.trail { draft.keep(trail) }
        }
        return .decided(outcome)
    }
}
