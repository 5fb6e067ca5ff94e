// The order's rules: item changes, the exclusive lock of a checkout, and the compare-and-set of its decision.

/// Decides order commands. Guards come in order of precedence; below "from here on it succeeds" everything is written.
public enum OrderRules: Rules {
    public static func readSet(of command: OrderCommand) -> ReadSet {
        let group = GroupKey(.order, command.order)
        switch command.operation {
        case .findRefund(let id), .readRefund(let id), .finishRefund(let id, _): return ReadSet(group, .refund(id))
        case .readRefunds: return ReadSet(group)
        default: return ReadSet(group, .saga)
        }
    }

    public static func decide(_ command: OrderCommand, on draft: inout GroupDraft) -> OrderOutcome {
        if let owner = command.owner, draft.order?.user != owner {
            // Its tombstone is kept as that of an order that is not there.
            if case .refuseSaga = command.operation { return .done }
            return .unknownOrder
        }
        if let tags = command.tags, let order = draft.order, !tags.contains(order.tag) { return .changedSince }
        switch command.operation {
        case .read: return read(draft)
        case .inspect: return draft.order.map { .inspected($0, draft.saga) } ?? .unknownOrder
        case .create(let order): return create(order, on: &draft)
        case .replace(let order): return replace(with: order, on: &draft)
        case .addItem(let line): return addItem(line, on: &draft)
        case .setLines(let lines): return setLines(lines, on: &draft)
        case .removeItem(let item): return removeItem(item, on: &draft)
        case .remove: return remove(on: &draft)
        case .place(let order, let now, let deadline, let claim):
            let created = create(order, on: &draft)
            return created == .done ? begin(now: now, deadline: deadline, claim, on: &draft) : created
        case .begin(let now, let deadline, let claim):
            return begin(now: now, deadline: deadline, claim, on: &draft)
        case .reserve(let now, let deadline, let until, let claim):
            return reserve(now: now, deadline: deadline, until: until, claim, on: &draft)
        case .giveBack(let now, let deadline, let storesTime, let claim):
            return giveBack(now: now, deadline: deadline, storesTime: storesTime, claim, on: &draft)
        case .decide(let saga, let decision, let trace): return decide(decision, saga, trace, on: &draft)
        case .beginAgain(let saga, let trace): return beginAgain(saga, trace, on: &draft)
        case .finish(let saga, let trace): return finish(saga, trace, on: &draft)
        case .keepKey: return .done
        case .refuseSaga(let isCheckout):
            if let saga = draft.saga { return .running(saga) }
            return isCheckout && draft.order?.status == .paid && draft.order?.isRefunded == false ? .alreadyPaid : .done
        case .beginRefund(let terms): return beginRefund(terms, on: &draft)
        case .findRefund(let id): return findRefund(id, on: draft)
        case .readRefund(let id): return readRefund(id, on: draft)
        case .readRefunds: return readRefunds(on: draft)
        case .finishRefund(let id, let now): return finishRefund(id, now: now, on: &draft)
        }
    }

    /// A begin is only the first step of a write: its saga keeps the key when it commits, or has decided. If the order
    /// is paid already, the checkout succeeds at once. A refund that has begun succeeds for sure.
    public static func isComplete(_ outcome: OrderOutcome, of command: OrderCommand) -> Bool {
        switch (outcome, command.operation) {
        case (.done, _), (.alreadyPaid, .begin), (.refund, .beginRefund): true
        default: false
        }
    }

    /// Which refund it was.
    public static func reference(to outcome: OrderOutcome) -> [UInt8] {
        if case .refund(let refund) = outcome { refund.id.reference } else { [] }
    }

    /// A repeated step of a saga finds its own effect. A begin whose saga has ended since begins another checkout, as a
    /// client's repetition would.
    public static func isIdempotent(_ command: OrderCommand) -> Bool {
        switch command.operation {
        case .read, .inspect, .begin, .reserve, .giveBack, .decide, .beginAgain, .finish, .keepKey, .refuseSaga, .findRefund,
            .readRefund, .readRefunds, .finishRefund:
            return true
        case .create, .place, .replace, .addItem, .setLines, .removeItem, .remove, .beginRefund: return false
        }
    }
}

// MARK: Items

extension OrderRules {
    private static func read(_ draft: GroupDraft) -> OrderOutcome {
        guard let order = draft.order else { return .unknownOrder }
        return order.status == .removed ? .isRemoved : .order(order)
    }

    private static func create(_ order: Order, on draft: inout GroupDraft) -> OrderOutcome {
        if draft.order != nil { return .orderExists }
        draft.order = order
        draft.list(order.listEntry)
        return .done
    }

    private static func replace(with order: Order, on draft: inout GroupDraft) -> OrderOutcome {
        let old = draft.order
        if let old {
            if old.status == .checkingOut || draft.saga != nil { return .isCheckingOut }
            if hasOpenRefund(old, draft) { return .isCheckingOut }
            if old.status == .reserved, let reservation = old.reservation { return .isReserved(until: reservation.until) }
            if old.status == .paid { draft[.receipt(incarnation: old.incarnation)] = .order(old) }
        }
        draft.order = order
        draft.list(order.listEntry, insteadOf: old?.listEntry)
        return .done
    }

    private static func addItem(_ line: OrderLine, on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if let refusal = refusalOfChange(to: order) { return refusal }
        if let bound = order.add(line) { return .overLimit(bound) }

        // From here on it succeeds.
        draft.order = order
        return .done
    }

