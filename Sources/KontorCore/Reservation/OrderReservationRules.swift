// The rules of reservations in an order's group. Whether a reservation is bought, extended or given back is decided by
// a compare-and-set on the order: the first saga that begins or decides wins.

extension OrderRules {
    /// Begins the saga that reserves an order's stock; for a reserved order one that extends the reservation, which is
    /// decided thereby: its locks are there.
    ///
    /// - Parameters:
    ///   - now: wall clock of the process, as `deadline`: milliseconds since 1970.
    ///   - until: the end of the reservation by the clock of the order's store. One that ends later is not shortened.
    static func reserve(
        now: Int64, deadline: Int64, until: Int64, _ claim: KeyClaim?, on draft: inout GroupDraft
    ) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if order.status == .removed { return .isRemoved }
        if let saga = draft.saga { return .running(saga) }
        if order.status == .paid { return order.isRefunded ? .isRefunded : .alreadyPaid }
        if order.lines.isEmpty { return .isEmpty }
        if order.attempt >= UInt32.max - 1 { return .overLimit(.attempts) }

        // From here on it succeeds.
        guard order.status == .reserved, let found = order.reservation else {
            let saga = order.beginSaga(
                of: draft.key.id, order.stockLegs, .holdingTogether, begun: now, deadline: deadline, claim,
                reservesUntil: until)
            draft.order = order
            draft.saga = saga
            return .begun(saga)
        }
        let later = max(until, found.until)
        var saga = order.beginSaga(
            of: draft.key.id, order.stockLegs, .reserved, begun: now, deadline: deadline, claim, found: found,
            reservesUntil: later)
        saga.grants = found.grants
        draft.reserve(found.extended(to: later), in: &order)
        order.history.decide(saga, .reserve(until: later), .found(saga.legs.count))
        if let claim { draft.keep(claim) }
        draft.order = order
        draft.saga = saga
        return .begun(saga)
    }

    /// Begins the saga that gives a reservation back, which is decided thereby. An order that is not reserved has
    /// nothing to give back: that succeeds.
    ///
    /// - Parameters:
    ///   - now: wall clock of the process, as `deadline`: milliseconds since 1970.
    ///   - storesTime: the time by the clock of the order's store, if the reservation is given back because its end
    ///     has come: then one that stands for longer stays. nil: whoever asks wants it back.
    static func giveBack(
        now: Int64, deadline: Int64, storesTime: Int64?, _ claim: KeyClaim?, on draft: inout GroupDraft
    ) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if order.status == .removed { return .isRemoved }
        if let saga = draft.saga { return .running(saga) }
        if order.status == .paid { return .alreadyPaid }
        guard order.status == .reserved, let found = order.reservation else { return .done }
        if let storesTime, found.until > storesTime { return .isReserved(until: found.until) }
        if order.attempt >= UInt32.max - 1 { return .overLimit(.attempts) }

        // From here on it succeeds.
        var saga = order.beginSaga(
            of: draft.key.id, order.stockLegs, .aborted(.reservationEnded(isExpired: storesTime != nil)), begun: now,
            deadline: deadline, claim, found: found)
        saga.grants = found.grants
        draft[.due(found.until)] = nil
        order.history.decide(saga, .abort(.reservationEnded(isExpired: storesTime != nil)), .found(saga.legs.count))
        if let claim { draft.keep(claim) }
        draft.order = order
        draft.saga = saga
        return .begun(saga)
    }
}

extension Order {
    /// Locks the order for a new saga of it.
    mutating func beginSaga(
        of id: Identifier, _ legs: [Leg], _ phase: SagaRecord.Phase, begun: Int64, deadline: Int64, _ claim: KeyClaim?,
        found: Reservation? = nil, reservesUntil: Int64? = nil
    ) -> SagaRecord {
        attempt += 1
        status = .checkingOut
        return SagaRecord(
            id: SagaID(order: id, incarnation: incarnation, attempt: attempt), legs: legs, phase: phase, begun: begun,
            deadline: deadline, claim: claim, found: found, reservesUntil: reservesUntil)
    }
}

extension GroupDraft {
    /// Notes a reservation in its order, and when it is over in the index by which that is found.
    mutating func reserve(_ reservation: Reservation, in order: inout Order) {
        if let old = order.reservation, old.until != reservation.until { self[.due(old.until)] = nil }
        self[.due(reservation.until)] = .listed
        order.reservation = reservation
    }
}

extension SagaTrace {
    /// The trace of a saga whose locks were all there when it began.
    static func found(_ legs: Int) -> SagaTrace {
        var trace = LegTrace()
        trace.hold = .held
        return SagaTrace(after: 0, legs: Array(repeating: trace, count: legs))
    }
}
