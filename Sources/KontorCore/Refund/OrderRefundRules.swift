// The rules of refunds in an order's group. Begin takes the units off what can still be refunded and stores the refund,
// in one commit: so refunds of one order may run at once, and never give back more than was paid.

/// What a refund would do to an order.
public enum RefundPlan {
    /// The refund, and the order with its units marked.
    case refund(Refund, Order)
    case refused(OrderOutcome)
}

extension Order {
    /// Plans a refund of this order.
    ///
    /// If an item stands on several lines, the units that were added last are given back first, at their price: the
    /// units that ``OrderCommand/Operation/removeItem(_:)`` would take off first.
    ///
    /// - Parameters:
    ///   - id: the order's id.
    ///   - isSettling: whether a saga of the order is open: then its captures may still be on their way.
    public func plan(_ terms: RefundTerms, of id: Identifier, isSettling: Bool) -> RefundPlan {
        switch status {
        case .removed: return .refused(.isRemoved)
        case .checkingOut: return .refused(.isCheckingOut)
        case .paid where isSettling: return .refused(.isCheckingOut)
        case .open, .reserved: return .refused(.notPaid)
        case .paid: break
        }
        var order = self
        var taken: [OrderLine] = []
        for wanted in terms.lines ?? unrefunded {
            let before = taken.count
            guard order.take(wanted, to: &taken) else {
                let left = taken[before...].reduce(Amount.zero) { $0 + $1.units }
                return .refused(.exceedsRefundable(item: wanted.item, left: left))
            }
        }
        if taken.isEmpty { return .refused(.nothingToRefund) }
        guard Int(refunds) < Limits.orderRefunds else { return .refused(.overLimit(.refunds)) }
        guard let amount = Refund.amount(of: taken) else { return .refused(.overLimit(.cost)) }
        order.refunds += 1
        let refund = Refund(
            id: RefundID(order: id, incarnation: incarnation, number: UInt32(order.refunds)), user: user, lines: taken,
            amount: amount, restock: terms.restock, reason: terms.reason, begun: terms.now, driver: terms.driver)
        return .refund(refund, order)
    }

    /// The refunds of this incarnation, oldest first.
    fileprivate func refundIDs(of id: Identifier) -> [RefundID] {
        (0..<UInt32(refunds)).map { RefundID(order: id, incarnation: incarnation, number: $0 + 1) }
    }

    /// What is not refunded yet.
    private var unrefunded: [ItemUnits] {
        lines.reversed().filter { $0.units > $0.refunded }.map { ItemUnits(item: $0.item, units: $0.units - $0.refunded) }
    }

    /// Takes units that are not refunded yet. Returns false if there are not so many; what there is was taken then.
    private mutating func take(_ wanted: ItemUnits, to taken: inout [OrderLine]) -> Bool {
        var left = wanted.units
        for index in lines.indices.reversed() where lines[index].item == wanted.item && left > .zero {
            let units = min(left, lines[index].units - lines[index].refunded)
            if units <= .zero { continue }
            lines[index].refunded += units
            taken.append(OrderLine(item: wanted.item, units: units, price: lines[index].price))
            left -= units
        }
        return left <= .zero
    }
}

extension OrderRules {
    /// Whether ``furtherReads(of:head:)`` must be asked: about refunds, and for what an order with refunds must not
    /// lose.
    public static func mayReadFurther(_ command: OrderCommand) -> Bool {
        switch command.operation {
        case .readRefund, .readRefunds, .replace: true
        default: false
        }
    }

    public static func furtherReads(of command: OrderCommand, head: Record?) -> [Member] {
        if case .readRefund(let id) = command.operation { return [.refunded(id)] }
        guard case .order(let order)? = head, order.refunds > 0 else { return [] }
        let ids = order.refundIDs(of: command.order)
        switch command.operation {
        case .readRefunds: return ids.flatMap { [.refund($0), .refunded($0)] }
        case .replace: return ids.map { .refund($0) }
        default: return []
        }
    }

    /// Whether a refund of the order is open.
    static func hasOpenRefund(_ order: Order, _ draft: GroupDraft) -> Bool {
        order.refunds > 0
            && order.refundIDs(of: draft.key.id).contains { !draft.contains(.refund($0)) || draft.refund($0) != nil }
    }

    /// Begins a refund. From then on it succeeds, so what was asked for is done by this commit as far as keys go.
    static func beginRefund(_ terms: RefundTerms, on draft: inout GroupDraft) -> OrderOutcome {
        guard let order = draft.order else { return .unknownOrder }
        switch order.plan(terms, of: draft.key.id, isSettling: draft.saga != nil) {
        case .refused(let outcome): return outcome
        case .refund(let refund, let changed):
            draft.order = changed
            draft[.refund(refund.id)] = .refund(refund)
            return .refund(refund)
        }
    }

    /// Tells whether a refund is open.
    static func findRefund(_ id: RefundID, on draft: GroupDraft) -> OrderOutcome {
        draft.refund(id) == nil ? .refundOver : .refundOpen
    }

    static func readRefund(_ id: RefundID, on draft: GroupDraft) -> OrderOutcome {
        if let open = draft.refund(id) { return .refund(open) }
        if case .refund(let finished)? = draft[.refunded(id)] { return .refund(finished) }
        return .refundOver
    }

    static func readRefunds(on draft: GroupDraft) -> OrderOutcome {
        guard let order = draft.order else { return .unknownOrder }
        if order.status == .removed { return .isRemoved }
        return .refunds(
            order.refundIDs(of: draft.key.id).compactMap { id in
                if draft.contains(.refund(id)), let open = draft.refund(id) { return open }
                guard draft.contains(.refunded(id)), case .refund(let finished)? = draft[.refunded(id)] else { return nil }
                return finished
            })
    }

    /// Ends a refund whose credits were all acknowledged. Its record stays, and is no open work any more.
    ///
    /// - Parameter now: wall clock, milliseconds since 1970.
    static func finishRefund(_ id: RefundID, now: Int64, on draft: inout GroupDraft) -> OrderOutcome {
        guard var refund = draft.refund(id) else { return .refundOver }

        // From here on it succeeds.
        refund.finished = max(now, refund.begun)
        draft[.refund(id)] = nil
        draft[.refunded(id)] = .refund(refund)
        return .refund(refund)
    }
}

extension GroupDraft {
    /// An open refund of the order.
    func refund(_ id: RefundID) -> Refund? {
        if case .refund(let refund)? = self[.refund(id)] { refund } else { nil }
    }
}
