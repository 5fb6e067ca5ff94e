// Reads of records that are not in memory: from the table, on the read lane, some loads at a time. While the lane reads
// for the next ones, the shop goes on with those that were read.

import DequeModule
import KontorCore
import KontorService

/// Brings records from the table into the cache.
final class ColdReads {
    /// A load that lacks records.
    private struct Load {
        let readSets: [ReadSet]
        let completion: ([RecordKey: StoreError]) -> Void
    }

    /// Loads that are read together.
    private final class Batch {
        let loads: [Load]
        /// What could not be read for them, by this batch or by one before it.
        var failures: [RecordKey: StoreError] = [:]

        init(_ loads: [Load]) { self.loads = loads }
    }

    private let cache: RecordCache
    private let table: any FoldedTable
    private let ports: StorePorts
    /// The loads that are in no batch yet.
    private var waiting: [Load] = []
    /// The batches that the lane has, in their order.
    private var batches: Deque<Batch> = []

    init(into cache: RecordCache, from table: any FoldedTable, _ ports: StorePorts) {
        self.cache = cache
        self.table = table
        self.ports = ports
    }

    /// Reads what the cache lacks of these read sets, then calls back. What another call is reading already is not
    /// read again: the lane runs one read after the other, so it is there when this one calls back.
    ///
    /// - Parameter completion: gets the records that could not be read, other loads' records among them.
    func fetch(_ readSets: [ReadSet], completion: @escaping ([RecordKey: StoreError]) -> Void) {
        waiting.append(Load(readSets: readSets, completion: completion))
        if batches.isEmpty || waiting.count >= EmbeddedLimits.coldLoads { read() }
    }

    /// Reads in one transaction what the waiting loads lack.
    private func read() {
        let batch = Batch(waiting)
        waiting = []
        let missing = cache.pin(batch.loads.flatMap(\.readSets))
        ports.metrics.cacheMisses.increment(by: missing.count)
        batches.append(batch)
        ports.lanes.perform(on: .read) { [table] in
            Self.read(missing, from: table)
        } then: { [self] result in
            batches.removeFirst()
            if !waiting.isEmpty { read() }
            end(batch, missing, result)
        }
    }

    private func end(_ batch: Batch, _ missing: [RecordKey], _ result: Found) {
        for load in batch.loads { cache.unpin(load.readSets) }
        cache.fill(result.found.map(\.key), result.found.map(\.record))
        if !result.failures.isEmpty {
            cache.abandon(missing.filter { result.failures[$0] != nil })
            // Later batches do not read what this one was reading. If they asked again, newcomers could be before them
            // each time.
            for concerned in [batch] + batches { concerned.failures.merge(result.failures) { $1 } }
        }
        for load in batch.loads { load.completion(batch.failures) }
    }

    /// What a read of the table gave.
    private struct Found {
        var found: [(key: RecordKey, record: Record?)] = []
        var failures: [RecordKey: StoreError] = [:]
    }

    /// Reads the records of these keys. The table is asked in the order of the keys' bytes, in which it has them.
    private static func read(_ keys: [RecordKey], from table: any FoldedTable) -> Found {
        var result = Found()
        if keys.isEmpty { return result }
        let sorted = keys.map { (key: $0, encoded: TableKey($0)) }
            .sorted { $0.encoded.bytes.lexicographicallyPrecedes($1.encoded.bytes) }
        do throws(EmbeddedError) {
            for (place, value) in zip(sorted, try table.read(sorted.map(\.encoded))) {
                do throws(EmbeddedError) {
                    result.found.append((place.key, try value.map { value throws(EmbeddedError) in try Record(stored: value) }))
                } catch {
                    result.failures[place.key] = .unreadable("\(place.key.group) \(place.key.member): \(error)")
                }
            }
        } catch {
            if keys.count == 1 {
                result.failures[keys[0]] = .unreachable("\(error)")
                return result
            }
            // A page that cannot be read takes no other record with it.
            for key in keys {
                let one = read([key], from: table)
                result.found += one.found
                result.failures.merge(one.failures) { $1 }
            }
        }
        return result
    }
}
