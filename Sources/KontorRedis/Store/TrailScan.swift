// A part of the audit trail: of what each partition has, the newest.

import KontorCore
import KontorService
import RedisClient

extension RedisStore {
    /// See ``RecordStore``. All partitions are asked; if one of them does not answer, there is no part: nobody could
    /// see that something is missing.
    public func scanTrail(
        behind id: TrailID?, atMost bound: Int, completion: @escaping (Result<TrailPart, StoreError>) -> Void
    ) {
        TrailScan(self, behind: id, atMost: bound) { [self] part in post { completion(part) } }.ask()
    }

    /// Reads the newest entries of a partition, behind these bytes of a key.
    fileprivate func trail(
        of partition: Int, behind start: [UInt8], atMost bound: Int,
        completion: @escaping (Result<[[UInt8]], StoreError>) -> Void
    ) {
        var page = RedisCommand("ZRANGEBYLEX", argumentCount: 6)
        page.append(RedisKeys.trail(partition))
        page.append(Array("(".utf8) + start)
        for word in ["+", "LIMIT", "0", "\(bound)"] { page.append(word) }
        read(page, from: partition, isConfirmed: true) { result in
            completion(
                Result { () throws(StoreError) in
                    guard let values = try result.get().first?.elements else { throw Self.unreadable("ZRANGEBYLEX") }
                    return values.compactMap(\.octets)
                })
        }
    }
}

/// One scan. Each partition is asked for its share and a few more; those of which all may be needed are asked again,
/// for twice as many. So a page reads little more than it shows, however the entries lie.
private final class TrailScan {
    private struct Partition {
        let number: Int
        var entries: [FoundTrailEntry] = []
        /// The bytes behind which its next entries lie.
        var start: [UInt8]
        /// How many it is asked for.
        var share: Int
        var isAtEnd = false
    }

    private let store: RedisStore
    private let bound: Int
    private let completion: (Result<TrailPart, StoreError>) -> Void
    private var partitions: [Partition]
    private var pending = 0
    private var failure: StoreError?

    init(
        _ store: RedisStore, behind id: TrailID?, atMost bound: Int,
        completion: @escaping (Result<TrailPart, StoreError>) -> Void
    ) {
        self.store = store
        self.bound = bound
        self.completion = completion
        let start = RecordKey.trailStart(behind: id)
        partitions = (0..<KontorService.Partition.count).map {
            Partition(number: $0, start: start, share: 2 * bound / KontorService.Partition.count + 4)
        }
    }

    /// Asks the partitions that may have more of what is shown.
    func ask() {
        let found = partitions.flatMap(\.entries).sorted(by: FoundTrailEntry.isShownBefore)
        // One more than is shown, to see whether it is the end.
        let last = found.count > bound ? found[bound] : nil
        let open = partitions.indices.filter { index in
            if partitions[index].isAtEnd { return false }
            guard let last, let own = partitions[index].entries.last else { return true }
            return FoundTrailEntry.isShownBefore(own, last) || own == last
        }
        if open.isEmpty { return completion(.success(TrailPart(of: found, atMost: bound))) }
        pending = open.count
        for index in open {
            let partition = partitions[index]
            store.trail(of: partition.number, behind: partition.start, atMost: partition.share) { [self] result in
                take(result, of: index)
            }
        }
    }

    private func take(_ result: Result<[[UInt8]], StoreError>, of index: Int) {
        switch result {
        case .failure(let error): failure = error
        case .success(let values):
            for value in values {
                do {
                    partitions[index].entries.append(try FoundTrailEntry(decoding: value))
                } catch {
                    store.note(.unreadable("\(RedisKeys.trail(partitions[index].number)): \(error)"))
                }
            }
            partitions[index].isAtEnd = values.count < partitions[index].share
            if let last = values.last { partitions[index].start = last }
            partitions[index].share = min(2 * partitions[index].share, RedisStoreLimits.scanPage)
        }
        pending -= 1
        if pending > 0 { return }
        if let failure { completion(.failure(failure)) } else { ask() }
    }
}
