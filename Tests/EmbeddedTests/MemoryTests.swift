// How much memory there is, and what follows from it.

import Testing

@testable import KontorEmbedded

@Suite("Memory")
struct MemoryTests {
    private func limit(_ files: [String: String]) -> MemoryLimit? { MemoryLimit.read { files[$0] } }
    private let machine = ["/proc/meminfo": "MemTotal:       8388608 kB\nMemFree: 1 kB\n"]

    private func with(_ files: [String: String]) -> MemoryLimit? { limit(machine.merging(files) { $1 }) }

    @Test("the limit is the least of the control groups that the process lies in, of version 2")
    func version2() {
        let group = ["/proc/self/cgroup": "0::/shop/one\n", "/sys/fs/cgroup/shop/one/memory.max": "max\n"]
        #expect(with(group)?.source == .machine)
        let outer = group.merging(["/sys/fs/cgroup/shop/memory.max": "536870912\n"]) { $1 }
        #expect(with(outer) == MemoryLimit(bytes: 512 << 20, source: .controlGroup))
        let root = outer.merging(["/sys/fs/cgroup/memory.max": "268435456\n"]) { $1 }
        #expect(with(root) == MemoryLimit(bytes: 256 << 20, source: .controlGroup))
    }

    @Test("it is read from version 1, too, where no limit is a very large one")
    func version1() {
        let group = ["/proc/self/cgroup": "11:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/\n0::/\n"]
        let path = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        #expect(with(group.merging([path: "1073741824\n"]) { $1 }) == MemoryLimit(bytes: 1 << 30, source: .controlGroup))
        #expect(with(group.merging([path: "9223372036854771712\n"]) { $1 })?.source == .machine)
    }

    @Test("without a group it is half of the machine's memory, and without anything it is unknown")
    func noGroup() {
        #expect(limit(machine) == MemoryLimit(bytes: 4 << 30, source: .machine))
        #expect(limit([:]) == nil)
        #expect(with(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "\n"])?.source == .machine)
    }

    private func group(_ mebibytes: Int) -> MemoryLimit { MemoryLimit(bytes: mebibytes << 20, source: .controlGroup) }

    @Test("what follows from a limit fits it, at any size", arguments: [192, 256, 512, 1_024, 2_048, 4_096, 16_384, 1 << 20])
    func fits(mebibytes: Int) throws {
        let budget = try MemoryBudget(group(mebibytes))
        let total =
            EmbeddedLimits.baseMemoryBytes + budget.cacheRecords * EmbeddedLimits.recordBytes
            + budget.unfoldedBytes * EmbeddedLimits.memoryByJournal + 2 * budget.pageCacheBytes + 2 * budget.foldSliceBytes
        #expect(total <= mebibytes << 20)
        #expect(budget.cacheRecords > 10_000 && budget.unfoldedBytes >= 1 << 20)
        #expect(budget.foldSliceBytes >= EmbeddedLimits.frameBytes, "a slice takes whole frames")
        #expect(budget.options.foldStartBytes < budget.unfoldedBytes)
        #expect(budget.cacheRecords <= EmbeddedLimits.cacheRecords && budget.unfoldedBytes <= EmbeddedLimits.unfoldedBytes)
    }

    @Test("much memory, or none that is known, leaves the bounds as they are")
    func large() throws {
        let budgets = [try MemoryBudget(group(1 << 20)), try MemoryBudget(nil)]
        for budget in budgets {
            #expect(budget.cacheRecords == EmbeddedLimits.cacheRecords)
            #expect(budget.unfoldedBytes == EmbeddedLimits.unfoldedBytes)
            #expect(budget.foldSliceBytes == EmbeddedLimits.foldSliceBytes)
            #expect(budget.pageCacheBytes == EmbeddedLimits.pageCacheBytes)
        }
    }

    @Test("a cache that cannot fit is refused with a sentence, and so is a limit that is too small")
    func refusals() throws {
        #expect(try MemoryBudget(group(512), cacheRecords: 50_000).cacheRecords == 50_000)
        #expect {
            try MemoryBudget(self.group(512), cacheRecords: 2_000_000)
        } throws: { error in
            "\(error)".contains("--cache-records (KONTOR_CACHE_RECORDS) is 2000000, which takes about 953 MiB")
                && "\(error)".contains("control group leaves Kontor 512 MiB")
        }
        #expect {
            try MemoryBudget(self.group(100))
        } throws: { "\($0)".contains("needs 192 MiB") }
    }
}