    private static func setLines(_ lines: [OrderLine], on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if let refusal = refusalOfChange(to: order) { return refusal }
        order.lines = []
        order.total = .zero
        for line in lines {
            if let bound = order.add(line) { return .overLimit(bound) }
        }

        // From here on it succeeds.
        draft.order = order
        return .done
    }

    private static func removeItem(_ item: Identifier, on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if let refusal = refusalOfChange(to: order) { return refusal }
        guard let index = order.lines.lastIndex(where: { $0.item == item }) else { return .unknownItem }

        // From here on it succeeds.
        order.total -= order.lines[index].price
        order.lines[index].units -= Amount(1)
        if order.lines[index].units == .zero { order.lines.remove(at: index) }
        draft.order = order
        return .done
    }

    private static func remove(on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if order.status == .removed { return .done }
        if let refusal = refusalOfChange(to: order) { return refusal }
        order.status = .removed
        draft.order = order
        return .done
    }

    private static func refusalOfChange(to order: Order) -> OrderOutcome? {
        switch order.status {
        case .open: return nil
        case .checkingOut: return .isCheckingOut
        case .paid: return .alreadyPaid
        case .removed: return .isRemoved
        case .reserved: return .isReserved(until: order.reservation?.until ?? 0)
        }
    }
}

// MARK: The saga's steps

extension OrderRules {
    private static func begin(
        now: Int64, deadline: Int64, _ claim: KeyClaim?, on draft: inout GroupDraft
    ) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        if order.status == .removed { return .isRemoved }
        // A paid order may have a saga, too: its captures may still be on their way, and a caller who is told "paid"
        // relies on them.
        if let saga = draft.saga { return .running(saga) }
        if order.status == .paid { return order.isRefunded ? .isRefunded : .alreadyPaid }
        if order.lines.isEmpty { return .isEmpty }
        // The last number is left for a second try in lock order.
        if order.attempt >= UInt32.max - 1 { return .overLimit(.attempts) }

        // From here on it succeeds.
        let found = order.status == .reserved ? order.reservation : nil
        let saga = order.beginSaga(
            of: draft.key.id, order.legs, .holdingTogether, begun: now, deadline: deadline, claim, found: found)
        draft.order = order
        draft.saga = saga
        return .begun(saga)
    }

    /// Stores the decision by compare-and-set: if several coordinators drive one saga, the first decision stands, and
    /// the others learn it.
    private static func decide(
        _ decision: Decision, _ id: SagaID, _ trace: SagaTrace, on draft: inout GroupDraft
    ) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        guard var saga = draft.saga, saga.id == id else { return .stale(order.status) }
        switch saga.phase {
        case .committed, .aborted, .retrying, .reserved: return .decided(saga)
        case .holdingTogether, .holdingInOrder: break
        }

        // From here on it succeeds.
        switch decision {
        case .commit:
            order.status = .paid
            saga.phase = .committed
            saga.grants = trace.legs.map(\.grant)
            if let found = saga.found {
                saga.grants.replaceSubrange(found.grants.indices, with: found.grants)
                draft[.due(found.until)] = nil
            }
            if let claim = saga.claim { draft.keep(claim) }
        case .reserve(let asked):
            // What it took to get the locks is not taken off the time for which they stand.
            let until = asked + Int64(trace.after)
            saga = saga.reserving(until: until)
            saga.phase = .reserved
            saga.grants = trace.legs.map(\.grant)
            draft.reserve(Reservation(attempt: id.attempt, until: until, grants: saga.grants), in: &order)
            if let claim = saga.claim { draft.keep(claim) }
        case .abort(let reason): saga.phase = .aborted(reason)
        case .retryInOrder: saga.phase = .retrying
        }
        order.history.decide(saga, saga.phase == .reserved ? saga.decision : decision, trace)
        draft.order = order
        draft.saga = saga
        return .decided(saga)
    }

    private static func beginAgain(_ id: SagaID, _ trace: SagaTrace, on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        guard let saga = draft.saga, saga.id == id, saga.phase == .retrying else {
            // This is a replay, or another coordinator was faster: the caller follows the saga that runs now.
            return draft.saga.map { .running($0) } ?? .stale(order.status)
        }

        if order.attempt == .max { return .stale(order.status) }

        // From here on it succeeds.
        order.history.end(id.attempt, trace)
        order.attempt += 1
        let now = saga.begun + Int64(trace.after)
        let next = SagaRecord(
            id: SagaID(order: id.order, incarnation: id.incarnation, attempt: order.attempt),
            legs: saga.legs, phase: .holdingInOrder, begun: now, deadline: saga.deadline, claim: saga.claim,
            found: saga.found, reservesUntil: saga.reservesUntil.map { $0 + Int64(trace.after) })
        draft.order = order
        draft.saga = next
        return .begun(next)
    }

    private static func finish(_ id: SagaID, _ trace: SagaTrace, on draft: inout GroupDraft) -> OrderOutcome {
        guard var order = draft.order else { return .unknownOrder }
        guard let saga = draft.saga, saga.id == id else { return .stale(order.status) }
        switch saga.phase {
        case .committed: break
        case .reserved: order.status = .reserved
        case .aborted(.reservationEnded):
            order.status = .open
            order.reservation = nil
        case .aborted: order.status = saga.found == nil ? .open : .reserved
        // Its decision was lost with the store's last commits. Whoever takes the saga over decides it again.
        case .holdingTogether, .holdingInOrder, .retrying: return .running(saga)
        }
        order.history.end(id.attempt, trace)
        draft.order = order
        draft.saga = nil
        return .done
    }
}
