// A reservation: the stock of an order that is held until a moment, and then bought or given back. Reserving, extending
// and giving back are sagas of the order, as its checkout is; between them nothing runs.

/// The stock that is held for an order. It is written when a saga decides to reserve, and stays with a paid order,
/// whose locks bear its number. An object, because few orders have one.
public final class Reservation: Hashable, Sendable {
    /// The attempt that took the locks: they bear its saga's name, whatever saga ends them.
    public let attempt: UInt32
    /// The moment from which it may be given back: milliseconds since 1970, by the clock of the order's store.
    public let until: Int64
    /// The grants of the locks, in lock order.
    public let grants: [UInt32]

    public init(attempt: UInt32, until: Int64, grants: [UInt32]) {
        self.attempt = attempt
        self.until = until
        self.grants = grants
    }

    /// The same locks, held for longer.
    func extended(to until: Int64) -> Reservation { Reservation(attempt: attempt, until: until, grants: grants) }

    public static func == (one: Reservation, other: Reservation) -> Bool {
        one === other || (one.attempt == other.attempt && one.until == other.until && one.grants == other.grants)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(attempt)
        hasher.combine(until)
        hasher.combine(grants)
    }
}

extension Order {
    /// Whether a saga of this order has taken the locks that the reservation of the order stands for.
    public func isReserved(by saga: SagaID) -> Bool {
        incarnation == saga.incarnation && reservation?.attempt == saga.attempt
    }

    /// The locks on stock that a checkout needs, in lock order: what a reservation holds.
    public var stockLegs: [Leg] { legs.dropLast() }
}

// MARK: Sagas of a reserved order

extension SagaRecord {
    /// The same, with another end of what it reserves.
    func reserving(until: Int64) -> SagaRecord {
        var saga = SagaRecord(
            id: id, legs: legs, phase: phase, begun: begun, deadline: deadline, claim: claim, found: found,
            reservesUntil: until)
        saga.grants = grants
        return saga
    }

    /// Whether the lock of a leg was there before the saga: that of the reservation.
    public func isFound(_ leg: Int) -> Bool { found != nil && legs[leg].account.kind == .item }

    /// The saga in whose name the lock of a leg stands.
    public func holder(ofLeg leg: Int) -> SagaID {
        guard let found, legs[leg].account.kind == .item else { return id }
        return SagaID(order: id.order, incarnation: id.incarnation, attempt: found.attempt)
    }

    /// The saga in whose name the lock of a leg stood that ended with an attempt: its marker may go. nil: it stands.
    ///
    /// - Parameter attempt: this saga, or the attempt that this one repeats in lock order.
    public func holder(ofLeg leg: Int, endedBy attempt: SagaID) -> SagaID? {
        if attempt != id { return isFound(leg) ? nil : attempt }
        return phase != .reserved && settles(leg) ? holder(ofLeg: leg) : nil
    }

    /// Whether the decision concerns a leg. An attempt to buy that fails lets the locks that it found stand: the
    /// reservation goes on.
    func settles(_ leg: Int) -> Bool {
        switch phase {
        case .committed, .reserved, .aborted(.reservationEnded): true
        case .holdingTogether, .holdingInOrder, .retrying, .aborted: !isFound(leg)
        }
    }
}
