// Gives reservations back that are over. Nothing in memory says when: they are found in the index by the moment at
// which they end, after any crash and by any process, and the order decides by the clock of its store.

import KontorCore

/// Looks for reservations that are over: again and again where several processes reserve, and otherwise when the first
/// one is over.
final class ReservationExpiry {
    private let shop: ShopParts
    private let pause: Int64
    /// By how much the clocks of two stores may differ.
    private let skew: Int64
    private var isLooking = false
    /// Tells the present look from those that were given up.
    private var number = 0
    /// When the present look is given up, monotonic milliseconds.
    private var giveUp: Int64 = .max
    /// Orders whose end is under way in their store: an unknown commit may be settled only when its shard is back.
    private var asked: Set<Identifier> = []
    private var nextLook: Int64 = .min
    /// Before it nothing is over, milliseconds since 1970; `.min`: that is not known.
    private var earliest: Int64 = .min

    init(_ shop: ShopParts) {
        self.shop = shop
        pause = shop.isAlone ? Limits.reservationScanMilliseconds : Limits.sharedReservationScanMilliseconds
        skew = shop.isAlone ? 0 : Limits.clockSkewMilliseconds
        shop.orders.coordinator.didReserve = { [weak self] until in self?.didReserve(until) }
    }

    /// - Parameter now: monotonic milliseconds.
    func tick(now: Int64) {
        // One shard whose answer stays out does not hold up what the others have.
        if isLooking, now >= giveUp { end(.min) }
        guard !isLooking, now >= nextLook, earliest <= shop.clock.wallMilliseconds, hasRoom else { return }
        isLooking = true
        nextLook = now + pause
        giveUp = now + Limits.reservationLookMilliseconds
        // What is reserved from now on is told, where no other process reserves.
        if shop.isAlone { earliest = .max }
        // What was reserved before can be found once it is on the disk.
        shop.store.barrier { [self, number] _ in look(number, behind: nil) }
    }

    /// Whether an end may begin. One shard that is full does not hold up what the others have.
    private var hasRoom: Bool { !shop.isAlone || shop.store.admission == nil }

    private func didReserve(_ until: Int64) { earliest = min(earliest, until) }

    /// Ends a look.
    ///
    /// - Parameter first: when the first reservation that it has found is over; nil: it has found none. `.min`: it must
    ///   look again.
    private func end(_ first: Int64?) {
        isLooking = false
        number += 1
        if let first { earliest = min(earliest, first) }
    }

    /// Looks at the next reservations to end.
    private func look(_ number: Int, behind last: RecordKey?) {
        shop.store.scan(.dues(behind: last), atMost: Limits.reservationsAtOnce) { [self] found in
            guard number == self.number else { return }
            guard case .success(let part) = found else { return end(.min) }
            let time = shop.clock.wallMilliseconds
            giveBack(part.entries.filter { $0.due <= time + skew }, of: part, number)
        }
    }

    /// Gives back those that are over.
    ///
    /// - Parameter near: those that are over, or may be by the clocks of their stores.
    private func giveBack(_ near: [IndexEntry], of part: IndexPart, _ number: Int) {
        var pending = near.count + 1
        var over = 0
        func endOne() {
            pending -= 1
            guard pending == 0, number == self.number else { return }
            // A part may have none, or only such as wait for their sagas: those behind them may be over all the same.
            // If none of these is over, those behind them are not, as far as clocks agree.
            if let next = part.next, part.entries.isEmpty || (over > 0 && near.count == part.entries.count) {
                if over > 0 { earliest = .min }
                return shop.agenda.addAtTick { self.look(number, behind: next) }
            }
            end(over > 0 ? .min : part.entries.first?.due)
        }
        for entry in near {
            time(of: entry) { [self] time in
                guard let time, entry.due <= time else { return endOne() }
                over += 1
                giveBack(entry.key.group.id, time, completion: endOne)
            }
        }
        endOne()
    }

    /// Gives back the reservation of an order, unless a saga of it runs: then it is looked at again.
    ///
    /// It has room of its own: new work does not hold it up, nor it new work.
    private func giveBack(_ order: Identifier, _ storesTime: Int64, completion: @escaping () -> Void) {
        let coordinator = shop.orders.coordinator
        guard !coordinator.isRunning(order), coordinator.canEnd, asked.count < Limits.reservationsAsked,
            asked.insert(order).inserted
        else { return completion() }
        let now = shop.clock.wallMilliseconds
        let command = OrderCommand.Operation.giveBack(
            now: now, deadline: now + Limits.deadlineMilliseconds, storesTime: storesTime, nil)
        shop.orders.submit(OrderCommand(order, command)) { [self] reply in
            asked.remove(order)
            defer { completion() }
            guard case .decided(.begun(let saga)) = reply else { return }
            shop.metrics.expiredReservations.increment()
            shop.orders.coordinator.driveEnd(saga)
        }
    }

    /// The time by the clock that decides; nil: it cannot be read now.
    private func time(of entry: IndexEntry, completion: @escaping (Int64?) -> Void) {
        shop.store.time(of: entry.key.group) { [clock = shop.clock] time in
            completion(time.map { $0 ?? clock.wallMilliseconds }.success)
        }
    }
}

extension IndexEntry {
    /// When the reservation is over, by its clock.
    fileprivate var due: Int64 { if case .due(let time) = key.member { time } else { .max } }
}

extension Result {
    fileprivate var success: Success? { try? get() }
}
