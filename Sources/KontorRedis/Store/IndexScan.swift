// The beginning of a range of an index: of what each partition has, the first.

import KontorCore
import KontorService
import RedisClient

extension RedisStore {
    /// See ``RecordStore``. All partitions are asked; if one of them does not answer, there is no part: nobody could
    /// see that something is missing. Of reservations what the others have is given.
    public func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        let scan = IndexScan(self, range, atMost: bound) { [self] part in post { completion(part) } }
        if !range.isOfLists { return scan.ask() }
        checkLists { [self] trouble in
            if let trouble { post { completion(.failure(trouble)) } } else { scan.ask() }
        }
    }

    /// See ``RecordStore``: the clock of the master that has the group.
    public func time(of group: GroupKey, completion: @escaping (Result<Int64?, StoreError>) -> Void) {
        read(RedisCommand("TIME"), from: Partition.of(group.id)) { [self] result in
            let time = Result { () throws(StoreError) -> Int64? in
                // Seconds since 1970, and microseconds.
                let parts = try result.get().first?.elements?.compactMap { $0.string.flatMap { Int64($0) } } ?? []
                guard parts.count == 2, (0...Limits.latestTime / 1_000).contains(parts[0]) else {
                    throw Self.unreadable("TIME")
                }
                return parts[0] * 1_000 + parts[1] / 1_000
            }
            post { completion(time) }
        }
    }

    /// Reads the first elements of a partition's part of a range, behind these bytes.
    fileprivate func elements(
        of range: IndexRange, in partition: Int, behind start: [UInt8], atMost bound: Int,
        completion: @escaping (Result<[[UInt8]], StoreError>) -> Void
    ) {
        var page = RedisCommand("ZRANGEBYLEX", argumentCount: 6)
        page.append(RedisKeys.index(range.index, partition))
        page.append(Array("(".utf8) + start)
        page.append(Array("(".utf8) + range.end)
        for word in ["LIMIT", "0", "\(bound)"] { page.append(word) }
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
private final class IndexScan {
    private struct Element {
        let bytes: [UInt8]
        let entry: IndexEntry
    }

    private struct Partition {
        let number: Int
        var elements: [Element] = []
        /// The bytes behind which its next elements lie.
        var start: [UInt8]
        /// How many it is asked for.
        var share: Int
        var isAtEnd = false
    }

    private let store: RedisStore
    private let range: IndexRange
    private let bound: Int
    private let completion: (Result<IndexPart, StoreError>) -> Void
    private var partitions: [Partition]
    private var pending = 0
    private var failure: StoreError?

    init(
        _ store: RedisStore, _ range: IndexRange, atMost bound: Int,
        completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        self.store = store
        self.range = range
        self.bound = bound
        self.completion = completion
        partitions = (0..<KontorService.Partition.count).map {
            Partition(number: $0, start: range.start, share: 2 * bound / KontorService.Partition.count + 4)
        }
    }

    /// Asks the partitions that may have more of what is given.
    func ask() {
        let found = partitions.flatMap(\.elements).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        // One more than is given, to see whether it is the end.
        let last = found.count > bound ? found[bound].bytes : nil
        let open = partitions.indices.filter { index in
            if partitions[index].isAtEnd { return false }
            guard let last else { return true }
            return !last.lexicographicallyPrecedes(partitions[index].start)
        }
        if open.isEmpty { return completion(.success(IndexPart(of: found.map(\.entry), atMost: bound))) }
        pending = open.count
        for index in open {
            let partition = partitions[index]
            store.elements(of: range, in: partition.number, behind: partition.start, atMost: partition.share) {
                [self] result in take(result, of: index)
            }
        }
    }

    private func take(_ result: Result<[[UInt8]], StoreError>, of index: Int) {
        switch result {
        // Reservations are looked for again and again; what one shard has is no reason to miss those of the others.
        case .failure(let error): if range.isOfDues { partitions[index].isAtEnd = true } else { failure = error }
        case .success(let values):
            for value in values {
                do {
                    let entry = try RecordBytes.indexEntry(value, of: range.index)
                    partitions[index].elements.append(Element(bytes: value, entry: entry))
                } catch {
                    store.note(.unreadable("\(RedisKeys.index(range.index, partitions[index].number)): \(error)"))
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
