// A page of the audit trail: of what each partition has, the newest.

import KontorCore
import KontorService
import RedisClient

extension RedisStore {
    /// See ``RecordStore``. All partitions are asked; if one of them does not answer, there is no page: nobody could
    /// see that something is missing.
    public func scanTrail(
        behind id: TrailID?, atMost bound: Int, completion: @escaping (Result<[FoundTrailEntry], StoreError>) -> Void
    ) {
        let start = Array("(".utf8) + RecordKey.trailStart(behind: id)
        var found: [FoundTrailEntry] = []
        var failure: StoreError?
        var pending = Partition.count
        for partition in 0..<Partition.count {
            var page = RedisCommand("ZRANGEBYLEX", argumentCount: 6)
            page.append(RedisKeys.trail(partition))
            page.append(start)
            for word in ["+", "LIMIT", "0", "\(bound)"] { page.append(word) }
            read(page, from: partition, isConfirmed: true) { [self] result in
                do throws(StoreError) {
                    found += try result.get().first?.elements?.compactMap { entry($0, partition) } ?? []
                    // More than a page of them will not be shown.
                    if found.count > 2 * bound { found = Self.page(found, bound) }
                } catch {
                    failure = error
                }
                pending -= 1
                guard pending == 0 else { return }
                post { [found, failure] in
                    completion(failure.map { .failure($0) } ?? .success(Self.page(found, bound)))
                }
            }
        }
    }

    private static func page(_ found: [FoundTrailEntry], _ bound: Int) -> [FoundTrailEntry] {
        Array(found.sorted(by: FoundTrailEntry.isShownBefore).prefix(bound))
    }

    /// An entry; nil, and noted, if it cannot be read.
    private func entry(_ value: RESPValue, _ partition: Int) -> FoundTrailEntry? {
        guard let bytes = value.octets else { return nil }
        do {
            return try FoundTrailEntry(decoding: bytes)
        } catch {
            note(.unreadable("\(RedisKeys.trail(partition)): \(error)"))
            return nil
        }
    }
}
