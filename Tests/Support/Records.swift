// Records for tests of stores, to which it does not matter what is in them.

import KontorCore
import KontorService

/// An account that was filled once, and nothing was taken from it.
public func account(_ units: Int64) -> Record {
    var account = Account()
    account.balance = Amount(units)
    account.deposited = Amount(units)
    return .account(account)
}

/// A hold that is neither captured nor released.
public func hold(_ units: Int64) -> Record { .hold(Hold(amount: Amount(units), state: .held)) }

/// A direct payment that stands.
public func payment(_ units: Int64) -> Record {
    .payment(DirectPayment(amount: Amount(units), isCancelled: false, generation: 0, earlier: .zero))
}

extension GroupChange {
    /// A change that writes these records (nil: removes them), whatever else is in the group.
    public convenience init(
        group: GroupKey, expected: Version, writes: [(member: Member, record: Record?)], absent: [Member] = []
    ) {
        var draft = GroupDraft(group)
        for (member, record) in writes { draft[member] = record }
        self.init(expected: expected, draft: draft, absent: absent)
    }
}
