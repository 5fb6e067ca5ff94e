import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("The audit trail")
struct TrailTests {
    private let item = GroupKey(.item, id("a"))
    private let user = GroupKey(.user, id("u"))

    private func note(_ operation: String) -> TrailNote {
        TrailNote(
            principal: "back-office", address: "10.0.0.7", operation: operation,
            arguments: [TrailNote.Argument(name: "units", value: "5")])
    }

    /// What the records have of the trail, the oldest first.
    private func trail(_ world: World) -> [FoundTrailEntry] {
        var found: [FoundTrailEntry] = []
        world.records.scanTrail(behind: nil, atMost: 1_000_000) { found = (try? $0.get().entries) ?? [] }
        return found.reversed()
    }

    private func run(_ world: World, _ request: ShopRequest, key: String? = nil, _ operation: String) -> ShopAnswer? {
        let caller = world.ask(request, key: key, note: note(operation))
        world.settle()
        world.clock.monotonicMilliseconds += 1
        return caller.answer
    }

    private func world() -> World {
        let world = World(seed: 1)
        world.item("a", stock: 5)
        world.user("u", credit: 1_000)
        return world
    }

    @Test("each write leaves one entry, with its record; what is refused or replayed leaves none")
    func writes() throws {
        let world = world()
        let began = world.clock.wallMilliseconds
        func add(_ key: String?) -> ShopAnswer? {
            run(world, .ledger(LedgerCommand(item, .deposit(Amount(5)))), key: key, "addStock")
        }
        #expect(add(nil) == .ledger(.done) && add(nil) == .ledger(.done))
        #expect(add("k") == .ledger(.done))
        #expect(add("k") == .replayed(.ledger(.done)))
        #expect(run(world, .ledger(LedgerCommand(item, .withdraw(Amount(500)))), "subtractStock") != .ledger(.done))
        let created = run(world, .createItem(price: Amount(7)), "createItem")
        let keyed = run(world, .createItem(price: Amount(7)), key: "c", "createItem")
        guard case .created(let first) = created, case .created(let second) = keyed else {
            Issue.record("\(String(describing: created)), \(String(describing: keyed))")
            return
        }
        // A write that nobody is known for.
        #expect(world.run(.ledger(LedgerCommand(user, .deposit(Amount(1))))) == .ledger(.done))
        let found = trail(world)
        #expect(found.map(\.group) == [item, item, item, GroupKey(.item, first), GroupKey(.item, second)])
        #expect(
            found.map(\.entry.note) == Array(repeating: note("addStock"), count: 3)
                + Array(repeating: note("createItem"), count: 2))
        #expect(found.allSatisfy { (began...world.clock.wallMilliseconds).contains($0.entry.id.time) })
        #expect(Set(found.map(\.entry.id)).count == found.count)
    }

    @Test("the log has a line for each, also for what was refused")
    func lines() {
        let world = world()
        _ = run(world, .ledger(LedgerCommand(item, .deposit(Amount(5)))), "addStock")
        _ = run(world, .ledger(LedgerCommand(item, .withdraw(Amount(500)))), "subtractStock")
        let lines = world.events.notices.filter { $0.contains("admin") }
        #expect(lines.count == 2)
        for part in ["back-office", "10.0.0.7", "addStock", "units=5", "done"] { #expect(lines.first?.contains(part) == true) }
        for part in ["subtractStock", "refused"] { #expect(lines.last?.contains(part) == true) }
    }

    @Test("a batch_init leaves one entry, before its first record is replaced; one that is refused leaves none")
    func batchInit() {
        let world = world()
        let caller = world.ask(.initItems(count: 2_000, stock: Amount(1), price: Amount(1)), note: note("initItems"))
        while trail(world).isEmpty {
            #expect(world.records.load(ReadSet(GroupKey(.item, id("0")))).head == nil, "a record without a word in the trail")
            world.step()
        }
        world.settle()
        #expect(caller.answer == .initialized)
        #expect(trail(world).map(\.group) == [GroupKey(.item, .batchInit)])
        #expect(trail(world).first?.isOfOneRecord == false)
        world.store.refusal = .diskFull
        let refused = world.ask(.initUsers(count: 2, credit: Amount(1)), note: note("initUsers"))
        world.settle()
        #expect(refused.answer == .unavailable(.diskFull))
        #expect(trail(world).count == 1)
    }

    @Test("an effect and its entry are both there or neither, whatever becomes of commits", arguments: 0..<20)
    func unknownCommits(seed: UInt64) {
        let world = World(seed: seed)
        world.item("a", stock: 0)
        world.store.unknownPercent = 40
        var callers: [Request] = []
        for number in 0..<50 {
            let request = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(1))))
            callers.append(world.ask(request, key: number % 2 == 0 ? "k\(number)" : nil, note: note("addStock")))
            if number % 7 == 0 { world.step() }
        }
        world.store.unknownPercent = 0
        world.settle()
        guard case .account(let account)? = world.records.load(ReadSet(item)).head else {
            Issue.record("no account")
            return
        }
        #expect(Int64(trail(world).count) == account.balance.raw)
        #expect(callers.count { $0.answer == .ledger(.done) } <= trail(world).count)
    }
}
