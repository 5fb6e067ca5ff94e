// Lists of orders, items and users, page by page. Many can be asked for at once, and each reads a lot, so some are read
// and the others wait.

import DequeModule
import KontorCore

/// An order in a list.
public struct ListedOrder: Hashable, Sendable {
    public let id: Identifier
    public let order: Order

    public init(id: Identifier, order: Order) {
        self.id = id
        self.order = order
    }
}

/// An item or user in a list.
public struct ListedAccount: Hashable, Sendable {
    public let id: Identifier
    public let account: Account

    public init(id: Identifier, account: Account) {
        self.id = id
        self.account = account
    }
}

/// Reads pages of lists, `Limits.listsAtOnce` at a time.
final class Lists {
    private struct Waiting {
        let page: ListPage
        /// Monotonic milliseconds.
        let deadline: Int64
        let answer: (ShopAnswer) -> Void
    }

    private let parts: ShopParts
    /// The pages that are not begun, in the order in which they were asked for. Each has a caller who waits.
    private var waiting = Deque<Waiting>()
    private var running = 0

    init(_ parts: ShopParts) { self.parts = parts }

    /// - Parameter deadline: monotonic milliseconds.
    func list(_ page: ListPage, _ deadline: Int64, answer: @escaping (ShopAnswer) -> Void) {
        waiting.append(Waiting(page: page, deadline: deadline, answer: answer))
        beginNext()
    }

    private func beginNext() {
        while running < Limits.listsAtOnce, let next = waiting.popFirst() {
            running += 1
            ListRead(next.page, parts, deadline: next.deadline) { [self] answer in
                running -= 1
                next.answer(answer)
                parts.agenda.add { self.beginNext() }
            }.begin()
        }
    }
}
