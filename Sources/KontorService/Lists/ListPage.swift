// One page of a list: what it is of, what it shows, and what has been found for it. Knows no store.

import KontorCore

/// A page of a list while it is filled.
struct ListPage {
    /// What is listed.
    enum Content: Hashable {
        case orders(of: Identifier?, in: OrderState?)
        case accounts(GroupKey.Kind)
    }

    let content: Content
    /// Behind which place it goes on.
    private(set) var cursor: ListCursor?
    private let bound: Int
    private var orders: [ListedOrder] = []
    private var accounts: [ListedAccount] = []
    private var lines = 0

    init(_ content: Content, behind cursor: ListCursor?, atMost bound: Int) {
        self.content = content
        self.cursor = cursor
        self.bound = min(max(1, bound), Limits.listPage)
    }

    /// How many more it may show.
    var room: Int { lines >= Limits.listLines ? 0 : bound - orders.count - accounts.count }

    /// What is listed, behind the cursor.
    var range: IndexRange {
        switch content {
        case .orders(let user?, _): .orders(of: user, behind: cursor)
        case .orders(nil, _): .list(of: .order, behind: cursor)
        case .accounts(let kind): .list(of: kind, behind: cursor)
        }
    }

    /// How many entries of the range are looked at next: if only some of them are shown, as many as possible.
    var share: Int {
        content.state == nil ? room : Limits.listPage
    }

    /// Whether orders in this state have open work, by which they are found: others are looked for among all.
    var isOfOpenWork: Bool { content.state == .checkingOut }

    /// Whether an order is of the user and in the state that are listed.
    func shows(_ order: Order) -> Bool {
        guard case .orders(let user, let state) = content else { return false }
        return (user ?? order.user) == order.user && (state ?? order.state) == order.state
    }

    /// Shows what an entry names, if it is to be shown, and goes on behind it.
    ///
    /// - Parameter head: the record of what it names. If that is not where the entry says, another order has taken its
    ///   place, which has an entry of its own.
    mutating func take(_ group: GroupKey, listedAs entry: ListEntry, _ head: Record?) {
        cursor = ListCursor(group, entry)
        guard let head, head.listEntry == entry else { return }
        switch head {
        case .order(let order) where shows(order):
            orders.append(ListedOrder(id: group.id, order: order))
            lines += order.lines.count
        case .account(let account): accounts.append(ListedAccount(id: group.id, account: account))
        default: break
        }
    }

    /// Goes on behind the key of an entry.
    mutating func pass(_ key: RecordKey) {
        if case .listed(let entry) = key.member { cursor = ListCursor(key.group, entry) }
    }

    /// The page as it is now.
    ///
    /// - Parameter isAtEnd: whether there is nothing behind it.
    func answer(isAtEnd: Bool) -> ShopAnswer {
        let next = isAtEnd ? nil : cursor
        switch content {
        case .orders: return .listedOrders(orders, next: next)
        case .accounts: return .listedAccounts(accounts, next: next)
        }
    }
}

extension ListPage.Content {
    fileprivate var state: OrderState? { if case .orders(_, let state) = self { state } else { nil } }
}
