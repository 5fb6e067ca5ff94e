// The rules of reservations in an account's group. What is reserved is locked as by any hold, and counted apart: who
// wants it is refused at once, since nobody knows whether it will be free.

extension LedgerRules {
    /// Counts the amount of a lock as reserved: its saga has decided to reserve. A copy changes nothing; one with a
    /// later end extends the reservation.
    ///
    /// - Parameter until: the end of the reservation, milliseconds since 1970. It is a hint for those who are refused:
    ///   the order decides when it is over.
    static func reserve(
        _ saga: SagaID, _ amount: Amount, grant: UInt32, until: Int64, on draft: inout GroupDraft
    ) -> LedgerOutcome {
        guard var account = draft.account else { return .anomaly(.captureWithoutHold) }
        guard var hold = draft.hold(saga), hold.grant == grant else {
            // The reservation is over, and the message came late.
            return hasGone(grant, of: account, now: draft.now) ? .done : .anomaly(.captureWithoutHold)
        }
        if hold.state == .released { return .anomaly(.captureAfterRelease) }
        if hold.amount != amount { return .anomaly(.differentAmount) }
        if hold.state == .captured || until <= hold.reservedUntil { return .done }

        // From here on it succeeds.
        account.reserve(amount, until: until, isNew: hold.reservedUntil == 0)
        hold.reservedUntil = until
        draft.account = account
        draft.setHold(hold, of: saga)
        return .done
    }
}

extension Account {
    /// Counts a locked amount as reserved.
    ///
    /// - Parameters:
    ///   - until: milliseconds since 1970.
    ///   - isNew: whether it is not counted so yet.
    fileprivate mutating func reserve(_ amount: Amount, until: Int64, isNew: Bool) {
        let seconds = UInt32(clamping: until / 1_000)
        if isNew {
            held -= amount
            reservedUntil = reserved == .zero ? seconds : min(reservedUntil, seconds)
            reserved += amount
        } else if reserved == amount {
            reservedUntil = seconds
        }
    }

    /// Gives back what a hold has locked.
    mutating func unlock(_ hold: Hold) {
        if hold.reservedUntil == 0 {
            held -= hold.amount
        } else {
            reserved -= hold.amount
            if reserved == .zero { reservedUntil = 0 }
        }
    }
}
