// The rules of a refund's credits in an account's group. A credit takes no hold: its marker alone keeps a copy of it
// from crediting again.

extension LedgerRules {
    /// Credits an account with its part of a refund. A duplicate is answered before anything else is checked.
    ///
    /// It is refused for no bound: the refund has begun. `Limits.lifetimeTotal` and `Limits.balance` are looked at
    /// before that, with room for what begins at once.
    static func refund(_ id: RefundID, _ amount: Amount, _ expiry: Int64, on draft: inout GroupDraft) -> LedgerOutcome {
        if var marker = draft.marker(id) {
            if marker.amount != amount { return .anomaly(.differentAmount) }
            // Copies with a later expiry are on their way.
            if marker.isForgotten, expiry > marker.expiry {
                marker.expiry = expiry
                draft[.refund(id)] = .marker(marker)
            }
            return .done
        }
        if let now = draft.now, CreditMarker.isUntimely(expiry, now: now) { return .anomaly(.untimelyRefund) }
        guard var account = draft.account else { return .unknownAccount }

        // From here on it succeeds.
        account.balance += amount
        account.refunded += amount
        account.openRefunds += 1
        draft.account = account
        draft[.refund(id)] = .marker(CreditMarker(amount: amount, expiry: expiry))
        return .done
    }

    /// Notes that a refund is over. Its marker goes: at once if no message can be late, else once each copy of the
    /// credit would be refused as untimely.
    static func forgetRefund(_ id: RefundID, _ expiry: Int64, on draft: inout GroupDraft) -> LedgerOutcome {
        guard var marker = draft.marker(id), !marker.isForgotten else { return .done }
        if var account = draft.account, account.openRefunds > 0 {
            account.openRefunds -= 1
            draft.account = account
        }
        if let now = draft.now {
            marker.isForgotten = true
            marker.expiry = max(marker.expiry, expiry, CreditMarker.latestExpiry(now: now))
            draft[.refund(id)] = .marker(marker)
        } else {
            draft[.refund(id)] = nil
        }
        return .done
    }
}

extension GroupDraft {
    /// The marker of a refund's credit.
    fileprivate func marker(_ id: RefundID) -> CreditMarker? {
        if case .marker(let marker)? = self[.refund(id)] { marker } else { nil }
    }
}
