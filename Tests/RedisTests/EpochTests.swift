// The epoch of a store: which release may serve from it, and how it is raised. Pure, but for the last test.

import KontorCore
import KontorService
import RedisClient
import RedisSupport
import Testing

@testable import KontorRedis

@Suite struct EpochTests {
    private let shop = Array("0123456789abcdef".utf8)

    private func findings(_ copy: (Int) -> [UInt8]?) -> EpochFindings {
        var found = EpochFindings()
        for partition in 0..<Partition.count { found.add(copy(partition), of: partition) }
        return found
    }

    /// Release 0.1 starts over a store if all partitions have one and the same value that does not end in a mark.
    private func isServedByRelease01(_ epoch: StoreEpoch) -> Bool {
        Set(epoch.copies).count == 1 && epoch.copies[0].last != EpochCopy.pendingMark
    }

    @Test func `an older release serves from a store in format 3, and refuses one in format 4`() throws {
        #expect(isServedByRelease01(StoreEpoch(shop: shop, format: .three)))
        #expect(!isServedByRelease01(StoreEpoch(shop: shop, format: .four)))
    }

    @Test func `each format is read as it was written`() throws {
        for format in RecordFormat.allCases {
            let epoch = StoreEpoch(shop: shop, format: format)
            #expect(try findings(epoch.bytes).epoch() == epoch)
        }
    }

    @Test func `a newer format is refused for good, and says so`() {
        let found = findings { Array("0123456789abcdef/5/\($0)".utf8) }
        let error = #expect(throws: RedisStoreError.self) { try found.epoch() }
        #expect(error?.isTransient == false)
        #expect(error?.description.contains("format 5") == true)
    }

    @Test func `a store that is upgraded in part waits for the rest`() {
        let old = StoreEpoch(shop: shop, format: .three)
        let new = StoreEpoch(shop: shop)
        let found = findings { $0 < 100 ? new.bytes($0) : old.bytes($0) }
        let error = #expect(throws: RedisStoreError.self) { try found.epoch() }
        #expect(error?.isTransient == true)
    }

    @Test func `a copy of another partition, a mark and a gap are refused`() {
        let epoch = StoreEpoch(shop: shop)
        for found in [
            findings { epoch.bytes($0 == 7 ? 8 : $0) }, findings { _ in shop + [EpochCopy.pendingMark] },
            findings { $0 == 7 ? nil : epoch.bytes($0) }, findings { _ in nil },
        ] {
            let error = #expect(throws: RedisStoreError.self) { try found.epoch() }
            #expect(error?.isTransient == false)
        }
    }
}
