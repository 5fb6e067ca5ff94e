import KontorCore
import KontorService
import KontorSimulation
import Testing

/// What the simulator found while processes learned to remember what they read and wrote of a shared store.
@Suite("What a process remembers of a shared store")
struct GroupCacheTests {
    private let records = MemoryStore()
    private let cache: GroupCache
    private let random: SeededRandom

    init() {
        cache = GroupCache(bound: 4)
        random = SeededRandom(seed: 1_066)
    }

    private func saga(_ number: Int) -> SagaID { SagaID(order: Identifier(number: number), incarnation: 1, attempt: 1) }

    /// Another process, or this one, writes a group: its head, and a hold.
    private func write(_ group: GroupKey, _ number: Int, tell: Bool) {
        let loaded = load(group)
        var draft = GroupDraft(group)
        var account = Account()
        account.price = Amount(Int64(records.nextVersion().counter))
        draft[.head] = .account(account)
        draft[.hold(saga(number))] = .hold(Hold(amount: account.price, state: .held, expiry: 0))
        let change = GroupChange(expected: loaded.version, draft: draft)
        let version = records.nextVersion()
        #expect(records.commit(change, as: version))
        if tell { cache.committed(change, as: version) }
    }

    private func load(_ group: GroupKey, _ member: Member? = nil) -> LoadedGroup {
        var loaded: [LoadedGroup] = []
        records.load([ReadSet(group, member)]) { loaded = $0.compactMap { try? $0.get() } }
        return loaded[0]
    }

    private func load(fromMemory readSets: [ReadSet], fresh: Bool = false) -> [LoadedGroup] {
        var result: [LoadedGroup] = []
        cache.load(readSets, from: fresh ? .throughMemory : .memory, of: records) { result = $0.compactMap { try? $0.get() } }
        #expect(result.count == readSets.count)
        return result
    }

    @Test("a remembered member never stands beside a head that is read anew (seed 1189)")
    func oneVersion() {
        let group = GroupKey(.item, Identifier(number: 1))
        let order = Identifier(number: 9)
        write(group, 1, tell: false)
        _ = load(fromMemory: [ReadSet(group, .hold(saga(1)))])
        // Another process writes; this one has a command on what it remembers, and one that it must read for.
        write(group, 1, tell: false)
        let both = load(fromMemory: [ReadSet(group, .payment(order: order)), ReadSet(group, .hold(saga(1)))])
        #expect(both[0].version == both[1].version)
        #expect(both[1].member == load(group, .hold(saga(1))).member)
    }

    @Test("what is remembered is never older than what this process read or wrote before (seed 1066)")
    func neverOlder() {
        var latest: [GroupKey: UInt64] = [:]
        for _ in 0..<20_000 {
            let group = GroupKey(.item, Identifier(number: random.below(6)))
            switch random.below(5) {
            case 0: write(group, random.below(3), tell: false)
            case 1:
                // Its own write is on what it has.
                guard load(fromMemory: [ReadSet(group)])[0].version == load(group).version else { continue }
                write(group, random.below(3), tell: true)
                latest[group] = load(group).version.counter
            case 2: cache.forget(group)
            default:
                let readSet = ReadSet(group, random.below(2) == 0 ? nil : .hold(saga(random.below(3))))
                let found = load(fromMemory: [readSet], fresh: random.below(4) == 0)[0]
                #expect(found.version.counter >= latest[group] ?? 0)
                latest[group] = found.version.counter
                if found.version == load(group).version, found.certainty != .guessed {
                    let stored = load(group, readSet.member)
                    #expect(found.head == stored.head && found.member == stored.member)
                }
            }
        }
    }
}
