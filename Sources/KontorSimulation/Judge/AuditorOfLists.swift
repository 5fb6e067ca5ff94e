// What the auditor knows of lists: who was there all the time is listed exactly once, and nothing is that never was.

import KontorCore

extension Auditor {
    /// Judges what clients have read, and the entries of the lists in the end.
    ///
    /// - Parameter isListed: whether the lists are complete.
    func judgeLists(_ listings: [Listing], isListed: Bool) {
        for listing in listings { judge(listing) }
        if isListed { judgeEntries() }
    }

    private func judgeEntries() {
        for (name, place) in final.places.sorted(by: { $0.key < $1.key }) where final.entries[name] != [place] {
            violation("\(name) is listed as \(final.entries[name] ?? []), and should be as \(place)")
        }
        for name in final.entries.keys.sorted() where final.places[name] == nil {
            violation("\(name) is listed, and is not there")
        }
    }

    private func judge(_ listing: Listing) {
        var counts: [String: Int] = [:]
        for id in listing.ids { counts[id, default: 0] += 1 }
        for (id, count) in counts.sorted(by: { $0.key < $1.key }) {
            if !isThere(id, listing.subject) { violation("\(listing.subject): \(id) was listed, and never was there") }
            if count > 1, !mayBeReplaced(id, listing) { violation("\(listing.subject): \(id) was listed \(count) times") }
        }
        for id in expected(listing).sorted() where counts[id] == nil && !mayBeReplaced(id, listing) {
            violation("\(listing.subject): \(id) was not listed from \(listing.began) to \(listing.ended), and was there")
        }
    }

    private func isThere(_ id: String, _ subject: Listing.Subject) -> Bool {
        switch subject {
        case .items: final.accounts["item \(id)"] != nil
        case .users: final.accounts["user \(id)"] != nil
        case .orders(let user): final.orders[id].map { Int(id) != nil || (user ?? $0.user) == $0.user } ?? false
        case .paidOrders: final.orders[id].map { Int(id) != nil || $0.isPaid } ?? false
        }
    }

    /// Whether a `batch_init` may have put another order in the place of one while it was listed.
    private func mayBeReplaced(_ id: String, _ listing: Listing) -> Bool {
        switch listing.subject {
        case .items, .users: false
        case .orders, .paidOrders: replacements(of: id).contains { $0.first <= listing.ended && $0.last >= listing.began }
        }
    }

    /// What was there before the list was read, as clients had been told.
    private func expected(_ listing: Listing) -> Set<String> {
        var ids: Set<String> = []
        for action in history.actions {
            let told = action.attempts.filter { ($0.answered ?? .max) < listing.began }.map(\.told)
            switch (listing.subject, action.wish) {
            case (.items, .createItem), (.users, .createUser), (.orders(of: nil), .createOrder):
                for case .created(let id) in told { ids.insert(id) }
            case (.orders(let user?), .createOrder(let owner)) where owner == user:
                for case .created(let id) in told { ids.insert(id) }
            case (.orders(let user), .place(let owner, _)) where user ?? owner == owner:
                if let placed = action.placed, placed.at < listing.began { ids.insert(placed.id) }
            case (.paidOrders, .place): if told.contains(.done), let id = action.placed?.id { ids.insert(id) }
            case (.items, .initItems(let count, _, _)), (.users, .initUsers(let count, _)),
                (.orders(of: nil), .initOrders(let count, _, _, _)):
                if told.contains(.done) { for number in 0..<count { ids.insert(String(number)) } }
            // Orders with numbers may have been replaced by others, which are not paid.
            case (.paidOrders, .checkout(let id)) where Int(id) == nil && told.contains(.done): ids.insert(id)
            default: break
            }
        }
        return listing.subject == .paidOrders ? ids.subtracting(refunded(before: listing.ended)) : ids
    }

    /// Orders of which something may have been refunded: they are in another state.
    private func refunded(before end: Int64) -> [String] {
        history.actions.compactMap { action in
            if case .refund(let order, _, _) = action.wish, action.effect != .none, action.first <= end { order } else { nil }
        }
    }
}
