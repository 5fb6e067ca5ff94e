// The reads of one page of a list: entries of the index, and the heads of what they name. Orders that are being checked
// out are found by their open work instead, since among all others they are few.

import KontorCore

/// Fills one page, and answers once.
final class ListRead {
    private var page: ListPage
    private let parts: ShopParts
    private let deadline: Int64
    private let answer: (ShopAnswer) -> Void
    private var reads = 0
    /// What has open work, and was not looked at: as many as there are open checkouts.
    private var open: [GroupKey] = []
    /// The first orders with open work behind the cursor, in the order of the list: one more than the page has room
    /// for.
    private var first: [(place: ListCursor, order: Order)] = []

    /// - Parameter deadline: monotonic milliseconds.
    init(_ page: ListPage, _ parts: ShopParts, deadline: Int64, answer: @escaping (ShopAnswer) -> Void) {
        self.page = page
        self.parts = parts
        self.deadline = deadline
        self.answer = answer
    }

    func begin() { if page.isOfOpenWork { findOpen() } else { readEntries() } }

    private var isLate: Bool { parts.clock.monotonicMilliseconds >= deadline }

    private func fail(_ error: StoreError) { answer(.unavailable(error)) }

    private static let late = StoreError.unreachable("the list is not read in time")

    // MARK: By the index

    private func readEntries() {
        if isLate { return fail(Self.late) }
        reads += 1
        parts.store.scan(page.range, atMost: page.share) { [self] found in
            switch found {
            case .failure(let error): fail(error)
            case .success(let part): load(part)
            }
        }
    }

    private func load(_ part: IndexPart) {
        if part.entries.isEmpty { return goOn(behind: part, taken: 0) }
        parts.store.load(part.entries.map { ReadSet($0.key.group) }) { [self] outcomes in
            var taken = 0
            for (entry, outcome) in zip(part.entries, outcomes) where page.room > 0 {
                switch outcome {
                // A list does not leave out what is there.
                case .failure(let error): return fail(error)
                case .success(let group):
                    guard case .listed(let listed) = entry.key.member else { continue }
                    page.take(entry.key.group, listedAs: listed, group.head)
                    taken += 1
                }
            }
            goOn(behind: part, taken: taken)
        }
    }

    /// - Parameter taken: how many of the part's entries the page has seen.
    private func goOn(behind part: IndexPart, taken: Int) {
        let isAtEnd = part.next == nil && taken == part.entries.count
        if taken == part.entries.count, let next = part.next { page.pass(next) }
        if isAtEnd || page.room == 0 || reads == Limits.listReads { return answer(page.answer(isAtEnd: isAtEnd)) }
        parts.agenda.add { self.readEntries() }
    }

    // MARK: By open work

    private func findOpen() {
        OpenWork.forEachPage(
            of: .order, in: parts.store, agenda: parts.agenda, atOnce: parts.isAlone ? 1 : Limits.partitionsAtOnce
        ) { [self] found in
            for entry in found where entry.key.member == .saga { open.append(entry.key.group) }
        } completion: { [self] error in
            if let error { fail(error) } else { loadOpen() }
        }
    }

    private func loadOpen() {
        if isLate { return fail(Self.late) }
        if open.isEmpty { return showOpen() }
        let groups = Array(open.suffix(Limits.listPage))
        open.removeLast(groups.count)
        parts.store.load(groups.map { ReadSet($0) }) { [self] outcomes in
            for (group, outcome) in zip(groups, outcomes) {
                switch outcome {
                case .failure(let error): return fail(error)
                case .success(let found):
                    if case .order(let order)? = found.head { note(order, at: ListCursor(group, order.listEntry)) }
                }
            }
            parts.agenda.add { self.loadOpen() }
        }
    }

    private func note(_ order: Order, at place: ListCursor) {
        guard page.shows(order), page.cursor?.isListedBefore(place) != false else { return }
        let index = first.firstIndex { place.isListedBefore($0.place) } ?? first.count
        first.insert((place, order), at: index)
        if first.count > page.room + 1 { first.removeLast() }
    }

    private func showOpen() {
        var shown = 0
        for (place, order) in first where page.room > 0 {
            page.take(GroupKey(.order, place.id), listedAs: order.listEntry, .order(order))
            shown += 1
        }
        answer(page.answer(isAtEnd: shown == first.count))
    }
}
