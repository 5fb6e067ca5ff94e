// Entries of the lists: their keys sort as the lists are read, and rules write them when something is created.

import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

@Suite("Lists")
struct ListTests {
    private func key(_ order: String, _ created: Int64, _ user: String) -> RecordKey {
        RecordKey(GroupKey(.order, id(order)), .listed(ListEntry(created: created, user: id(user))))
    }

    private var orders: [RecordKey] {
        var random = SeededRandom(seed: 3)
        let times: [Int64] = [0, 1, 1, 255, 256, 1_700_000_000_000, 1_700_000_000_001, Limits.latestTime]
        let users = ["u", "v", "uu", "~", String(repeating: "z", count: 64)]
        return (0..<300).map { number in
            // Some ids are the beginnings of others.
            let name = String(repeating: "a", count: number % 5) + String(number)
            return key(name, times.randomElement(using: &random) ?? 0, users.randomElement(using: &random) ?? "u")
        }
    }

    private func cursor(_ key: RecordKey) -> ListCursor? {
        if case .listed(let entry) = key.member { ListCursor(key.group, entry) } else { nil }
    }

    @Test("keys sort as lists are read, and each is in its own range alone")
    func order() throws {
        let accounts = [GroupKey.Kind.item, .user].flatMap { kind in
            ["a", "b", "10", "9"].map { RecordKey(GroupKey(kind, id($0)), .listed(.account)) }
        }
        let all = (orders + accounts).flatMap { key in key.indexKeys.map { (bytes: $0, key: key) } }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        for (bytes, key) in all { #expect(try RecordKey(decoding: bytes[...]) == key) }
        func found(_ range: IndexRange) -> [RecordKey] { all.filter { range.contains($0.bytes) }.map(\.key) }
        func sorted(_ keys: [RecordKey]) -> [RecordKey] {
            keys.sorted { left, right in
                guard let left = cursor(left), let right = cursor(right) else { return false }
                return left.isListedBefore(right)
            }
        }
        #expect(found(.list(of: .order, behind: nil)) == sorted(orders))
        #expect(
            found(.list(of: .item, behind: nil)).map(\.group.id.text)
                == ["a", "b", "9", "10"].sorted { ($0.count, $0) < ($1.count, $1) })
        #expect(found(.list(of: .user, behind: nil)).count == 4)
        for user in ["u", "uu", "v", "~", "nobody"] {
            let own = orders.filter { if case .listed(let entry) = $0.member { entry.user == id(user) } else { false } }
            #expect(found(.orders(of: id(user), behind: nil)) == sorted(own))
            for index in [0, 1, own.count / 2, own.count - 1] where own.indices.contains(index) {
                let place = cursor(sorted(own)[index])
                #expect(found(.orders(of: id(user), behind: place)) == Array(sorted(own).dropFirst(index + 1)))
            }
        }
        for index in stride(from: 0, to: orders.count, by: 7) {
            let place = cursor(sorted(orders)[index])
            #expect(found(.list(of: .order, behind: place)) == Array(sorted(orders).dropFirst(index + 1)))
        }
    }

    @Test("the trail and the lists lie behind all other keys, and apart from each other")
    func apart() {
        let trail = RecordKey(GroupKey(.item, id("a")), .trail(TrailID(time: 1, number: 2)))
        let ranges = [
            IndexRange.trail(behind: nil), .list(of: .item, behind: nil), .list(of: .user, behind: nil),
            .list(of: .order, behind: nil), .orders(of: id("u"), behind: nil),
        ]
        let keys = [
            trail, RecordKey(GroupKey(.item, id("a")), .listed(.account)),
            RecordKey(GroupKey(.user, id("a")), .listed(.account)), key("o", 5, "u"),
        ]
        let counts = ranges.map { range in keys.flatMap(\.indexKeys).filter { range.contains($0) }.count }
        #expect(counts == [1, 1, 1, 1, 1])
        var head = ByteWriter()
        RecordKey(GroupKey(.order, id(String(repeating: "~", count: 64))), .head).encode(into: &head)
        for range in ranges { #expect(head.bytes.lexicographicallyPrecedes(range.start)) }
    }

    @Test("a cursor is read as it was written, and nothing else is")
    func cursors() {
        for place in [ListCursor(created: 0, id: id("a.b")), ListCursor(created: 1_700_000_000_000, id: id("~"))] {
            #expect(ListCursor(place.text) == place)
        }
        for text in ["", ".", "1", "1.", "x.a", "01.a", "1.a b", "+1.a", "99999999999999999.a", "-1-.a"] {
            #expect(ListCursor(text) == nil, "\(text)")
        }
    }

    @Test("an order is listed when it is created, and its entry goes when another one takes its place")
    func orderRules() {
        var book = OrderBook(items: ["a"])
        func listed() -> [ListEntry] {
            book.records.keys.compactMap { if case .listed(let entry) = $0 { entry } else { nil } }
        }
        func expectOne(_ created: Int64, _ user: String) {
            #expect(listed() == [ListEntry(created: created, user: id(user))])
            #expect(book.state?.listEntry == listed().first)
        }
        expectOne(0, "u")
        book.do(.replace(Order(user: id("u"), incarnation: 8, created: 5)))
        expectOne(5, "u")
        book.do(.replace(Order(user: id("v"), incarnation: 9, created: 5)))
        expectOne(5, "v")
        // The same place again.
        book.do(.replace(Order(user: id("v"), incarnation: 10, created: 5)))
        expectOne(5, "v")
        book.do(.create(Order(user: id("w"), incarnation: 11, created: 6)))
        expectOne(5, "v")
        book.do(.remove)
        expectOne(5, "v")
    }

    @Test("what happens to an order or account later touches no list")
    func untouched() {
        func touches<R: Rules>(_ rules: R.Type, _ command: R.Command, _ records: [Member: Record]) -> Bool {
            let readSet = rules.readSet(of: command)
            var draft = GroupDraft(readSet.group)
            draft.add(.head, records[.head])
            if let member = readSet.member { draft.add(member, records[member]) }
            for member in rules.furtherReads(of: command, head: records[.head]) { draft.add(member, records[member]) }
            _ = rules.decide(command, on: &draft)
            #expect(draft.hasChanges)
            var isTouched = false
            draft.forEachChange { member, _ in if member.isIndexed { isTouched = true } }
            return isTouched
        }
        let book = OrderBook(items: ["a"])
        let line = OrderLine(item: id("b"), units: Amount(1), price: Amount(1))
        for operation in [OrderCommand.Operation.addItem(line), .removeItem(id("a")), .remove, .begin(deadline: 9)] {
            #expect(!touches(OrderRules.self, OrderCommand(book.order, operation), book.records))
        }
        let ledger = Ledger(balance: 9)
        #expect(ledger.records[.listed(.account)] == .listed)
        let operations: [LedgerCommand.Operation] = [
            .deposit(Amount(1)), .withdraw(Amount(1)), .hold(sagaID(), Amount(1), mayWait: false, expiry: 0),
            .replace(balance: Amount(1), price: Amount(1)),
        ]
        for operation in operations {
            #expect(!touches(LedgerRules.self, LedgerCommand(ledger.account, operation), ledger.records))
        }
        let replace = LedgerCommand(ledger.account, .replace(balance: Amount(1), price: Amount(1)))
        #expect(touches(LedgerRules.self, replace, [:]))
    }
}
